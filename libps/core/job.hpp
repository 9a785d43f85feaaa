// The experiment as the cores need it: what is trained, how it is cut up, which rules hold. Built once from the
// configuration; the same in every process of a cluster (a digest of it is compared when a process joins).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "libps/base/tensor.hpp"
#include "libps/base/time.hpp"
#include "libps/base/types.hpp"
#include "libps/optim/optimizer.hpp"
#include "libps/wire/encoding.hpp"

namespace ringps {

/// Which workers contribute to a block.
enum class WorkerScope : std::uint8_t {
  all,     ///< every slice contributes to every block; contributions are averaged
  server,  ///< a slice belongs to one server and contributes only to the blocks that server owns; they are summed
};

/// When a contribution is applied, and how far apart slices may be.
enum class Consistency : std::uint8_t {
  bsp,  ///< when all slices of an iteration are there: every run ends in the same bits
  ssp,  ///< when it arrives; nobody computes from weights that lack more than `staleness` iterations of any slice
  asp,  ///< when it arrives; nobody waits for anybody
};

struct Timeouts {
  Duration heartbeat_interval = std::chrono::milliseconds(50);  ///< from a member to the coordinator
  Duration failure_timeout = std::chrono::seconds(2);           ///< silence after which a member is removed
  Duration probe_timeout = std::chrono::milliseconds(150);      ///< the same for a member whose connection broke
  Duration request_timeout = std::chrono::milliseconds(500);    ///< silence after which a request is sent again
  Duration form_timeout = std::chrono::seconds(30);             ///< for the first view to form
  Duration coordinator_timeout = std::chrono::minutes(10);      ///< a member outlives its coordinator by this

  /// How often each of so many members beats. All together they send some 1,000 heartbeats a second, where that is
  /// often enough for each of them: what it takes to hear them would else grow until nothing is left for training.
  Duration beat_interval(std::size_t members) const {
    const Duration shared = std::chrono::milliseconds(members);
    return std::max(heartbeat_interval, std::min<Duration>(shared, probe_timeout * 2 / 3));
  }
};

struct CheckpointRule {
  std::uint64_t interval = 0;  ///< iterations; 0: only the last version is written
  Duration min_gap{};      ///< without `wait`: at least this long from one commit to the next version that is written
  bool wait = false;       ///< true: training waits until each one is committed; false: one at a time, without waiting
  std::uint32_t keep = 2;  ///< committed checkpoints that are kept
};

struct JobSpec {
  std::string cluster;  ///< name of the cluster, in every message
  std::uint64_t seed = 0;

  std::vector<TensorSpec> tensors;
  std::vector<TableSpec> tables;
  std::uint32_t block_elements = 262144;
  std::uint32_t virtual_nodes = 100;
  std::uint32_t replicas = 1;

  std::uint32_t servers = 1;      ///< members that the first view waits for; named server0 …
  std::uint32_t workers = 1;      ///< all workers of the job; named worker0 …
  std::uint32_t min_workers = 1;  ///< training waits while the view has fewer
  std::uint32_t slices = 1;
  WorkerScope worker_scope = WorkerScope::all;
  bool stop_on_data_loss = false;      ///< when no replica of a block is left: end the run, rather than roll it back
  bool speculate = false;              ///< idle workers compute a slow one's slice as well; not with a refresh_interval
  std::uint64_t refresh_interval = 1;  ///< iterations between two moments at which workers take new weights

  Consistency consistency = Consistency::bsp;
  std::uint64_t staleness = 0;  ///< the bound of Consistency::ssp, in iterations

  Iteration iterations{1};  ///< the last one
  OptimizerSpec optimizer;
  Compression compression;
  CheckpointRule checkpoint;
  std::uint64_t evaluate_interval = 0;  ///< iterations; 0: never

  std::uint32_t message_bytes = 1U << 20U;  ///< largest payload of a message that carries blocks
  Timeouts timeouts;

  /// Whether slices run on independently of each other, each by its own clock.
  bool asynchronous() const { return consistency != Consistency::bsp; }

  /// With WorkerScope::server: the slices [home * per_server, (home + 1) * per_server) belong to server `home`.
  std::uint32_t slices_per_server() const { return worker_scope == WorkerScope::server ? slices / servers : slices; }
};

}  // namespace ringps
