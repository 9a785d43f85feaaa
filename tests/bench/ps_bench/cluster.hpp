// ringps itself, as real processes: coordinator, servers, and workers that have their gradients ready.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
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

struct ClusterResult {
  std::size_t floats = 0;
  std::vector<std::vector<double>> seconds;  ///< of each iteration, per worker, without the first ones
  double server_cpu_seconds = 0;             ///< of all servers, over the whole run
  double worker_cpu_seconds = 0;
  std::uint64_t server_bytes_max = 0;  ///< resident size of the largest server
};

/// Iterations per second of even or odd digits with the real worker: MNIST where it is ($RINGPS_DATA), else synthetic.
Result<double> run_training(std::uint32_t servers, std::uint32_t workers, std::uint64_t iterations,
                            const std::vector<std::string>& overrides, const std::filesystem::path& scratch);

Result<ClusterResult> run_cluster(const ClusterCase& wanted, const std::filesystem::path& scratch);

/// The worker's process: contributes the same gradient all the time, and writes what each iteration took into the
/// run's folder. Returns its exit code.
int bench_worker(const RoleOptions& options);

}  // namespace ringps::bench
