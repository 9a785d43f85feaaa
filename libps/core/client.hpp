// The worker's side of the data plane: takes the weights from the servers, hands out the slices to compute, sends their
// gradients to the blocks' primaries, and brings the next version together. Pure. Not thread-safe; owned by one loop.
//
// A worker holds nothing that cannot be rebuilt: after any change of the view it throws its open requests away and asks
// again for whatever has not been answered, from the weights that it keeps until the whole iteration is done.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/base/time.hpp"
#include "libps/core/job.hpp"
#include "libps/core/part_codec.hpp"
#include "libps/core/parts.hpp"
#include "libps/core/repeat_timer.hpp"
#include "libps/core/row_batch.hpp"
#include "libps/ring/layout.hpp"
#include "libps/ring/view.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// All weights of one version: the flat vector of libps/base/tensor.hpp.
struct Weights {
  Iteration version;
  Epoch restore_epoch;  ///< the lineage they belong to
  std::shared_ptr<const Floats> values;
};

class ClientCore {
 public:
  struct Send {
    std::uint32_t server;  ///< index in view().servers
    Message message;
  };
  struct Reached {    ///< every block is committed at weights.version
    Weights weights;  ///< `values` is null where they were not asked for (see JobSpec::refresh_interval)
  };
  struct GiveUp {  ///< what no retry can mend; the run has to end
    std::string text;
  };
  using Effect = std::variant<Send, Reached, GiveUp>;
  using Effects = std::vector<Effect>;

  /// A slice that this worker is to compute now.
  struct Task {
    Iteration iteration;
    SliceId slice;
    std::shared_ptr<const Floats> weights;  ///< to compute the gradient from
    std::shared_ptr<const RowBatch> rows;   ///< of the tables, as they were chosen; null for a job without tables
  };
  /// A slice whose rows are to be named: those of each table that its gradient is computed from.
  struct Choice {
    Iteration iteration;
    SliceId slice;
  };

  ClientCore(const JobSpec& job, WorkerId id, Incarnation incarnation);

  void on_view(Time now, const View& view, Effects& effects);
  void on_message(Time now, const Message& message, Effects& effects);  ///< from any server
  void on_tick(Time now, Effects& effects);
  Time next_deadline() const;

  /// The next slice to compute; nothing while answers are awaited or when the run is over.
  std::optional<Task> next_task() const;
  /// The gradient of a task that next_task() gave, flat, and that of its rows as RowBatch::values. Ignored if the task
  /// is no longer this worker's.
  void contribute(Time now, const Task& task, std::shared_ptr<const Floats> gradient, Effects& effects,
                  std::shared_ptr<const Floats> row_gradient = nullptr);

  /// With tables: the next slice whose rows have to be named, possibly of one of the two iterations after this one, so
  /// that they are on their way before they are needed.
  std::optional<Choice> next_choice() const;
  /// Per table the ids of the rows, in any order and any number of times.
  void choose(Time now, const Choice& choice, std::vector<std::vector<std::uint64_t>> ids, Effects& effects);

  /// The version of the weights that this worker has.
  Iteration version() const { return version_; }
  bool finished() const { return phase_ == Phase::finished; }
  /// "iteration 61 waits for server1 and server2", or empty.
  std::string waiting_for() const;
  const BlockTable& table() const { return table_; }
  const View& view() const { return view_; }
  const Traffic& traffic() const { return codec_.traffic(); }

 private:
  enum class Phase : std::uint8_t {
    idle,      ///< no view, or nothing to compute in it
    syncing,   ///< bringing one version of all blocks together
    training,  ///< has a version and works towards the next
    finished,  ///< has the last version
  };

  struct Part : ServerPart {
    // Of the iteration (or sync) under way:
    bool arrived = false;
    Iteration version;
    /// An answer to a request that follows, come before the iteration under way was done: this part's next version.
    std::optional<std::pair<Iteration, Payload>> early;
  };
  struct Request {
    std::size_t part = 0;
    Body body;
    Payload payload;
    RepeatTimer timer;
    std::vector<BlockId> blocks;     ///< PushRows, PullRows: those of the message
    std::shared_ptr<RowBatch> rows;  ///< PullRows: what the answer belongs to
  };
  /// What is known of the rows of one slice in one iteration.
  struct SliceRows {
    Iteration iteration;
    std::shared_ptr<RowBatch> batch;
    std::shared_ptr<const Floats> gradient;
  };

  bool cut_parts();
  void start_sync(Time now, Effects& effects);
  void finish_sync(Time now, Effects& effects);
  void begin_iteration(Time now, Effects& effects);
  void resume_iteration(Time now, Effects& effects);
  void send_slice(Time now, SliceId slice, const std::shared_ptr<const Floats>& gradient, Effects& effects);
  void follow_others(Time now, Effects& effects);
  void finish_iteration(Time now, Effects& effects);
  bool follows(const Request& request) const;
  void on_followed(Time now, Request& request, Iteration version, const Payload& payload, Effects& effects);
  void take_early(Time now, Effects& effects);
  void on_arrived(Time now, std::size_t part, Iteration version, const Payload& payload, Effects& effects);
  void on_refused(Time now, const Refused& refused, const std::string& by, Effects& effects);
  bool is_mine(SliceId slice) const;
  void pull_rows(Time now, SliceId slice, const SliceRows& rows, Effects& effects);
  void push_rows(Time now, SliceId slice, const SliceRows& rows, Effects& effects);
  void on_rows_pushed(Time now, std::size_t part, const std::vector<BlockId>& blocks, Effects& effects);
  const SliceRows* rows_of(SliceId slice, Iteration iteration) const;
  void ask_for_race(Time now, Effects& effects);
  void on_missing(const Missing& missing);
  Request& request(Time now, std::size_t part, Body body, Payload payload, Effects& effects);
  void send(RequestId id, const Request& request, const Payload& payload, Effects& effects);
  void renew_next();
  bool all_arrived() const;
  bool wants_values(Iteration version) const;
  bool contributes_to(const Part& part, SliceId slice) const;
  std::optional<SliceId> first_contributor(const Part& part) const;

  // Constant after construction.
  const JobSpec& job_;
  const WorkerId id_;
  const Incarnation incarnation_;
  const BlockTable table_;

  // Follows from the view.
  View view_;
  std::vector<SliceId> slices_;  ///< this worker's
  std::vector<Part> parts_;

  Phase phase_ = Phase::idle;
  Iteration version_;                              ///< of the weights when training
  std::shared_ptr<Floats> weights_;                ///< newest version that was asked for; never changed once whole
  std::shared_ptr<const Floats> compute_weights_;  ///< what gradients are computed from (refresh_interval)
  std::shared_ptr<Floats> next_;                   ///< being brought together; parts write disjoint ranges
  std::shared_ptr<Floats> spare_;                  ///< an older one, written again once nobody else holds it
  std::vector<std::uint8_t> block_arrived_;        ///< per block: version_ + 1 is in next_ (or known committed)
  std::pmr::unsynchronized_pool_resource nodes_;   ///< of maps that are filled and emptied in every iteration
  std::pmr::map<SliceId, std::shared_ptr<const Floats>> gradients_{&nodes_};  ///< of iteration version_ + 1, by slice
  std::map<std::pair<Iteration, SliceId>, SliceRows> rows_;                   ///< of version_ + 1 and what follows

  // With JobSpec::speculate: racing a slow worker for one of its slices.
  Time began_;                   ///< this iteration
  Duration last_iteration_{};    ///< how long the one before took
  Time race_at_ = time_never;    ///< when to ask for a slice to race for
  RequestId race_request_;       ///< 0: none under way
  std::optional<SliceId> race_;  ///< another worker's slice that this one computes too

  PartCodec codec_;
  std::pmr::map<RequestId, Request> requests_{&nodes_};  ///< unanswered
  std::vector<Time> heard_;                              ///< per server of the view: when it last answered
  RequestId last_request_;
};

}  // namespace ringps
