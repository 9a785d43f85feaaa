// The worker's side of the data plane in asynchronous modes (Consistency::ssp and asp): what ClientCore is in bsp, with
// the same interface. Each of this worker's slices runs on by itself: compute a gradient, send it to all blocks, take
// the newest weights with the answers, compute the next. Pure. Not thread-safe; owned by one loop.
//
// A slice that is taken over goes on from where the block that has least of it is; blocks that have more drop what they
// have. A contribution is never computed twice by one worker, since the weights would be others: its gradient is kept
// and sent again until every block has it.
//
// With tables a slice also names the rows of its next gradient, and asks for them as soon as its last one is out; they
// come once that one is in them. async_client_rows.cpp has what is different then.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libps/core/client.hpp"

namespace ringps {

class AsyncClientCore {
 public:
  using Send = ClientCore::Send;
  using Reached = ClientCore::Reached;  ///< all of this worker's slices have that iteration
  using GiveUp = ClientCore::GiveUp;
  using Effects = ClientCore::Effects;
  using Task = ClientCore::Task;
  using Choice = ClientCore::Choice;

  AsyncClientCore(const JobSpec& job, WorkerId id, Incarnation incarnation);

  void on_view(Time now, const View& view, Effects& effects);
  void on_message(Time now, Message message, Effects& effects);  ///< from any server
  void on_tick(Time now, Effects& effects);
  Time next_deadline() const;

  /// The next gradient to compute: of the slice that is furthest behind.
  std::optional<Task> next_task() const;
  /// As ClientCore's.
  void contribute(Time now, const Task& task, std::shared_ptr<const Floats> gradient, Effects& effects,
                  std::shared_ptr<const Floats> row_gradient = nullptr);
  std::optional<Choice> next_choice() const;
  void choose(Time now, const Choice& choice, std::vector<std::vector<std::uint64_t>> ids, Effects& effects);

  /// What the newest weights that this worker has had contain of every slice.
  Iteration version() const { return floor_; }
  bool finished() const { return finished_; }
  /// "iteration 61 of server1 and server2", or empty.
  std::string waiting_for() const;
  const BlockTable& table() const { return table_; }
  const View& view() const { return view_; }
  /// How many gradients have been computed from weights that lacked 0, 1, 2 … iterations of some slice; the last number
  /// that is counted stands for all larger ones too.
  const std::vector<std::uint64_t>& staleness() const { return staleness_; }
  const Traffic& traffic() const { return codec_.traffic(); }

 private:
  using Part = ServerPart;
  using Span = ServerPart::Span;
  /// The values of all blocks, on their way into one vector.
  struct Fetch {
    std::shared_ptr<Floats> values;
    /// Per block. One of a table has when it has the contribution that is being sent; rows are in Slice::rows.
    std::vector<std::uint8_t> arrived;
    std::vector<Iteration> clocks;  ///< per slice: what is in all of the values, or rows, that have arrived
  };
  /// One of this worker's slices: computes from `weights`, or `fetch` is under way.
  struct Slice {
    Iteration clock;                         ///< all blocks have it up to here
    std::shared_ptr<const Floats> weights;   ///< what to compute the next gradient from
    Iteration floor;                         ///< what they contain of every slice
    std::shared_ptr<const Floats> gradient;  ///< of clock + 1; null: new weights are awaited for nothing but the bound
    std::optional<Floats> residual;          ///< of top_k: what gradients up to `gradient` have left unsent
    Fetch fetch;
    std::shared_ptr<RowBatch> rows;              ///< to compute the next gradient from; null: not chosen yet
    std::shared_ptr<const RowBatch> sent_rows;   ///< those of `gradient`
    std::shared_ptr<const Floats> row_gradient;  ///< of these
  };
  struct Request {
    std::optional<SliceId> slice;  ///< nothing: for joint_
    std::size_t part = 0;
    Body body;
    Payload payload;
    RepeatTimer timer;
    std::vector<BlockId> blocks{};     ///< PushRows, PullRows: those of the message
    std::shared_ptr<RowBatch> rows{};  ///< PullRows: what the answer belongs to; null: nothing but the clocks
  };

  bool cut_parts();
  void start_over(Time now, Effects& effects);
  void resume(Time now, SliceId id, const Slice& slice, Effects& effects);
  void fetch_jointly(Time now, Effects& effects);
  void on_joint(Time now, Effects& effects);
  void on_slice(Time now, SliceId id, Effects& effects);
  void reach(Iteration iteration, const std::shared_ptr<const Floats>& weights, Effects& effects);
  void on_values(Time now, const Request& request, const Values& values, const Payload& payload, Effects& effects);
  void on_ack(Time now, const Request& request, Effects& effects);
  std::optional<Payload> payload_of(const Request& request, const Values& values, const Payload& payload);
  void on_arrived(Time now, std::optional<SliceId> slice, Effects& effects);
  void on_refused(Time now, const Refused& refused, const std::string& by, Effects& effects);
  Iteration own_iteration() const;
  bool may_compute(Iteration clock, Iteration floor) const;
  std::shared_ptr<const Floats> to_send(Slice& slice, std::shared_ptr<const Floats> gradient);
  const std::shared_ptr<Floats>& free_buffer();
  Fetch new_fetch();
  bool has(const Fetch& fetch, const Part& part) const;
  Iteration floor_of(const Fetch& fetch) const;
  Request& request(Time now, std::optional<SliceId> slice, std::size_t part, Body body, Payload payload,
                   Effects& effects);
  void send(RequestId id, const Request& request, const Payload& payload, Effects& effects);

  // async_client_rows.cpp
  static Iteration next_iteration(const Slice& slice) {
    return slice.gradient ? slice.clock.next().next() : slice.clock.next();
  }
  bool has_rows(const Slice& slice) const;
  void nothing_to_push(Fetch& fetch) const;
  void pull_rows(Time now, SliceId id, const Slice& slice, Effects& effects);
  void push_rows(Time now, SliceId id, const Slice& slice, std::size_t part, Effects& effects);

  // Constant after construction.
  const JobSpec& job_;
  const WorkerId id_;
  const Incarnation incarnation_;
  const BlockTable table_;

  // Follows from the view.
  View view_;
  std::vector<SliceId> own_;  ///< this worker's slices
  std::vector<Part> parts_;

  std::map<SliceId, Slice> slices_;  ///< those of them whose clocks are known
  /// For all slices together: where the blocks are, for those that are not in slices_ yet; or, when all of them are
  /// done, the weights that the run ends with.
  std::optional<Fetch> joint_;
  bool joint_is_last_ = false;
  bool finished_ = false;
  Iteration floor_;
  std::optional<Iteration> reached_;  ///< what was said last, in this lineage
  std::vector<std::uint64_t> staleness_;
  std::vector<std::shared_ptr<Floats>> buffers_;  ///< written again once nobody else holds them

  PartCodec codec_;
  std::map<RequestId, Request> requests_;  ///< unanswered
  std::vector<Time> heard_;                ///< per server of the view: when it last answered
  RequestId last_request_;
};

}  // namespace ringps
