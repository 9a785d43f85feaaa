// One shard of the model: the blocks that a server is primary for, their versions, and the contributions that are to
// make the next ones. Pure. Not thread-safe; owned by one loop.
//
// Each block walks on its own from version to version: it counts contributions by slice, reduces them in slice order
// when all are there, steps the optimizer, and then answers who waits for the new version. The current and the previous
// version of a block stay, so that a slice taken over late can be computed from the version that everybody else used.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/core/job.hpp"
#include "libps/ring/layout.hpp"
#include "libps/ring/view.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// Where an answer goes: the routing id that the request came from. Opaque to the cores.
using Route = std::string;

/// One version of one block: its values, then its optimizer state. Never changed once it is shared.
using BlockBuffer = std::shared_ptr<Floats>;

class Shard {
 public:
  struct Reply {
    Route to;
    Message message;
  };
  struct FetchView {};  ///< somebody is ahead of us
  /// Bring the values and state of `blocks` from the checkpoint, then call on_restored. Versions are known at once.
  struct RestoreBlocks {
    Restore restore;
    std::vector<BlockId> blocks;
  };
  struct SnapshotBlock {
    BlockId block;
    std::shared_ptr<const Floats> buffer;
  };
  /// Write these blocks, ascending and all of version `iteration`, to disk, and then tell the coordinator
  /// BlocksWritten.
  struct WriteCheckpoint {
    Iteration iteration;
    Epoch restore_epoch;
    Epoch owned_since;
    std::vector<SnapshotBlock> blocks;
  };
  struct Tell {  ///< the coordinator, reliably
    Body body;
  };
  using Effect = std::variant<Reply, FetchView, RestoreBlocks, WriteCheckpoint, Tell>;
  using Effects = std::vector<Effect>;

  /// What a message did, in numbers that only grow.
  struct Counters {
    std::uint64_t refused = 0;
    std::uint64_t stale = 0;
    std::uint64_t duplicates = 0;  ///< block contributions that had been counted before
    std::uint64_t blocks_applied = 0;
  };

  Shard(const JobSpec& job, ServerId id, Incarnation incarnation);

  void on_view(const View& view, Effects& effects);
  void on_message(const Route& from, Message message, Effects& effects);
  /// `buffers`: for each block of RestoreBlocks, in its order. Ignored if the view has moved to another restore since.
  void on_restored(Epoch restore_epoch, std::vector<BlockBuffer> buffers, Effects& effects);
  /// The coordinator's word on when the next checkpoint is due (CheckpointBegin); repeats do no harm.
  void on_checkpoint_begin(Iteration iteration, Epoch restore_epoch, Effects& effects);

  /// The newest version that all owned blocks have.
  Iteration version() const;
  /// The newest version that any owned block has.
  Iteration newest() const { return newest_; }
  /// "iteration 61 waits for slice 2 of worker1", or empty.
  std::string waiting_for() const;
  const Counters& counters() const { return counters_; }
  const BlockTable& table() const { return table_; }
  Epoch epoch() const { return view_.epoch; }
  Epoch restore_epoch() const { return view_.restore.epoch; }

  /// What the shard holds for others.
  struct Load {
    std::size_t parked = 0;   ///< messages that wait for a view or a restore
    std::size_t waiting = 0;  ///< requests that wait for an iteration
    std::size_t kept = 0;     ///< payloads that are not reduced yet
  };
  Load load() const {
    return {parked_.size(), waiters_.size() - waiters_free_.size(), kept_.size() - kept_free_.size()};
  }

  /// The owned blocks with version and buffers, for the simulator's checkers.
  struct Observed {
    BlockId block;
    Iteration version;
    const Floats* current;
    const Floats* previous;  ///< null if there is none
  };
  std::vector<Observed> observe() const;

 private:
  using Local = std::uint32_t;  ///< index of a block among the owned ones
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  /// One block's contribution of one slice: where its bytes lie in a message that is kept until nobody needs it.
  struct Contribution {
    const std::byte* values = nullptr;
    std::uint32_t message = none;  ///< index in kept_
  };
  struct Kept {
    Payload payload;
    std::uint32_t uses = 0;
  };
  struct Block {
    BlockId id;
    Iteration version;
    std::uint32_t contributed = 0;  ///< slices that have contributed to version + 1
    std::uint32_t first_waiter = none;
    BlockBuffer current;   ///< of `version`
    BlockBuffer previous;  ///< of version - 1; null right after a restore
    BlockBuffer spare;     ///< the one before, to be written again once nobody else holds it
  };
  /// A request that is answered when all its blocks have reached `iteration`. It hangs in the list of the first block
  /// that has not (Block::first_waiter), so applying a block looks only at those who wait for it first.
  struct Waiter {
    Route from;
    std::string sender;
    RequestId request;
    Iteration iteration;
    bool want_values = true;
    std::vector<BlockRun> runs;
    std::vector<Local> blocks;
    std::size_t ready = 0;  ///< blocks before this index have reached `iteration`
    std::uint32_t next = none;
  };

  void dispatch(const Route& from, Message message, Effects& effects);
  void park(const Route& from, Message message);
  void unpark(Effects& effects);
  void take_ownership(Effects& effects);

  template <class Request>
  void on_contribution(const Route& from, const Message& message, const Request& request, bool want_values,
                       Effects& effects);
  void on_pull(const Route& from, const Message& message, const Pull& pull, Effects& effects);
  bool locate(const std::vector<BlockRun>& runs, std::vector<Local>& blocks, std::size_t& elements, const Route& from,
              const Message& message, Effects& effects);
  bool payload_is_finite(const Route& from, const Message& message, Iteration iteration, SliceId slice,
                         const std::vector<Local>& blocks, Effects& effects);
  void count(const std::vector<Local>& blocks, std::uint32_t slot, const Payload& payload, Iteration iteration,
             Effects& effects);

  bool complete(const Block& block) const;
  void apply_block(Local local, Effects& effects);
  BlockBuffer next_buffer(Block& block) const;
  void hold_for_checkpoint(const Block& block, Effects& effects);
  void pass_gate(Effects& effects);

  void wait(Waiter waiter, Effects& effects);
  bool advance(std::uint32_t index, Effects& effects);
  void answer(const Waiter& waiter, Effects& effects);
  Payload gather(const Waiter& waiter);

  void reply(const Route& to, RequestId request, Body body, Payload payload, Effects& effects) const;
  void refuse(const Route& to, RequestId request, RefusalReason reason, std::string text, Effects& effects);

  // Constant after construction.
  const JobSpec& job_;
  const ServerId id_;
  const Incarnation incarnation_;
  const BlockTable table_;

  // Follows from the view.
  View view_;
  std::vector<std::uint32_t> slot_of_slice_;  ///< position among the slices that contribute here, or none
  std::vector<SliceId> slices_;               ///< those, ascending
  std::vector<Local> local_of_;               ///< per BlockId: index in blocks_, or none

  // The model and what is on its way into it.
  bool restored_ = false;
  std::vector<Block> blocks_;                ///< ascending by id
  std::vector<Contribution> contributions_;  ///< per block, slices_.size() entries
  std::vector<Kept> kept_;
  std::vector<std::uint32_t> kept_free_;
  std::vector<Waiter> waiters_;
  std::vector<std::uint32_t> waiters_free_;
  Iteration newest_;

  // Checkpoints: the next one is taken at next_checkpoint_; the last version always is.
  Iteration next_checkpoint_;
  std::map<Iteration, std::vector<SnapshotBlock>> held_;

  struct Parked {
    Route from;
    Message message;
  };
  std::deque<Parked> parked_;  ///< for a view or values that are on their way
  std::size_t parked_bytes_ = 0;

  Counters counters_;

  // Scratch, to spare allocations; and the last gathered answer, which other workers will ask for as well.
  std::vector<const std::byte*> pointers_;
  Floats gradient_;
  std::vector<Local> located_;
  struct {
    Iteration iteration;
    std::vector<BlockRun> runs;
    Payload payload;
  } gathered_;
};

}  // namespace ringps
