// Every message of the protocol, its fields and its number. Start reading here.
//
// A message is two ZeroMQ frames: a header, which is one msgpack array
//   [protocol version, kind, cluster, role, sender, incarnation, epoch, request, the kind's own fields …]
// and, where the kind carries values, one frame of raw little-endian float32; for blocks of tables, of lists of rows
// (libps/rows/row_list.hpp); between workers and servers also what their `format` says (compression.hpp). codec.hpp
// turns them into these structs and back; nothing else knows bytes. Numbers of kinds are never used again for something
// else. The header is longer than others because the whole protocol stands in this one place.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "libps/base/types.hpp"
#include "libps/ring/layout.hpp"
#include "libps/ring/view.hpp"
#include "libps/wire/encoding.hpp"
#include "libps/wire/payload.hpp"

namespace ringps {

inline constexpr std::uint32_t protocol_version = 5;

enum class Role : std::uint8_t { coordinator = 0, server = 1, worker = 2, control = 3 };

enum class Kind : std::uint8_t {
  // worker → server
  push = 1,
  pull = 2,
  push_pull = 3,
  ask_missing = 4,
  push_rows = 5,
  pull_rows = 6,
  // server → worker
  values = 10,
  ack = 11,
  stale = 12,
  refused = 13,
  missing = 14,
  // server → server
  replicate = 20,
  replicate_ack = 21,
  compare = 22,
  compared = 23,
  handoff = 24,
  handoff_ack = 25,
  // member or psctl → coordinator
  join = 30,
  heartbeat = 31,
  get_view = 32,
  leave = 33,
  suspect = 34,
  replicas_ready = 35,
  blocks_written = 36,
  progress = 37,
  get_status = 38,
  failed = 39,
  checkpoint_missed = 40,
  stop_run = 41,
  drain = 42,
  add_processes = 43,
  kill_process = 44,
  // coordinator → member or psctl
  joined = 50,
  heartbeat_answer = 51,
  view_answer = 52,
  probe = 53,
  status = 54,
  // coordinator, PUB
  view_published = 60,
  checkpoint_begin = 61,
  checkpoint_committed = 62,
  stop = 63,
};

// ---- worker → server ------------------------------------------------------------------------------------------------

/// Contribute the gradient of `slice` for the blocks of `runs` to `iteration`; payload: their values, in order, in the
/// job's format or the plain one where that is smaller.
/// Answered with Ack once every one of the blocks has committed `iteration`; in asynchronous modes once it has
/// committed this contribution. Who asks again sends no payload: the answer is the same if the blocks have the
/// contribution, and Missing if they have not.
struct Push {
  static constexpr Kind kind = Kind::push;
  Iteration iteration;
  SliceId slice;
  std::vector<BlockRun> runs;
  PayloadFormat format{};
  static auto fields(auto& m) { return std::tie(m.iteration, m.slice, m.runs, m.format); }
};

/// The same, answered with Values of version `iteration`; in asynchronous modes with the newest ones, as soon as they
/// lack no more of any slice than the staleness allows whoever computes the next iteration from them.
struct PushPull {
  static constexpr Kind kind = Kind::push_pull;
  Iteration iteration;
  SliceId slice;
  std::vector<BlockRun> runs;
  PayloadFormat format{};
  static auto fields(auto& m) { return std::tie(m.iteration, m.slice, m.runs, m.format); }
};

/// In Pull::iteration: the newest version that all of the blocks have.
inline constexpr Iteration newest_version{0xFFFFFFFFFFFFFFFF};

/// Wait until every one of the blocks has version `iteration`, and answer with Values of exactly that version, or with
/// Ack where `want_values` is false, as it must be for blocks of tables. With `follow` every later version is sent as
/// well, as soon as it is committed, under the same request, until the view changes: whoever needs all versions and
/// contributes nothing asks once.
/// In asynchronous modes: wait until the blocks have `iteration` of every slice, and answer with the newest Values.
struct Pull {
  static constexpr Kind kind = Kind::pull;
  Iteration iteration;
  bool want_values = true;
  std::vector<BlockRun> runs;
  bool follow = false;
  static auto fields(auto& m) { return std::tie(m.iteration, m.want_values, m.runs, m.follow); }
};

/// Contribute gradients of rows: those of `slice` in the blocks of `runs`, which are blocks of tables, to `iteration`;
/// payload: for each block a list of rows with values, which may be empty. Ids come in any order and any number of
/// times. Answered as Push.
struct PushRows {
  static constexpr Kind kind = Kind::push_rows;
  Iteration iteration;
  SliceId slice;
  std::vector<BlockRun> runs;
  static auto fields(auto& m) { return std::tie(m.iteration, m.slice, m.runs); }
};

/// Wait until every one of the blocks has version `iteration`, and answer with Values: the rows of that version, one
/// after another. Payload: for each block a list of ids. Rows that do not exist are answered as they would begin.
/// In asynchronous modes: wait until the blocks have committed the contribution of `slice` to `iteration` and lack no
/// more of any other than the staleness allows whoever computes the next iteration from them, and answer with the
/// newest rows; where `iteration` is newest_version, at once.
struct PullRows {
  static constexpr Kind kind = Kind::pull_rows;
  Iteration iteration;
  std::vector<BlockRun> runs;
  SliceId slice{};  ///< whose gradient is to be computed from them
  static auto fields(auto& m) { return std::tie(m.iteration, m.runs, m.slice); }
};

/// Which slices has `iteration` not got yet? From a worker that has nothing to do and may race the slowest one.
struct AskMissing {
  static constexpr Kind kind = Kind::ask_missing;
  Iteration iteration;
  static auto fields(auto& m) { return std::tie(m.iteration); }
};

// ---- server → worker ------------------------------------------------------------------------------------------------

/// Payload: the blocks of the request, or its rows, at version `iteration`, in the request's order, and the former in
/// the job's format. In asynchronous modes `clocks` says which contributions are in them: of each slice all up to that
/// iteration, in every one of the blocks.
struct Values {
  static constexpr Kind kind = Kind::values;
  Iteration iteration;
  std::vector<Iteration> clocks{};
  PayloadFormat format{};  ///< of rows always the plain one
  static auto fields(auto& m) { return std::tie(m.iteration, m.clocks, m.format); }
};

/// Done: the blocks of the request are committed at `iteration`; or, from the coordinator, heard and kept.
struct Ack {
  static constexpr Kind kind = Kind::ack;
  Iteration iteration;
  static auto fields(auto& m) { return std::tie(m.iteration); }
};

/// The slices that some block of the server's still waits for; none if it does not wait for `iteration`. As the answer
/// to a contribution without payload: this slice, for some of its blocks.
struct Missing {
  static constexpr Kind kind = Kind::missing;
  Iteration iteration;
  std::vector<SliceId> slices;  ///< ascending
  static auto fields(auto& m) { return std::tie(m.iteration, m.slices); }
};

/// Your epoch is old and your request changed nothing: here is the view.
struct Stale {
  static constexpr Kind kind = Kind::stale;
  View view;
  static auto fields(auto& m) { return std::tie(m.view); }
};

enum class RefusalReason : std::uint8_t {
  malformed = 1,       ///< an unknown tensor, blocks out of range, a payload of the wrong length
  unknown_sender = 2,  ///< not a member of the view, or another incarnation of it
  not_primary = 3,     ///< this server does not own the blocks in this epoch
  not_finite = 4,      ///< NaN or infinity; the run cannot go on
  version_gone = 5,    ///< the version asked for is no longer kept, or is too far ahead
  overloaded = 6,      ///< a bound on queued requests is reached; try again
  job_differs = 7,     ///< the sender was started with another configuration
  not_expected = 8,    ///< the run has no place for the sender
  removed = 9,         ///< this incarnation of the sender was removed; another one may join
  retired = 10,        ///< the sender was drained: its part is done
};

struct Refused {
  static constexpr Kind kind = Kind::refused;
  RefusalReason reason = RefusalReason::malformed;
  std::string text;  ///< what was found, what was expected
  static auto fields(auto& m) { return std::tie(m.reason, m.text); }
};

// ---- server → server ------------------------------------------------------------------------------------------------

/// The reduced gradients of `iteration` for the blocks of `runs`; payload: their values, in order, for blocks of tables
/// as lists of rows. It goes along
/// `chain` (indices in the view's servers): the primary, then the replicas in the order of the ring, each of which
/// applies it and passes it on, so that a later replica is never ahead of an earlier one. The last one answers the
/// first.
struct Replicate {
  static constexpr Kind kind = Kind::replicate;
  Iteration iteration;
  RequestId ticket;                  ///< of the primary's
  std::vector<std::uint32_t> chain;  ///< without repetition
  std::uint32_t position = 1;        ///< of the receiver in the chain
  std::vector<BlockRun> runs;
  std::vector<SliceId> slices{};  ///< asynchronous modes: whose next contributions are in the gradients; ascending
  /// Asynchronous modes: of each block, since blocks are not at the same number of steps; else `iteration` is of all.
  std::vector<Iteration> versions{};
  static auto fields(auto& m) {
    return std::tie(m.iteration, m.ticket, m.chain, m.position, m.runs, m.slices, m.versions);
  }
};

/// All of the chain have applied what was sent under `ticket`.
struct ReplicateAck {
  static constexpr Kind kind = Kind::replicate_ack;
  RequestId ticket;
  static auto fields(auto& m) { return std::tie(m.ticket); }
};

/// Which versions of these blocks does the receiver have? A primary asks all its replicas after each change of the
/// view.
struct Compare {
  static constexpr Kind kind = Kind::compare;
  RequestId ticket;
  std::vector<BlockRun> runs;
  static auto fields(auto& m) { return std::tie(m.ticket, m.runs); }
};

/// In Compared::versions: the block is not held.
inline constexpr Iteration no_version{0xFFFFFFFFFFFFFFFF};

struct Compared {
  static constexpr Kind kind = Kind::compared;
  RequestId ticket;
  std::vector<Iteration> versions;  ///< of the blocks that were asked for, in order; no_version where not held
  std::vector<Epoch> made_in{};     ///< asynchronous modes: of the views whose primaries made them; else empty
  static auto fields(auto& m) { return std::tie(m.ticket, m.versions, m.made_in); }
};

/// One block's whole state.
struct HandedBlock {
  BlockRun run;  ///< of one block
  Iteration version;
  bool previous = false;    ///< whether the version before comes too
  std::uint64_t bytes = 0;  ///< of the payload
  Epoch made_in{};          ///< of the view whose primary made the version
  static auto fields(auto& b) { return std::tie(b.run, b.version, b.previous, b.bytes, b.made_in); }
};

/// Whole blocks for a new replica; payload: for each, the values and the optimizer state of its version, then those of
/// the version before where that comes too; of a block of a table, what RowBlock::write_state() writes.
struct Handoff {
  static constexpr Kind kind = Kind::handoff;
  RequestId ticket;
  std::vector<HandedBlock> blocks;
  static auto fields(auto& m) { return std::tie(m.ticket, m.blocks); }
};

struct HandoffAck {
  static constexpr Kind kind = Kind::handoff_ack;
  RequestId ticket;
  static auto fields(auto& m) { return std::tie(m.ticket); }
};

// ---- member or psctl → coordinator ----------------------------------------------------------------------------------

/// A process asks to become a member. Repeated until it is answered; the same incarnation may ask again.
struct Join {
  static constexpr Kind kind = Kind::join;
  std::string endpoint;    ///< servers: of the data ROUTER
  std::string job_digest;  ///< SHA-256 of what has to be the same everywhere
  std::uint64_t pid = 0;
  static auto fields(auto& m) { return std::tie(m.endpoint, m.job_digest, m.pid); }
};

struct Heartbeat {
  static constexpr Kind kind = Kind::heartbeat;
  std::uint64_t turns = 0;    ///< of the member's data loop: stands still when it is wedged
  Iteration iteration;        ///< servers: the newest version of any of their blocks; workers: of their weights
  Epoch restore_epoch;        ///< the lineage of that version: the data loop may not have heard of a rollback yet
  std::string waiting_for;    ///< what the member waits for, in words; empty when it does not
  std::uint64_t refused = 0;  ///< messages that it has refused so far, malformed ones included
  static auto fields(auto& m) { return std::tie(m.turns, m.iteration, m.restore_epoch, m.waiting_for, m.refused); }
};

struct GetView {
  static constexpr Kind kind = Kind::get_view;
  static auto fields(auto&) { return std::tie(); }
};

/// The sender goes in good order.
struct Leave {
  static constexpr Kind kind = Kind::leave;
  static auto fields(auto&) { return std::tie(); }
};

/// The sender's connection to a server broke.
struct Suspect {
  static constexpr Kind kind = Kind::suspect;
  ServerId server;
  Incarnation incarnation;
  static auto fields(auto& m) { return std::tie(m.server, m.incarnation); }
};

/// In epoch `epoch` every replica that the view asks for, of every block that the sender is primary for, has caught up.
/// Acknowledged when a later view has come.
struct ReplicasReady {
  static constexpr Kind kind = Kind::replicas_ready;
  Epoch epoch;
  static auto fields(auto& m) { return std::tie(m.epoch); }
};

/// A file of a checkpoint, whole and on disk.
struct WrittenFile {
  std::string name;        ///< within the checkpoint's folder
  bool optimizer = false;  ///< optimizer state rather than weights
  std::uint64_t bytes = 0;
  std::string sha256;  ///< hexadecimal
  std::vector<BlockRun> runs;
  static auto fields(auto& f) { return std::tie(f.name, f.optimizer, f.bytes, f.sha256, f.runs); }
};

/// The sender has written all blocks of version `iteration` that are its own by View::owned_since.
struct BlocksWritten {
  static constexpr Kind kind = Kind::blocks_written;
  Iteration iteration;
  Epoch restore_epoch;  ///< the lineage that they stem from
  Epoch owned_since;
  std::vector<WrittenFile> files;
  static auto fields(auto& m) { return std::tie(m.iteration, m.restore_epoch, m.owned_since, m.files); }
};

/// The sender heard of CheckpointBegin too late: some of its blocks had passed `iteration`.
struct CheckpointMissed {
  static constexpr Kind kind = Kind::checkpoint_missed;
  Iteration iteration;
  Epoch restore_epoch;
  Iteration reached;
  static auto fields(auto& m) { return std::tie(m.iteration, m.restore_epoch, m.reached); }
};

/// How long one iteration took, in seconds.
struct IterationTiming {
  Iteration iteration;
  double total = 0;     ///< from having one version of the weights to having the next
  double gradient = 0;  ///< of it, from the start of the gradient to having the next version
  static auto fields(auto& t) { return std::tie(t.iteration, t.total, t.gradient); }
};

struct EvaluationReport {
  Iteration iteration;
  double accuracy = 0;  ///< percent
  double loss = 0;
  static auto fields(auto& e) { return std::tie(e.iteration, e.accuracy, e.loss); }
};

/// Payloads between a worker and the servers, in bytes, repeated ones too: of tensors, and of rows, whose gradients
/// have their ids with them.
struct Traffic {
  std::uint64_t gradients = 0;          ///< from the worker, as they were sent
  std::uint64_t gradients_float32 = 0;  ///< what they would have been as float32
  std::uint64_t weights = 0;            ///< to the worker
  std::uint64_t weights_float32 = 0;
  std::uint64_t residuals_lost = 0;  ///< of top_k: slices begun in the middle of a run without what was left unsent
  static auto fields(auto& t) {
    return std::tie(t.gradients, t.gradients_float32, t.weights, t.weights_float32, t.residuals_lost);
  }
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

/// What a worker has measured since the coordinator last confirmed it. Kept and sent again until it is confirmed.
struct Progress {
  static constexpr Kind kind = Kind::progress;
  Epoch restore_epoch;  ///< the lineage in which it was measured
  Epoch epoch;          ///< of the view in which the newest of the timings was completed
  std::vector<IterationTiming> timings;
  std::vector<EvaluationReport> evaluations;
  /// Asynchronous modes: how many of the sender's gradients, in its whole life, lacked 0, 1, 2 … iterations of some
  /// slice.
  std::vector<std::uint64_t> staleness{};
  Traffic traffic{};  ///< of the sender's whole life
  static auto fields(auto& m) {
    return std::tie(m.restore_epoch, m.epoch, m.timings, m.evaluations, m.staleness, m.traffic);
  }
};

struct GetStatus {
  static constexpr Kind kind = Kind::get_status;
  bool launcher = false;          ///< the sender starts and ends the cluster's processes: orders are for it
  std::uint64_t orders_done = 0;  ///< the launcher's: number of the last order that it has carried out
  static auto fields(auto& m) { return std::tie(m.launcher, m.orders_done); }
};

/// The sender has met what no retry can mend: the run has to end with this error.
struct Failed {
  static constexpr Kind kind = Kind::failed;
  std::string text;
  static auto fields(auto& m) { return std::tie(m.text); }
};

/// From psctl: end the run in good order.
struct StopRun {
  static constexpr Kind kind = Kind::stop_run;
  std::string cause;
  static auto fields(auto& m) { return std::tie(m.cause); }
};

/// From psctl: let a server hand on what it holds, or a worker its slices, and then leave. Acknowledged as soon as the
/// view that begins it is in the journal.
struct Drain {
  static constexpr Kind kind = Kind::drain;
  std::string id;
  static auto fields(auto& m) { return std::tie(m.id); }
};

/// From psctl: let the launcher start so many processes more.
struct AddProcesses {
  static constexpr Kind kind = Kind::add_processes;
  Role role = Role::server;  ///< server or worker
  std::uint32_t count = 1;
  static auto fields(auto& m) { return std::tie(m.role, m.count); }
};

/// From psctl: let the launcher end a process with SIGKILL.
struct KillProcess {
  static constexpr Kind kind = Kind::kill_process;
  std::string id;
  static auto fields(auto& m) { return std::tie(m.id); }
};

// ---- coordinator → member or psctl ----------------------------------------------------------------------------------

/// Heard. A view that names the sender makes it a member.
struct Joined {
  static constexpr Kind kind = Kind::joined;
  std::string broadcast;  ///< endpoint of the coordinator's PUB socket
  static auto fields(auto& m) { return std::tie(m.broadcast); }
};

/// How the run stands; the last word to those who did not hear the broadcast.
enum class RunState : std::uint8_t {
  forming = 0,
  running = 1,
  completed = 2,
  interrupted = 3,
  failed = 4,
  data_lost = 5,  ///< blocks were lost, and the job does not allow to go back to a checkpoint
};

struct HeartbeatAnswer {
  static constexpr Kind kind = Kind::heartbeat_answer;
  RunState state = RunState::forming;
  Epoch restore_epoch;             ///< the lineage that the numbers below speak of
  Iteration committed_checkpoint;  ///< the newest one, 0 if none
  Iteration next_checkpoint;       ///< as CheckpointBegin
  Iteration timings_through;       ///< timings of all iterations up to here are known
  Iteration evaluations_through;   ///< the same for evaluations
  static auto fields(auto& m) {
    return std::tie(m.state, m.restore_epoch, m.committed_checkpoint, m.next_checkpoint, m.timings_through,
                    m.evaluations_through);
  }
  friend bool operator==(const HeartbeatAnswer&, const HeartbeatAnswer&) = default;
};

struct ViewAnswer {
  static constexpr Kind kind = Kind::view_answer;
  View view;
  static auto fields(auto& m) { return std::tie(m.view); }
};

/// Answer with a heartbeat at once.
struct Probe {
  static constexpr Kind kind = Kind::probe;
  static auto fields(auto&) { return std::tie(); }
};

struct ProcessStatus {
  Role role = Role::server;
  std::string id;
  Incarnation incarnation;
  std::string endpoint;
  std::uint64_t pid = 0;
  bool member = false;  ///< of the current view
  Iteration iteration;
  double silent_seconds = 0;  ///< since it was last heard
  std::string waiting_for;
  std::uint64_t refused = 0;  ///< messages that it has refused
  static auto fields(auto& p) {
    return std::tie(p.role, p.id, p.incarnation, p.endpoint, p.pid, p.member, p.iteration, p.silent_seconds,
                    p.waiting_for, p.refused);
  }
};

/// A member that was removed because it failed. Times are ages in seconds at the moment of the answer; negative: not
/// yet.
struct FailureStatus {
  Role role = Role::server;
  std::string id;
  Incarnation incarnation;
  std::string how;      ///< how it was noticed
  Iteration iteration;  ///< the newest that was known to be committed
  std::uint64_t iterations_replayed = 0;
  double last_heard_age = 0;
  double removed_age = 0;
  double recovered_age = -1;  ///< first iteration completed in a later view
  static auto fields(auto& f) {
    return std::tie(f.role, f.id, f.incarnation, f.how, f.iteration, f.iterations_replayed, f.last_heard_age,
                    f.removed_age, f.recovered_age);
  }
};

/// What the launcher is to do: start `count` processes, or kill one.
struct LauncherOrder {
  std::uint64_t number = 0;  ///< ascending
  Role role = Role::server;
  std::uint32_t count = 0;  ///< processes to start; 0: kill `id`
  std::string id;
  static auto fields(auto& o) { return std::tie(o.number, o.role, o.count, o.id); }
};

struct Status {
  static constexpr Kind kind = Kind::status;
  RunState state = RunState::forming;
  std::string text;                  ///< why the run ended, or what it waits for
  std::vector<std::string> waiting;  ///< who waits for what, in words
  View view;
  Iteration iteration;   ///< the newest that is known to be complete
  Iteration iterations;  ///< the last one of the job
  Iteration committed_checkpoint;
  std::uint64_t refused_messages = 0;  ///< by the coordinator itself
  double accuracy = -1;                ///< newest evaluation; negative: none yet
  double loss = -1;
  std::vector<ProcessStatus> processes;
  std::vector<FailureStatus> failures;
  std::vector<LauncherOrder> orders;       ///< that the launcher has not yet carried out
  std::vector<std::uint64_t> staleness{};  ///< asynchronous modes: as Progress, of all workers
  static auto fields(auto& m) {
    return std::tie(m.state, m.text, m.waiting, m.view, m.iteration, m.iterations, m.committed_checkpoint,
                    m.refused_messages, m.accuracy, m.loss, m.processes, m.failures, m.orders, m.staleness);
  }
};

// ---- coordinator, PUB: hints; whoever misses one learns the same from the next heartbeat answer ---------------------

struct ViewPublished {
  static constexpr Kind kind = Kind::view_published;
  View view;
  static auto fields(auto& m) { return std::tie(m.view); }
};

/// The next checkpoint is taken at version `iteration` (of the lineage `restore_epoch`).
struct CheckpointBegin {
  static constexpr Kind kind = Kind::checkpoint_begin;
  Iteration iteration;
  Epoch restore_epoch;
  static auto fields(auto& m) { return std::tie(m.iteration, m.restore_epoch); }
};

struct CheckpointCommitted {
  static constexpr Kind kind = Kind::checkpoint_committed;
  Iteration iteration;
  Epoch restore_epoch;
  static auto fields(auto& m) { return std::tie(m.iteration, m.restore_epoch); }
};

struct Stop {
  static constexpr Kind kind = Kind::stop;
  RunState state = RunState::completed;
  std::string cause;
  static auto fields(auto& m) { return std::tie(m.state, m.cause); }
};

// ---------------------------------------------------------------------------------------------------------------------

using Body = std::variant<Push, PushPull, Pull, PushRows, PullRows, AskMissing, Values, Ack, Missing, Stale, Refused,
                          Replicate, ReplicateAck, Compare, Compared, Handoff, HandoffAck, Join, Heartbeat, GetView,
                          Leave, Suspect, ReplicasReady, BlocksWritten, CheckpointMissed, Progress, GetStatus, Failed,
                          StopRun, Drain, AddProcesses, KillProcess, Joined, HeartbeatAnswer, ViewAnswer, Probe, Status,
                          ViewPublished, CheckpointBegin, CheckpointCommitted, Stop>;

/// Who speaks, in which epoch, and which answer belongs to which request.
struct Envelope {
  std::string cluster;
  Role role = Role::worker;
  std::string sender;  ///< ServerId, WorkerId, "coordinator" or "psctl"
  Incarnation incarnation;
  Epoch epoch;        ///< of the sender's view; 0: it has none
  RequestId request;  ///< an answer repeats its request's
  static auto fields(auto& e) { return std::tie(e.cluster, e.role, e.sender, e.incarnation, e.epoch, e.request); }
};

struct Message {
  Envelope envelope;
  Body body;
  Payload payload;
};

/// Whether a request is one that brings a gradient.
inline bool is_contribution(const Body& body) {
  return std::holds_alternative<Push>(body) || std::holds_alternative<PushPull>(body) ||
         std::holds_alternative<PushRows>(body);
}

/// Kinds whose second frame is required; all others must not have one.
constexpr bool carries_values(Kind kind) {
  return kind == Kind::push || kind == Kind::push_pull || kind == Kind::push_rows || kind == Kind::pull_rows ||
         kind == Kind::values || kind == Kind::replicate || kind == Kind::handoff;
}

}  // namespace ringps
