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
  bool stays = true;     ///< belongs to the target ring; false: it is being drained

  static auto fields(auto& m) { return std::tie(m.id, m.incarnation, m.endpoint, m.stays); }
  friend bool operator==(const ServerMember&, const ServerMember&) = default;
};

/// A server of the settled ring; it may have gone since.
struct RingMember {
  ServerId id;
  Incarnation incarnation;

  static auto fields(auto& m) { return std::tie(m.id, m.incarnation); }
  friend bool operator==(const RingMember&, const RingMember&) = default;
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

/// Two rings place the blocks. The settled ring is the last one whose replicas were all in sync: whoever of a block's
/// replicas on it is still there has the block, and the first of them is its primary. The target ring is made of all
/// servers that stay: its replicas are brought up to date beside training, and once all are, the next view makes it the
/// settled ring.
struct View {
  Epoch epoch;
  std::vector<ServerMember> servers;     ///< all that are there
  std::vector<RingMember> settled_ring;  ///< its servers, those that have gone included
  std::vector<WorkerMember> workers;
  std::vector<std::uint32_t> slice_worker;  ///< per slice: index in `workers`, or no_worker
  Restore restore;
  Epoch owned_since;                   ///< the view in which blocks last changed their primaries
  std::vector<std::string> retired;    ///< ids that were drained: their part in the run is done
  std::uint64_t placement_digest = 0;  ///< see Placement::digest
  std::string cause;                   ///< why there is this view, in words: "server4 removed: no heartbeat for 2.0 s"

  /// Whether all replicas are where they belong: the target ring is the settled one.
  bool settled() const;
  bool is_retired(std::string_view id) const;
  std::optional<std::uint32_t> server_index(std::string_view id) const;
  std::optional<std::uint32_t> worker_index(std::string_view id) const;
  /// The slices that `worker` computes in this view, ascending.
  std::vector<SliceId> slices_of(std::string_view worker) const;

  static auto fields(auto& v) {
    return std::tie(v.epoch, v.servers, v.settled_ring, v.workers, v.slice_worker, v.restore, v.owned_since, v.retired,
                    v.placement_digest, v.cause);
  }
  friend bool operator==(const View&, const View&) = default;
};

/// Who holds which block: a pure function of the servers of a view and the job's blocks.
class Placement {
 public:
  Placement() = default;
  Placement(const View& view, const BlockTable& blocks, std::uint32_t virtual_nodes, std::uint32_t replicas);
  /// Of a settled view with these servers.
  Placement(const std::vector<std::string>& servers, const BlockTable& blocks, std::uint32_t virtual_nodes,
            std::uint32_t replicas);

  /// Servers as indices in View::servers.
  using Servers = std::vector<std::uint32_t>;

  /// Those that have the block, in the order of the settled ring: the primary, then its backups. Empty: it is lost.
  const Servers& holders(BlockId block) const { return holders_[block.value]; }
  /// Those that the target ring adds, in its order: they are to be given the block.
  const Servers& newcomers(BlockId block) const { return newcomers_[block.value]; }
  /// Of a block that is not lost.
  std::uint32_t primary(BlockId block) const { return holders_[block.value].front(); }
  /// The blocks that a server is primary for, ascending.
  const std::vector<BlockId>& owned(std::uint32_t server) const { return owned_[server]; }
  /// Whether some block has no holder left.
  bool lost() const { return lost_; }
  /// Hash of the whole result; nodes that compute different ones must not work together.
  std::uint64_t digest() const { return digest_; }

 private:
  std::vector<Servers> holders_;    ///< per block
  std::vector<Servers> newcomers_;  ///< per block
  std::vector<std::vector<BlockId>> owned_;
  bool lost_ = false;
  std::uint64_t digest_ = 0;
};

/// Bytes in `blocks`' values.
std::uint64_t value_bytes(const BlockTable& table, const std::vector<BlockId>& blocks);

}  // namespace ringps
