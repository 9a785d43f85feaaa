// The view: the numbered, immutable description of the cluster that every node works by, and the placement that
// follows from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "libps/base/types.hpp"
#include "libps/ring/layout.hpp"

namespace ringps {

struct ServerMember {
  ServerId id;
  Incarnation incarnation;
  std::string endpoint;  ///< of its data ROUTER, as workers connect to it

  static auto fields(auto& m) { return std::tie(m.id, m.incarnation, m.endpoint); }
  friend bool operator==(const ServerMember&, const ServerMember&) = default;
};

struct WorkerMember {
  WorkerId id;
  Incarnation incarnation;

  static auto fields(auto& m) { return std::tie(m.id, m.incarnation); }
  friend bool operator==(const WorkerMember&, const WorkerMember&) = default;
};

/// Where the current lineage of the model began: a node whose state stems from an earlier `epoch` drops it and takes
/// every block from here. Carried by every view from then on, so that a missed view need not be replayed.
struct Restore {
  Epoch epoch;             ///< of the view that ordered it
  Iteration iteration;     ///< version of every block afterwards
  std::string checkpoint;  ///< folder of the committed checkpoint; empty: the initialisers (iteration 0)

  static auto fields(auto& r) { return std::tie(r.epoch, r.iteration, r.checkpoint); }
  friend bool operator==(const Restore&, const Restore&) = default;
};

/// In View::slice_worker: nobody computes this slice now.
inline constexpr std::uint32_t no_worker = 0xFFFFFFFF;

struct View {
  Epoch epoch;
  std::vector<ServerMember> servers;
  std::vector<WorkerMember> workers;
  std::vector<std::uint32_t> slice_worker;  ///< per slice: index in `workers`, or no_worker
  Restore restore;
  std::uint64_t placement_digest = 0;  ///< see Placement::digest
  std::string cause;                   ///< why there is this view, in words: "server4 removed: no heartbeat for 2.0 s"

  std::optional<std::uint32_t> server_index(std::string_view id) const;
  std::optional<std::uint32_t> worker_index(std::string_view id) const;
  /// The slices that `worker` computes in this view, ascending.
  std::vector<SliceId> slices_of(std::string_view worker) const;

  static auto fields(auto& v) {
    return std::tie(v.epoch, v.servers, v.workers, v.slice_worker, v.restore, v.placement_digest, v.cause);
  }
  friend bool operator==(const View&, const View&) = default;
};

/// Who holds which block: a pure function of the servers of a view and the job's blocks.
class Placement {
 public:
  Placement() = default;
  Placement(const std::vector<std::string>& servers, const BlockTable& blocks, std::uint32_t virtual_nodes,
            std::uint32_t replicas);
  Placement(const View& view, const BlockTable& blocks, std::uint32_t virtual_nodes, std::uint32_t replicas);

  std::uint32_t primary(BlockId block) const { return replicas_of_[block.value * width_]; }
  /// The servers that hold the block, primary first.
  std::vector<std::uint32_t> replicas(BlockId block) const;
  /// The blocks that a server is primary for, ascending.
  const std::vector<BlockId>& owned(std::uint32_t server) const { return owned_[server]; }
  /// Hash of the whole result; nodes that compute different ones must not work together.
  std::uint64_t digest() const { return digest_; }

 private:
  std::uint32_t width_ = 1;                 ///< replicas of every block
  std::vector<std::uint32_t> replicas_of_;  ///< width_ entries per block
  std::vector<std::vector<BlockId>> owned_;
  std::uint64_t digest_ = 0;
};

/// Bytes in `blocks`' values.
std::uint64_t value_bytes(const BlockTable& table, const std::vector<BlockId>& blocks);

}  // namespace ringps
