// ringps itself, as real processes: coordinator, servers, and workers that have their gradients ready.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/role/role.hpp"

namespace ringps::bench {

struct ClusterCase {
  std::size_t floats = 0;  ///< of the model, about: see `floats` of the result
  std::uint32_t servers = 1;
  std::uint32_t workers = 1;
  std::uint32_t replicas = 1;
  std::string transport = "tcp";
  std::uint64_t iterations = 1;
  std::vector<std::string> overrides;  ///< of the configuration: section.key=value
};

/// The configuration of such a cluster; nothing is evaluated, and only the last version is written.
Result<Config> config_of(const ClusterCase& wanted);

/// What a process has used so far.
struct Usage {
  double cpu_seconds = 0;
  double page_faults = 0;
  std::uint64_t bytes_max = 0;  ///< resident
};

/// The first iterations warm up: nothing is timed before the workers have this version.
inline constexpr std::uint64_t timed_after = 2;

/// What a worker has seen: `seconds[k]` is what version `timed_after` + 1 + k took.
struct WorkerTimes {
  double began_unix = 0;  ///< when it had version `timed_after`
  std::vector<double> seconds;
};

struct ClusterResult {
  Config config;
  std::size_t floats = 0;
  std::vector<WorkerTimes> workers;
  std::map<std::string, Usage> usage;              ///< of each process by id, while iterations were timed
  std::map<std::uint64_t, double> committed_unix;  ///< when checkpoints were committed, by iteration

  std::vector<std::vector<double>> seconds() const;
  /// Of all processes whose id begins with `role`: sums, and the largest one's bytes.
  Usage usage_of(const std::string& role) const;
};

Result<ClusterResult> run_cluster(const ClusterCase& wanted, const std::filesystem::path& scratch);

/// Iterations per second of even or odd digits with the real worker: MNIST where it is ($RINGPS_DATA), else synthetic.
Result<double> run_training(std::uint32_t servers, std::uint32_t workers, std::uint64_t iterations,
                            const std::vector<std::string>& overrides, const std::filesystem::path& scratch);
/// Which of the two.
bool has_mnist();

/// The worker's process: contributes the same gradient all the time, and writes what each iteration took, and the first
/// one also what all processes have used, into the run's folder. Returns its exit code.
int bench_worker(const RoleOptions& options);

}  // namespace ringps::bench
