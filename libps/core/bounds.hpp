// Bounds of the cores' queues, and the rule for the first checkpoint after a restore.
#pragma once

#include <cstddef>

#include "libps/core/job.hpp"

namespace ringps {

namespace bounds {
inline constexpr std::size_t parked_messages_max = 4096;  ///< of a shard, for a view or values on their way
inline constexpr std::size_t parked_bytes_max = 1U << 30U;
inline constexpr std::size_t waiting_requests_max = 65536;    ///< of a shard
inline constexpr std::size_t reports_per_message_max = 4096;  ///< timings or evaluations in a Progress
inline constexpr std::size_t reports_kept_max = 1U << 20U;    ///< by a worker, until the coordinator confirms them
inline constexpr std::size_t staleness_counted_max = 255;     ///< iterations; a gradient may lack more in asp
inline constexpr std::size_t orders_max = 256;                ///< for the launcher
inline constexpr std::uint32_t order_processes_max = 1024;    ///< to start by one of them
}  // namespace bounds

/// The checkpoint that everybody takes after a restore without being told: the next multiple of the interval, or the
/// last iteration.
inline Iteration first_checkpoint(const JobSpec& job, Iteration restored) {
  const std::uint64_t interval = job.checkpoint.interval;
  if (interval == 0) {
    return job.iterations;
  }
  return std::min(Iteration{(restored.value / interval + 1) * interval}, job.iterations);
}

}  // namespace ringps
