// One shard of the model: the blocks that a server holds, as their primary or as a replica, and the contributions that
// are to make their next versions. Pure. Not thread-safe; owned by one loop.
//
// Each block walks on its own from version to version. Its primary counts contributions by slice, reduces them in slice
// order when all are there, steps the optimizer, sends the reduced gradient along the chain of its replicas, and when
// all of them have it, the version is committed: whoever waits for it is answered. The current and the previous version
// of a block stay, so that a slice taken over late can be computed from the version that everybody else used.
//
// After each change of the view a primary asks its replicas which versions they have, and hands whole blocks to those
// that lack them: at once to the settled ring's, which every commit needs, and beside training to newcomers.
//
// In asynchronous modes a block does not wait for all slices: a version is a step with whatever contributions have
// come, and the block's buffer carries one clock per slice, which says what is in it (clocks.hpp, shard_async.cpp).
//
// This header is longer than others because the whole state of a shard stands here. shard.cpp: views and restores;
// shard_requests.cpp: requests of workers; shard_blocks.cpp: versions and checkpoints; shard_answers.cpp: who
// waits for versions; shard_replicas.cpp: what goes between servers, shard_as_replica.cpp: the other end of it;
// shard_formats.cpp: payloads that are compressed; shard_async.cpp: what is different in asynchronous modes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/base/buffer.hpp"
#include "libps/base/buffer_pool.hpp"
#include "libps/base/time.hpp"
#include "libps/core/clocks.hpp"
#include "libps/core/job.hpp"
#include "libps/core/repeat_timer.hpp"
#include "libps/optim/reduce.hpp"
#include "libps/ring/layout.hpp"
#include "libps/ring/view.hpp"
#include "libps/rows/row_block.hpp"
#include "libps/wire/compression.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// Where an answer goes: the routing id that the request came from. Opaque to the cores.
using Route = std::string;

/// One version of one block of a tensor: its values, then its optimizer state, then in asynchronous modes its clocks.
/// Never changed once it is shared.
using BlockBuffer = Buffer;

/// One version of one block as it comes from a checkpoint: of a tensor, or of a table.
struct BlockState {
  BlockState(BlockBuffer of_tensor) : buffer(std::move(of_tensor)) {}  // NOLINT(google-explicit-constructor)
  BlockState(RowImage of_table) : rows(std::move(of_table)) {}         // NOLINT(google-explicit-constructor)

  BlockBuffer buffer;
  std::optional<RowImage> rows;
};

class Shard {
 public:
  struct Reply {
    Route to;
    Message message;
  };
  struct ToServer {
    std::uint32_t server;  ///< index in view().servers
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
    BlockBuffer buffer;       ///< of a tensor
    RowBlock::Snapshot rows;  ///< of a table
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
  using Effect = std::variant<Reply, ToServer, FetchView, RestoreBlocks, WriteCheckpoint, Tell>;
  using Effects = std::vector<Effect>;

  /// What a message did, in numbers that only grow.
  struct Counters {
    std::uint64_t refused = 0;
    std::uint64_t stale = 0;
    std::uint64_t duplicates = 0;  ///< block contributions that had been counted before
    std::uint64_t blocks_applied = 0;
  };

  Shard(const JobSpec& job, ServerId id, Incarnation incarnation);

  void on_view(Time now, const View& view, Effects& effects);
  /// From a worker or another server. `from`: empty if it did not come through the socket that this server binds.
  void on_message(Time now, const Route& from, const Message& message, Effects& effects);
  /// `states`: for each block of RestoreBlocks, in its order. Ignored if the view has moved to another restore since.
  void on_restored(Time now, Epoch restore_epoch, std::vector<BlockState> states, Effects& effects);
  /// What was asked for with RestoreBlocks cannot be had. The run has to end, unless the view has moved to another
  /// restore since: then the checkpoint may well have been deleted.
  void on_restore_failed(Epoch restore_epoch, std::string text, Effects& effects) const;
  /// The coordinator's word on when the next checkpoint is due (CheckpointBegin); repeats do no harm.
  void on_checkpoint_begin(Time now, Iteration iteration, Epoch restore_epoch, Effects& effects);
  void on_tick(Time now, Effects& effects);
  Time next_deadline() const;

  /// The oldest version of any block that this server is primary for.
  Iteration version() const;
  /// The newest version of any block that it holds.
  Iteration newest() const { return newest_; }
  /// "iteration 61 waits for slice 2 of worker1", or empty.
  std::string waiting_for() const;
  const Counters& counters() const { return counters_; }
  const BlockTable& table() const { return table_; }
  const View& view() const { return view_; }
  Epoch epoch() const { return view_.epoch; }
  Epoch restore_epoch() const { return view_.restore.epoch; }

  /// What the shard holds for others.
  struct Load {
    std::size_t parked = 0;       ///< messages that wait for a view or a restore
    std::size_t waiting = 0;      ///< requests that wait for an iteration
    std::size_t kept = 0;         ///< payloads that are not reduced yet
    std::size_t replicating = 0;  ///< gradients that replicas have not answered
  };
  Load load() const {
    return {parked_.size(), waiters_.size() - waiters_free_.size(), kept_.size() - kept_free_.size(),
            outstanding_.size()};
  }

  /// The blocks held with version and buffers, for the simulator's checkers.
  struct Observed {
    BlockId block;
    Iteration version;
    std::span<const float> current;
    std::span<const float> previous;  ///< empty if there is none
    const RowBlock* rows;             ///< of a table, else null
    bool primary;
    bool committed;  ///< primaries: all holders are known to have `version`
    Epoch made_in;   ///< of the view whose primary made `version`
  };
  std::vector<Observed> observe() const;

 private:
  using Local = std::uint32_t;  ///< index of a block among the owned ones
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  /// One block's contribution of one slice: where its bytes lie in a message that is kept until nobody needs it. Of a
  /// table: a RowList.
  struct Contribution {
    const std::byte* values = nullptr;
    std::uint32_t message = none;  ///< index in kept_
  };
  struct Kept {
    Payload payload;
    std::uint32_t uses = 0;
  };
  /// What a primary knows of one replica of one block, in the current epoch.
  struct Replica {
    enum class State : std::uint8_t {
      asking,   ///< asked for its version
      unknown,  ///< did not answer in time
      behind,   ///< waits to be handed the block
      moving,   ///< the block is on its way to it
      synced,   ///< has the block's version; belongs to the chain
    };
    std::uint32_t server = 0;  ///< index in the view
    bool holder = false;       ///< of the settled ring: no version is committed without it
    State state = State::asking;

    /// While this is so the block does not go on to its next version.
    bool gates() const {
      return state == State::asking || state == State::moving || (holder && state != State::synced);
    }
  };
  struct Block {
    BlockId id;
    Iteration version;
    std::uint32_t primary = none;   ///< index in the view
    std::uint32_t self = none;      ///< this server's, in the same view
    std::uint32_t contributed = 0;  ///< slices that have contributed to version + 1
    std::uint32_t first_waiter = none;
    BlockBuffer current;           ///< of `version`; null: not handed over or restored yet
    BlockBuffer previous;          ///< of version - 1, perhaps its values only; null right after a restore
    std::optional<RowBlock> rows;  ///< of a table: in place of the two, both versions
    /// Of a table, by slot of a slice: where the rows are that it was last given, and whose gradients come next.
    std::vector<std::vector<std::uint32_t>> places;
    // The primary's:
    bool committed = false;         ///< whether all holders are known to have `version`
    bool replicating = false;       ///< `version` has been sent along the chain and not been answered
    std::uint32_t chain = none;     ///< index in chains_; none: there is nobody to send to
    std::vector<Replica> replicas;  ///< holders, then newcomers, in the order of the rings
    Iteration held;                 ///< newest version that was kept for a checkpoint
    /// Of the view whose primary made `version`. In asynchronous modes two primaries may make other steps of the same
    /// number, so replicas are in sync when this is equal too. 0: restored, and perhaps not as its replicas were.
    Epoch made_in;

    bool is_there() const { return current || rows; }
    bool has_previous() const { return rows ? rows->has_previous() : static_cast<bool>(previous); }
  };
  /// One replica-bearing server, in the current epoch.
  struct Peer {
    std::vector<Local> blocks;  ///< that it is to have of ours, ascending
    RequestId asked;            ///< ticket of the last Compare; 0: answered
    Time ask_again = time_never;
    std::deque<Local> behind;  ///< to be handed over, holders' first
    RequestId handoff;         ///< ticket of the one under way; 0: none
    std::vector<Local> moving;
    Time sent;
    Time send_again = time_never;
  };
  /// Reduced gradients of several blocks of one iteration, on their way into one chain.
  struct Batch {
    Iteration iteration;
    std::vector<Local> blocks;
    Buffer gradients;
    std::size_t elements = 0;            ///< of the blocks so far
    std::vector<std::uint32_t> slots{};  ///< asynchronous modes: of the slices whose contributions are in them
  };
  struct Outstanding {
    Batch batch;
    std::uint32_t chain = none;
    RepeatTimer timer;
  };
  /// A request that is answered when `iteration` of all its blocks is committed. It hangs in the list of the last block
  /// that has not (Block::first_waiter): blocks are mostly applied in their order, so most requests are looked at once.
  struct Waiter {
    Route from;
    std::string sender;
    RequestId request;
    Iteration iteration;
    bool want_values = true;
    bool follow = false;                  ///< is answered with every later version too
    Payload ids;                          ///< PullRows: of the rows, else empty
    std::vector<std::uint32_t> places{};  ///< of the rows, once looked up: see RowBlock::look_up()
    std::vector<BlockRun> runs;
    std::vector<Local> blocks;
    std::size_t lacking = 0;  ///< blocks from this index on have reached `iteration`
    std::uint32_t next = none;
    /// Of the slice that the rows are for; asynchronous modes: whose contribution is to be committed.
    std::uint32_t slot = none;
  };

  // shard.cpp and shard_requests.cpp
  void dispatch(const Route& from, const Message& message, Effects& effects);
  void park(const Route& from, Message message);
  void unpark(Effects& effects);
  void take_places(const Placement& placement);
  void restore(const Placement& placement, Effects& effects);
  template <class Request>
  void on_contribution(const Route& from, const Message& message, const Request& request, bool want_values,
                       Effects& effects);
  void on_ask_missing(const Route& from, const Message& message, const AskMissing& ask, Effects& effects);
  std::optional<Iteration> wanted_version(const Route& from, const Message& message, Iteration named, Effects& effects);
  void on_pull(const Route& from, const Message& message, const Pull& pull, Effects& effects);
  void on_pull_rows(const Route& from, const Message& message, const PullRows& pull, Effects& effects);
  /// What a request may name.
  enum class Wanted : std::uint8_t { tensors, tables, both };
  bool locate(const std::vector<BlockRun>& runs, Wanted wanted, std::vector<Local>& blocks, const Route& from,
              const Message& message, Effects& effects);
  enum class Parts : std::uint8_t { values, ids };
  bool cut(const Payload& payload, Parts parts, const std::vector<Local>& blocks);
  static std::string not_finite_text(Iteration iteration, SliceId slice, const std::string& where);
  bool rows_are_finite(const Route& from, const Message& message, const PushRows& push,
                       const std::vector<Local>& blocks, Effects& effects);
  bool have_contribution(const std::vector<Local>& blocks, std::uint32_t slot, Iteration iteration) const;
  void count(const std::vector<Local>& blocks, const std::vector<const std::byte*>& parts, std::uint32_t slot,
             const Payload& payload, Iteration iteration, Effects& effects);
  void let_go(Contribution& contribution);

  // shard_blocks.cpp
  bool mine(const Block& block) const { return block.primary == self_; }
  /// A block is never more than one version ahead of what is committed.
  static Iteration committed_version(const Block& block) {
    return Iteration{block.version.value - (block.committed ? 0 : 1)};
  }
  static bool has_committed(const Block& block, Iteration iteration) {
    return iteration.value + (block.committed ? 0 : 1) <= block.version.value;
  }
  bool complete(const Block& block) const;
  void apply_block(Local local, Effects& effects);
  const OptimizerStep& step_of(const Block& block);
  /// Whether a reduced gradient may be applied that is NaN or infinite somewhere.
  enum class Finite : std::uint8_t { required, no_matter };
  bool step(Block& block, std::span<const std::byte* const> contributions, float scale, std::span<float> keep,
            Finite finite);
  bool drop_not_finite(Local local);
  void prepare_spares(const Block& block);
  void step_rows(Block& block, std::span<const std::byte* const> contributions, std::span<const std::uint32_t> slots,
                 float scale, Effects& effects);
  void recount_rows();
  void check_rows(std::uint32_t table, Effects& effects);
  void commit(Local local, Effects& effects);
  void hold_for_checkpoint(Block& block, Effects& effects);
  void hold_all(Effects& effects);
  void pass_gate(Effects& effects);

  // shard_answers.cpp
  Waiter waiter_of(const Route& from, const Envelope& envelope, Iteration iteration, const std::vector<BlockRun>& runs);
  void wait(Waiter waiter, Effects& effects);
  void release(std::uint32_t waiter);
  bool advance(std::uint32_t index, Effects& effects);
  bool hang(std::uint32_t index);
  bool answer(Waiter& waiter, Effects& effects);
  Payload gather(const Waiter& waiter);
  void look_up_rows(Waiter& waiter) const;
  Payload gather_rows(Waiter& waiter);
  void reply(const Route& to, RequestId request, Body body, Payload payload, Effects& effects) const;
  void refuse(const Route& to, RequestId request, RefusalReason reason, std::string text, Effects& effects);

  // shard_formats.cpp
  std::optional<Payload> plain_values(const Route& from, const Message& message, PayloadFormat format,
                                      Effects& effects);
  PayloadCoder::Encoded encoded(const Payload& values);
  const PayloadCoder::Encoded& encoded(const Waiter& waiter);

  // shard_async.cpp
  std::size_t clock_floats() const { return job_.asynchronous() ? slices_.size() * floats_per_clock : 0; }
  std::span<const float> clocks(const Block& block) const { return clocks(block, false); }
  std::span<const float> clocks(const Block& block, bool previous) const {
    return block.rows ? block.rows->clocks(previous)
                      : (previous ? block.previous : block.current).values().last(clock_floats());
  }
  /// What is committed of a block; empty if that is not known.
  std::span<const float> committed_clocks(const Block& block) const {
    return block.committed || block.has_previous() ? clocks(block, !block.committed) : std::span<const float>{};
  }
  bool is_next(Local local, std::uint32_t slot, Iteration iteration) const;
  bool is_ahead(const Block& block, SliceId slice, Iteration iteration) const;
  bool has_passed(const Block& block, Iteration iteration) const;
  bool reached(const Block& block, const Waiter& waiter) const;
  OptimizerStep asynchronous_step(const Block& block) const;
  void advance_clocks(const Block& block, std::span<float> after) const;
  void note_newest(const Block& block);
  bool same_state(const Block& block, const Compared& compared, std::size_t at) const;
  bool is_news(const Block& block, const HandedBlock& handed) const;
  bool take_slices(const Replicate& replicate);
  void answer_newest(Waiter& waiter, Effects& effects);
  Payload gather_newest(const Waiter& waiter) const;
  std::string slowest_slice(const Block& block) const;

  // shard_replicas.cpp: the primary's side
  void forget_replicas();
  void ask_replicas(Effects& effects);
  void ask(std::uint32_t server, Effects& effects);
  void on_compared(std::uint32_t from, const Compared& compared, Effects& effects);
  void on_compare_timeout(std::uint32_t server, Effects& effects);
  void hand_over(std::uint32_t server, Effects& effects);
  void send_handoff(std::uint32_t server, Effects& effects);
  void on_handoff_ack(std::uint32_t from, const HandoffAck& ack, Effects& effects);
  void on_handoff_timeout(std::uint32_t server, Effects& effects);
  void flush(Effects& effects);
  void send_outstanding(RequestId ticket, const Outstanding& outstanding, Effects& effects);
  void on_replicate_ack(const ReplicateAck& ack, Effects& effects);
  Replica& replica_of(Local local, std::uint32_t server);
  void set_state(Local local, std::uint32_t server, Replica::State state);
  void review(Local local, Effects& effects);
  void tell_if_ready(Effects& effects);
  std::span<float> room_in_batch(Local local, Iteration iteration, std::size_t elements, Effects& effects);
  void take_back_room(std::uint32_t chain, std::size_t elements);
  void send_batch(std::uint32_t chain, Effects& effects);
  // … and the replica's, shard_as_replica.cpp
  bool on_server_message(const Message& message, Effects& effects);
  bool on_compare(std::uint32_t from, const Compare& compare, Effects& effects);
  bool on_replicate(std::uint32_t from, const Message& message, const Replicate& replicate, Effects& effects);
  bool on_handoff(std::uint32_t from, const Message& message, const Handoff& handoff, Effects& effects);
  std::optional<std::vector<Local>> held(const std::vector<BlockRun>& runs) const;
  std::size_t model_floats(BlockId block) const {
    return std::size_t{table_[block].elements} * (1 + job_.optimizer.state_per_element());
  }
  std::size_t block_floats(BlockId block) const { return model_floats(block) + clock_floats(); }
  /// Whether of the version before the current one nothing but the values counts.
  bool keeps_values_only() const { return !job_.asynchronous() && job_.optimizer.state_per_element() != 0; }
  std::size_t previous_floats(BlockId block) const {
    return keeps_values_only() ? table_[block].elements : block_floats(block);
  }
  std::size_t handoff_bytes(const Block& block) const;
  void to_server(std::uint32_t server, Body body, Payload payload, Effects& effects) const;

  // Constant after construction.
  const JobSpec& job_;
  const ServerId id_;
  const Incarnation incarnation_;
  const BlockTable table_;

  const float scale_;                ///< of a sum of contributions
  std::vector<RowRules> row_rules_;  ///< per table

  std::vector<std::uint32_t> slot_of_slice_;  ///< position among the slices that contribute here, or none
  std::vector<SliceId> slices_;               ///< those, ascending

  // Follows from the view.
  View view_;
  std::uint32_t self_ = none;    ///< index in the view
  std::vector<Local> local_of_;  ///< per BlockId: index in blocks_, or none
  std::vector<Local> owned_;     ///< those that this server is primary for, ascending

  // The model and what is on its way into it.
  bool restored_ = false;
  std::vector<BlockId> restoring_;           ///< blocks whose values are on their way from a checkpoint
  std::vector<Block> blocks_;                ///< held, ascending by id
  std::vector<Contribution> contributions_;  ///< per block, slices_.size() entries
  std::vector<Kept> kept_;
  std::vector<std::uint32_t> kept_free_;
  std::vector<Waiter> waiters_;  ///< those that are free keep their memory
  std::vector<std::uint32_t> waiters_free_;
  Iteration newest_;
  std::vector<std::uint64_t> rows_held_;  ///< per table: rows in all blocks

  // Replication, of the current epoch.
  std::vector<Peer> peers_;                         ///< per server of the view
  std::vector<std::vector<std::uint32_t>> chains_;  ///< distinct ones: this server, then replicas in sync
  std::vector<Time> chain_answered_;                ///< per chain: when it last did
  std::vector<Batch> batches_;                      ///< per chain: not sent yet
  std::map<RequestId, Outstanding> outstanding_;    ///< by ticket
  RequestId last_ticket_;
  std::size_t unsynced_ = 0;  ///< replicas of owned blocks that are not in sync
  Time next_handoff_;         ///< to a newcomer: handing over takes half the time at most
  bool told_ready_ = false;
  bool told_full_ = false;  ///< that a table has too many rows
  struct {
    std::uint32_t slot = none;
    std::string text;
  } not_finite_;  ///< whose contribution the event has dropped, last, and where it was first not finite
  Time now_;      ///< of the event that is being handled

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

  // Buffers and scratch, to spare allocations; and the last gathered answer, which other workers will ask for as well.
  BufferPool spare_;  ///< versions before the previous one, and answers: to be written again once nobody reads them
  std::vector<const std::byte*> pointers_;
  std::vector<RowList> lists_;
  Floats clocks_;                        ///< of the step of rows that is being made
  std::vector<const std::byte*> parts_;  ///< of the payload that is looked at: where each block's begins
  std::vector<std::uint32_t> merged_;    ///< asynchronous modes: slots of the step that is being made
  OptimizerStep step_;
  Floats gradient_ = Floats(piece_elements);
  Floats scratch_;  ///< values and state of as many elements
  std::vector<Local> located_;
  struct {
    Iteration iteration;
    std::vector<BlockRun> runs;
    Payload payload;
  } gathered_;
  PayloadCoder coder_;
  std::vector<std::uint32_t> sizes_;  ///< of the blocks of the payload that is decoded
  struct {
    Iteration iteration;
    std::vector<BlockRun> runs;
    PayloadCoder::Encoded answer;
  } encoded_;  ///< the last compressed answer, as gathered_
};

}  // namespace ringps
