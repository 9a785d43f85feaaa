// The coordinator: membership, views, failure detection, checkpoints, the run's beginning and end. Pure. Not
// thread-safe; owned by one loop.
//
// Effects are carried out in their order, each before the next: a view is in the journal before anyone is told of it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/core/job.hpp"
#include "libps/core/pace.hpp"
#include "libps/core/shard.hpp"
#include "libps/ring/view.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

class Coordinator {
 public:
  struct Send {
    Route to;
    Message message;
  };
  struct Publish {
    Message message;
  };
  struct PersistView {  ///< durable before any later effect
    View view;
  };
  struct CheckpointFile {
    ServerId server;
    WrittenFile file;
  };
  /// All files of a checkpoint are on disk: write the manifest, then call on_checkpoint_committed.
  struct CommitCheckpoint {
    Iteration iteration;
    Epoch epoch;
    Epoch restore_epoch;
    std::vector<CheckpointFile> files;
  };
  struct Record {  ///< measurements of a worker, for the run's metrics
    Progress progress;
    std::string worker{};  ///< whose `progress.staleness` or `progress.traffic` it is, if it is that
    Incarnation incarnation{};
  };
  struct Log {
    std::string text;
  };
  struct Exit {
    RunState state;
    std::string text;
  };
  using Effect = std::variant<Send, Publish, PersistView, CommitCheckpoint, Record, Log, Exit>;
  using Effects = std::vector<Effect>;

  /// Where the run starts: a checkpoint to resume, or iteration 0 and no folder.
  struct Start {
    Iteration iteration;
    std::string checkpoint;
  };
  /// What an earlier life of the coordinator has left in its journal.
  struct Recovered {
    View view;
    Iteration committed;
    std::string committed_folder;
    // What was recorded of the view's lineage, so that nobody has to measure it again.
    Iteration timings_through{};
    std::vector<Iteration> evaluated{};
  };

  /// `broadcast`: endpoint of the PUB socket, as members connect to it.
  Coordinator(const JobSpec& job, Incarnation incarnation, std::string job_digest, std::string broadcast, Start start);

  /// `recovered`: nothing on a first start.
  void on_start(Time now, const std::optional<Recovered>& recovered);
  void on_message(Time now, const Route& from, const Message& message, Effects& effects);
  /// A send to `route` failed because nobody is connected there.
  void on_unreachable(Time now, const Route& route);
  void on_checkpoint_committed(Time now, Iteration iteration, Epoch restore_epoch, const std::string& folder,
                               Effects& effects);
  /// Ends the run in good order; the first reason counts.
  void stop(Time now, RunState state, std::string text, Effects& effects);
  void on_tick(Time now, Effects& effects);
  Time next_deadline() const { return next_tick_; }
  /// A frame that was no message of ours.
  void count_refused() { ++refused_; }

  Status status(Time now) const;
  const View& view() const { return view_; }
  RunState state() const { return state_; }
  Iteration committed() const { return committed_; }

 private:
  struct Process {
    Role role = Role::server;
    Incarnation incarnation;
    std::string endpoint;
    std::uint64_t pid = 0;
    Route route;  ///< empty: not heard since the coordinator was started again
    Time last_heard;
    Time last_probed;
    bool suspected = false;  ///< its connection broke, or a worker said so; cleared by any word from it
    std::uint64_t turns = 0;
    Time turns_changed;  ///< when `turns` last moved; a data loop that stands still is wedged
    Iteration iteration;
    std::string waiting_for;
    std::uint64_t refused = 0;
  };
  struct Failure {
    Role role = Role::server;
    std::string id;
    Incarnation incarnation;
    std::string how;
    Iteration iteration;  ///< newest known of the lineage that ended, refined by late reports
    Iteration restored;   ///< where the next lineage began
    Epoch lineage;        ///< the one that it ended (servers) or happened in
    bool rolls_back = false;
    Time last_heard;
    Time removed;
    std::optional<Time> recovered;
    Epoch epoch;  ///< of the view without it
  };
  /// A server's BlocksWritten. It is acknowledged when the checkpoint is committed, not before: a coordinator that is
  /// started again in between has to hear of it once more.
  struct WrittenReport {
    std::vector<WrittenFile> files;
    Route from;
    RequestId request;
  };
  /// An order that the launcher has not carried out yet. It is acknowledged when it has: a coordinator that is started
  /// again in between hears of it once more.
  struct PendingOrder {
    LauncherOrder order;
    Incarnation asker;
    Route from;
    RequestId request;
  };
  struct Removal {
    std::string id;
    std::string how;
    bool failed = true;  ///< false: it left in good order
  };

  // coordinator.cpp: messages
  void on_join(Time now, const Route& from, const Message& message, const Join& join, Effects& effects);
  void on_heartbeat(Time now, const Route& from, const Message& message, const Heartbeat& beat, Effects& effects);
  void on_blocks_written(const Route& from, const Message& message, const BlocksWritten& written, Effects& effects);
  void on_checkpoint_missed(Time now, const CheckpointMissed& missed, Effects& effects);
  void on_progress(Time now, const Progress& progress, Effects& effects);
  void note_staleness(const Envelope& worker, const std::vector<std::uint64_t>& staleness, Effects& effects);
  void note_traffic(const Envelope& worker, const Traffic& traffic, Effects& effects);
  void on_control(Time now, const Route& from, const Message& message, Effects& effects);
  void on_launcher(Time now, std::uint64_t orders_done, Effects& effects);
  void on_order(Time now, const Route& from, const Message& message, LauncherOrder order, Effects& effects);
  void count_evaluations();
  Message make(Body body, RequestId request = {}) const;
  void send(const Route& to, RequestId request, Body body, Effects& effects);
  void refuse(const Route& to, RequestId request, RefusalReason reason, std::string text, Effects& effects);

  // membership.cpp: views and failures
  bool is_member(const std::string& id, const Process& process) const;
  bool was_removed(const Envelope& sender) const;
  void form_if_complete(Time now, Effects& effects);
  void remove(Time now, std::vector<Removal> removals, Effects& effects);
  void admit_waiting(Time now, Effects& effects);
  bool lacks_older_weights(const View& next) const;
  bool change_view(Time now, View next, bool roll_back, Effects& effects);
  void begin_lineage(Time now, View& next);
  bool same_owners(const View& next) const;
  void on_replicas_ready(Time now, const Route& from, const Message& message, const ReplicasReady& ready,
                         Effects& effects);
  void settle_if_ready(Time now, Effects& effects);
  void drain(Time now, const Route& from, const Message& message, const std::string& id, Effects& effects);
  bool take_out(View& next, const Removal& removal, std::vector<Removal>& removals, std::string& cause);
  bool has_place_for(const std::string& worker, const View& view) const;
  void watch(Time now, Effects& effects);
  void forgive_own_pause(Time now);
  void note_word(Time now);
  bool all_silent(Time now) const;
  std::optional<std::string> failure_of(Time now, const Process& process) const;
  std::string missing_members() const;
  std::vector<std::string> waiting() const;

  // checkpointing.cpp
  void name_next_checkpoint(Time now, Effects& effects);
  void acknowledge_written(Iteration through, Effects& effects);
  bool covers_all_blocks(const std::vector<CheckpointFile>& files) const;
  void finish_if_done(Time now, Effects& effects);
  Iteration newest_iteration() const;

  // Constant after construction.
  const JobSpec& job_;
  const Incarnation incarnation_;
  const std::string job_digest_;
  const std::string broadcast_;
  const Start start_;
  const BlockTable table_;

  RunState state_ = RunState::forming;
  std::string end_text_;
  Time started_;
  Time ended_;
  Time next_tick_;
  Time last_tick_;
  Time last_word_;    ///< of any member
  Time grace_until_;  ///< nobody is removed for silence before
  bool exited_ = false;

  View view_;
  std::optional<View> orphaned_;                ///< a view without servers, until one joins
  std::map<std::string, Process> processes_;    ///< members and those who wait to become one, by id
  std::map<std::string, Incarnation> removed_;  ///< the newest life of each id that was removed
  std::set<std::string> ready_;                 ///< servers whose replicas have caught up in this epoch
  std::vector<PendingOrder> orders_;            ///< for the launcher
  std::uint64_t last_order_ = 0;                ///< its number; begins with the incarnation, so that they only grow
  std::optional<Time> launcher_seen_;
  std::deque<Incarnation> askers_;  ///< who gave the last orders that were carried out, to know a repeated one again
  std::vector<Failure> failures_;
  std::uint64_t refused_ = 0;

  // Checkpoints of the current lineage.
  Iteration committed_;
  std::string committed_folder_;
  Iteration next_checkpoint_;
  std::uint32_t misses_ = 0;
  /// After a new start: when members have been heard, and it shows whether the next checkpoint was passed long ago.
  Time review_checkpoint_at_ = time_never;
  std::map<Iteration, std::map<std::string, WrittenReport>> written_;  ///< by iteration and server; of this lineage
  std::set<std::pair<Epoch, Iteration>> committing_;                   ///< by lineage
  Iteration lineage_committed_;                                        ///< the newest checkpoint of this lineage
  Pace pace_;

  // What workers have reported of the current lineage.
  Iteration timings_through_;
  bool start_evaluated_ = false;   ///< the weights that the run started from
  std::set<Iteration> evaluated_;  ///< evaluations beyond evaluations_through_
  Iteration evaluations_through_;  ///< all due evaluations up to here are known
  std::optional<EvaluationReport> newest_evaluation_;
  /// Asynchronous modes: Progress::staleness of every life of a worker that this life of the coordinator has heard of.
  std::map<std::pair<std::string, Incarnation>, std::vector<std::uint64_t>> staleness_;
  std::map<std::pair<std::string, Incarnation>, Traffic> traffic_;  ///< the same of Progress::traffic
  std::optional<Time> last_committed_at_;  ///< when the last iteration's checkpoint was committed
};

}  // namespace ringps
