// The cores of a server and a worker in one thread, without sockets: what the protocol itself costs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps::bench {

struct InProcess {
  std::size_t floats = 0;  ///< of the model, about
  bool codec = false;      ///< headers are encoded and decoded, as if they were sent
  std::uint64_t iterations = 1;
};

struct InProcessResult {
  std::size_t floats = 0;
  std::vector<double> seconds;  ///< of each iteration, without the first ones
};

/// One shard and one worker hand each other their messages. Payloads are passed on as they are.
Result<InProcessResult> run_in_process(const InProcess& wanted);

}  // namespace ringps::bench
