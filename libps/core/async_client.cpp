#include "libps/core/async_client.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libps/core/bounds.hpp"

namespace ringps {

AsyncClientCore::AsyncClientCore(const JobSpec& job, WorkerId id, Incarnation incarnation)
    : job_(job),
      id_(std::move(id)),
      incarnation_(incarnation),
      table_(job.tensors, job.block_elements, job.tables),
      codec_(job.compression, table_) {}

// ---- views ----------------------------------------------------------------------------------------------------------

bool AsyncClientCore::cut_parts() {
  const Placement placement(view_, table_, job_.virtual_nodes, job_.replicas);
  parts_ = ringps::cut_parts(placement, view_.servers.size(), table_, job_.message_bytes);
  return placement.digest() == view_.placement_digest;
}

void AsyncClientCore::on_view(Time now, const View& view, Effects& effects) {
  if (view.epoch <= view_.epoch) {
    return;
  }
  const bool rolled_back = view.restore.epoch != view_.restore.epoch;
  view_ = view;
  requests_.clear();
  heard_.assign(view.servers.size(), Time{});
  joint_.reset();
  if (rolled_back) {
    slices_.clear();
    floor_ = view.restore.iteration;
    reached_.reset();
    finished_ = false;
  }
  if (!cut_parts()) {
    effects.push_back(GiveUp{"the placement computed from view " + std::to_string(view.epoch.value) +
                             " is not the one that the view's digest stands for: the programs differ"});
    return;
  }
  own_ = view.slices_of(id_.value);
  if (finished_) {  // all slices are, at all blocks
    return;
  }
  std::erase_if(slices_,
                [&](const auto& entry) { return std::find(own_.begin(), own_.end(), entry.first) == own_.end(); });
  for (const auto& [id, slice] : slices_) {
    resume(now, id, slice, effects);
  }
  fetch_jointly(now, effects);
}

/// Asks for what has not been answered, or was answered by a part that is cut otherwise now.
void AsyncClientCore::resume(Time now, SliceId id, const Slice& slice, Effects& effects) {
  if (slice.weights || slice.clock == job_.iterations) {
    return;
  }
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = parts_[p];
    if (has(slice.fetch, part)) {
      continue;
    }
    if (part.rows) {
      push_rows(now, id, slice, p, effects);
      continue;
    }
    if (!slice.gradient) {
      const Iteration bound{slice.clock.value - std::min(slice.clock.value, job_.staleness)};
      request(now, id, p, Pull{bound, true, part.runs}, {}, effects);
      continue;
    }
    auto [payload, format] = codec_.gradient(part, slice.gradient);
    request(now, id, p, PushPull{slice.clock.next(), id, part.runs, format}, std::move(payload), effects);
  }
  pull_rows(now, id, slice, effects);
}

/// Everybody else has gone on without us: what is known counts for nothing.
void AsyncClientCore::start_over(Time now, Effects& effects) {
  requests_.clear();
  slices_.clear();
  joint_.reset();
  fetch_jointly(now, effects);
}

// ---- weights --------------------------------------------------------------------------------------------------------

const std::shared_ptr<Floats>& AsyncClientCore::free_buffer() {
  auto free = std::find_if(buffers_.begin(), buffers_.end(), [](const auto& buffer) { return is_sole_owner(buffer); });
  if (free == buffers_.end()) {
    buffers_.push_back(std::make_shared<Floats>(table_.flat_elements(), 0.0F));
    free = std::prev(buffers_.end());
  }
  return *free;
}

AsyncClientCore::Fetch AsyncClientCore::new_fetch() {
  return {free_buffer(), std::vector<std::uint8_t>(table_.size(), 0),
          std::vector<Iteration>(job_.slices, newest_version)};
}

bool AsyncClientCore::has(const Fetch& fetch, const Part& part) const {
  return std::all_of(part.blocks.begin(), part.blocks.end(),
                     [&](BlockId block) { return fetch.arrived[block.value] != 0; });
}

/// What is in everything that has arrived of every slice.
Iteration AsyncClientCore::floor_of(const Fetch& fetch) const {
  const Iteration floor = *std::min_element(fetch.clocks.begin(), fetch.clocks.end());
  return floor == newest_version ? floor_ : floor;  // the last contribution to tables brings nothing with it
}

/// Whether a gradient of clock + 1 may be computed from weights that contain `floor` of every slice.
bool AsyncClientCore::may_compute(Iteration clock, Iteration floor) const {
  return job_.consistency == Consistency::asp || floor.value + job_.staleness >= clock.value;
}

/// Fetches weights where that is for all slices: at the beginning of some, and at the end of all.
void AsyncClientCore::fetch_jointly(Time now, Effects& effects) {
  const bool all_known = slices_.size() == own_.size();
  const bool all_done = all_known && own_iteration() == job_.iterations;
  if (own_.empty() || joint_ || finished_ || (all_known && !all_done)) {
    return;
  }
  joint_ = new_fetch();
  joint_is_last_ = all_done;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = parts_[p];
    if (part.rows && !all_done) {  // no row, but the clocks
      const Buffer lists = RowBatch(table_, {}).ids_of(part.blocks);
      request(now, std::nullopt, p, PullRows{newest_version, part.runs, own_.front()}, Payload::of(lists, lists.size()),
              effects);
    } else {
      request(now, std::nullopt, p, Pull{all_done ? job_.iterations : newest_version, !part.rows, part.runs}, {},
              effects);
    }
  }
}

void AsyncClientCore::on_joint(Time now, Effects& effects) {
  const Fetch fetch = std::move(*joint_);
  joint_.reset();
  const Iteration floor = floor_of(fetch);
  floor_ = std::max(floor_, floor);
  if (joint_is_last_) {
    finished_ = true;
    reach(job_.iterations, fetch.values, effects);
    return;
  }
  for (const SliceId id : own_) {
    const auto [at, added] = slices_.try_emplace(id);
    Slice& slice = at->second;
    if (!added) {
      continue;
    }
    slice.clock = fetch.clocks[id.value];
    if (slice.clock == job_.iterations) {
      continue;
    }
    if (job_.compression.gradients == Encoding::top_k && slice.clock.value > 0) {
      codec_.count_lost_residual();  // whoever had the slice before, it is gone with them, or with what was undone
    }
    if (!may_compute(slice.clock, floor)) {  // whoever had it before was the first of all, and was about to wait
      slice.fetch = new_fetch();
      nothing_to_push(slice.fetch);
      resume(now, id, slice, effects);
    } else if (job_.tables.empty()) {
      slice.weights = fetch.values;
      slice.floor = floor;
    } else {  // the rows are still to come
      slice.fetch = fetch;
    }
  }
  if (const Iteration own = own_iteration(); own < job_.iterations) {
    reach(own, fetch.values, effects);
  }
  fetch_jointly(now, effects);
}

/// All blocks have this slice's contribution, and with it have come new weights, and the rows for its next one.
void AsyncClientCore::on_slice(Time now, SliceId id, Effects& effects) {
  Slice& slice = slices_.at(id);
  const Fetch fetch = std::exchange(slice.fetch, {});
  slice.floor = floor_of(fetch);
  floor_ = std::max(floor_, slice.floor);
  if (std::exchange(slice.gradient, nullptr)) {
    slice.clock = slice.clock.next();
    slice.sent_rows = nullptr;
    slice.row_gradient = nullptr;
  }
  if (slice.clock < job_.iterations) {
    slice.weights = fetch.values;
  }
  if (const Iteration own = own_iteration(); slices_.size() == own_.size() && own < job_.iterations) {
    reach(own, fetch.values, effects);
  }
  fetch_jointly(now, effects);
}

Iteration AsyncClientCore::own_iteration() const {
  Iteration least = job_.iterations;
  for (const auto& [id, slice] : slices_) {
    least = std::min(least, slice.clock);
  }
  return least;
}

/// Where a slice that was behind has been given away, several iterations are reached at once: those that are due for
/// evaluation must not be missing.
void AsyncClientCore::reach(Iteration iteration, const std::shared_ptr<const Floats>& weights, Effects& effects) {
  if (reached_ && iteration <= *reached_) {
    return;
  }
  const std::uint64_t interval = job_.evaluate_interval;
  for (std::uint64_t due = reached_ && interval != 0 ? (reached_->value / interval + 1) * interval : iteration.value;
       due < iteration.value; due += interval) {
    effects.push_back(Reached{{Iteration{due}, view_.restore.epoch, weights}});
  }
  reached_ = iteration;
  effects.push_back(Reached{{iteration, view_.restore.epoch, weights}});
}

// ---- gradients ------------------------------------------------------------------------------------------------------

std::optional<AsyncClientCore::Task> AsyncClientCore::next_task() const {
  std::optional<Task> task;
  for (const auto& [id, slice] : slices_) {
    if (slice.weights && (!task || slice.clock.next() < task->iteration)) {
      task = Task{slice.clock.next(), id, slice.weights, slice.rows};
    }
  }
  return task;
}

/// What all blocks are to get of a gradient, however often it is sent: its largest elements and those of the residual,
/// or all of it. Once for each gradient, for what is not sent is in the residual then.
std::shared_ptr<const Floats> AsyncClientCore::to_send(Slice& slice, std::shared_ptr<const Floats> gradient) {
  if (job_.compression.gradients != Encoding::top_k) {
    return gradient;
  }
  if (!slice.residual) {
    slice.residual.emplace(table_.flat_elements(), 0.0F);
  }
  std::shared_ptr<Floats> kept = free_buffer();
  codec_.keep_largest(*gradient, *slice.residual, *kept);
  return kept;
}

void AsyncClientCore::contribute(Time now, const Task& task, std::shared_ptr<const Floats> gradient, Effects& effects,
                                 std::shared_ptr<const Floats> row_gradient) {
  const auto at = slices_.find(task.slice);
  if (at == slices_.end() || at->second.weights != task.weights || at->second.rows != task.rows ||
      at->second.clock.next() != task.iteration) {
    return;
  }
  Slice& slice = at->second;
  const std::size_t lacked = std::min<std::size_t>(slice.clock.value - std::min(slice.clock, slice.floor).value,
                                                   bounds::staleness_counted_max);
  staleness_.resize(std::max(staleness_.size(), lacked + 1), 0);
  ++staleness_[lacked];
  slice.weights = nullptr;
  slice.gradient = to_send(slice, std::move(gradient));
  slice.sent_rows = std::exchange(slice.rows, nullptr);
  slice.row_gradient = std::move(row_gradient);
  slice.fetch = new_fetch();
  resume(now, task.slice, slice, effects);
}

// ---- messages -------------------------------------------------------------------------------------------------------

AsyncClientCore::Request& AsyncClientCore::request(Time now, std::optional<SliceId> slice, std::size_t part, Body body,
                                                   Payload payload, Effects& effects) {
  last_request_ = last_request_.next();
  const auto [at, added] = requests_.emplace(last_request_, Request{slice, part, std::move(body), std::move(payload),
                                                                    RepeatTimer(now, job_.timeouts.request_timeout)});
  send(last_request_, at->second, at->second.payload, effects);
  return at->second;
}

void AsyncClientCore::send(RequestId id, const Request& request, const Payload& payload, Effects& effects) {
  if (is_contribution(request.body) && !payload.empty()) {
    codec_.count_gradient(parts_[request.part], payload.size());
  }
  Message message{{job_.cluster, Role::worker, id_.value, incarnation_, view_.epoch, id}, request.body, payload};
  effects.emplace_back(Send{parts_[request.part].server, std::move(message)});
}

void AsyncClientCore::on_message(Time now, Message message, Effects& effects) {
  const Envelope& envelope = message.envelope;
  if (envelope.cluster != job_.cluster || envelope.role != Role::server) {
    return;
  }
  if (auto* stale = std::get_if<Stale>(&message.body)) {
    on_view(now, stale->view, effects);
    return;
  }
  const auto at = requests_.find(envelope.request);
  if (at == requests_.end() || envelope.epoch != view_.epoch ||
      view_.servers[parts_[at->second.part].server].id.value != envelope.sender) {
    return;  // an answer to what has been answered or given up
  }
  heard_[parts_[at->second.part].server] = now;
  if (std::holds_alternative<Missing>(message.body)) {  // what was asked about again has never arrived
    at->second.timer = RepeatTimer(now, job_.timeouts.request_timeout);
    send(at->first, at->second, at->second.payload, effects);
  } else if (const auto* refused = std::get_if<Refused>(&message.body)) {
    on_refused(now, *refused, envelope.sender, effects);
  } else if (const auto* values = std::get_if<Values>(&message.body)) {
    const auto payload = payload_of(at->second, *values, message.payload);
    if (!payload || values->clocks.size() != job_.slices) {
      return;  // not what was asked for; the request is repeated
    }
    const Request answered = std::move(at->second);
    requests_.erase(at);
    on_values(now, answered, *values, *payload, effects);
  } else if (std::holds_alternative<Ack>(message.body) && parts_[at->second.part].rows) {
    const Request answered = std::move(at->second);
    requests_.erase(at);
    on_ack(now, answered, effects);
  }
}

/// The float32 values of an answer; nothing if it is not what was asked for.
std::optional<Payload> AsyncClientCore::payload_of(const Request& request, const Values& values,
                                                   const Payload& payload) {
  const Part& part = parts_[request.part];
  if (!part.rows) {
    return codec_.values(part, values.format, payload);
  }
  const std::size_t bytes = request.rows ? request.rows->value_bytes(request.blocks) : 0;
  if (payload.size() != bytes || !values.format.is_plain()) {
    return std::nullopt;
  }
  codec_.count_rows(bytes);
  return payload;
}

void AsyncClientCore::on_values(Time now, const Request& request, const Values& values, const Payload& payload,
                                Effects& effects) {
  Fetch& fetch = request.slice ? slices_.at(*request.slice).fetch : *joint_;
  const Part& part = parts_[request.part];
  const std::byte* from = payload.data();
  for (const Span& span : part.spans) {
    std::memcpy(fetch.values->data() + span.offset, from, span.elements * sizeof(float));
    from += span.elements * sizeof(float);
  }
  if (request.rows) {
    request.rows->take(request.blocks, payload.data());
  } else {
    for (const BlockId block : part.blocks) {
      fetch.arrived[block.value] = 1;
    }
  }
  for (std::size_t slice = 0; slice < fetch.clocks.size(); ++slice) {
    fetch.clocks[slice] = std::min(fetch.clocks[slice], values.clocks[slice]);
  }
  on_arrived(now, request.slice, effects);
}

/// Rows have a contribution, or, where nothing is sent any more, all of them.
void AsyncClientCore::on_ack(Time now, const Request& request, Effects& effects) {
  Fetch& fetch = request.slice ? slices_.at(*request.slice).fetch : *joint_;
  for (const BlockId block : request.slice ? request.blocks : parts_[request.part].blocks) {
    fetch.arrived[block.value] = 1;
  }
  for (std::size_t slice = 0; !request.slice && slice < fetch.clocks.size(); ++slice) {
    fetch.clocks[slice] = std::min(fetch.clocks[slice], job_.iterations);
  }
  on_arrived(now, request.slice, effects);
}

void AsyncClientCore::on_arrived(Time now, std::optional<SliceId> slice, Effects& effects) {
  const Fetch& fetch = slice ? slices_.at(*slice).fetch : *joint_;
  if (std::all_of(parts_.begin(), parts_.end(), [&](const Part& each) { return has(fetch, each); })) {
    if (!slice) {
      on_joint(now, effects);
    } else if (has_rows(slices_.at(*slice))) {
      on_slice(now, *slice, effects);
    }
  }
}

void AsyncClientCore::on_refused(Time now, const Refused& refused, const std::string& by, Effects& effects) {
  switch (refused.reason) {
    case RefusalReason::unknown_sender:  // a view on its way will say why
    case RefusalReason::overloaded:
      return;  // the request is repeated at its deadline
    case RefusalReason::version_gone:
      start_over(now, effects);
      return;
    default:
      effects.push_back(GiveUp{by + " refused a request of " + id_.value + ": " + refused.text});
  }
}

// ---- time -----------------------------------------------------------------------------------------------------------

void AsyncClientCore::on_tick(Time now, Effects& effects) {
  for (auto& [id, request] : requests_) {
    if (request.timer.is_due(now, heard_[parts_[request.part].server])) {
      send(id, request, is_contribution(request.body) ? Payload() : request.payload, effects);
    }
  }
}

Time AsyncClientCore::next_deadline() const {
  Time earliest = time_never;
  for (const auto& [id, request] : requests_) {
    earliest = std::min(earliest, request.timer.deadline());
  }
  return earliest;
}

std::string AsyncClientCore::waiting_for() const {
  if (own_.empty()) {
    return "a slice to compute";
  }
  if (next_task() || requests_.empty()) {
    return {};
  }
  const Request& first = requests_.begin()->second;
  std::string servers;
  for (const auto& [id, request] : requests_) {
    const std::string& server = view_.servers[parts_[request.part].server].id.value;
    if (request.slice == first.slice && servers.find(server) == std::string::npos) {
      servers += (servers.empty() ? "" : ", ") + server;
    }
  }
  if (!first.slice) {
    return (joint_is_last_ ? "the last weights of " : "the weights of ") + servers;
  }
  return "iteration " + std::to_string(slices_.at(*first.slice).clock.value + 1) + " of " + servers;
}

}  // namespace ringps
