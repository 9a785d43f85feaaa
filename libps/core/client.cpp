#include "libps/core/client.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libps/core/assignment.hpp"
#include "libps/rows/row_list.hpp"

namespace ringps {
namespace {

/// How long a worker that is done waits before it races another one, which would take it `usual`.
Duration race_patience(Duration usual) {
  return std::max<Duration>(usual, std::chrono::milliseconds(10));
}

template <class Spans>
void scatter(const Spans& spans, const Payload& payload, Floats& flat) {
  const std::byte* from = payload.data();
  for (const auto& span : spans) {
    std::memcpy(flat.data() + span.offset, from, span.elements * sizeof(float));
    from += span.elements * sizeof(float);
  }
}

}  // namespace

ClientCore::ClientCore(const JobSpec& job, WorkerId id, Incarnation incarnation)
    : job_(job),
      id_(std::move(id)),
      incarnation_(incarnation),
      table_(job.tensors, job.block_elements, job.tables),
      block_arrived_(table_.size(), 0),
      codec_(job.compression, table_) {}

// ---- views ----------------------------------------------------------------------------------------------------------

bool ClientCore::cut_parts() {
  parts_.clear();
  const Placement placement(view_, table_, job_.virtual_nodes, job_.replicas);
  for (ServerPart& part : ringps::cut_parts(placement, view_.servers.size(), table_, job_.message_bytes)) {
    parts_.push_back({std::move(part), false, {}, {}});
  }
  return placement.digest() == view_.placement_digest;
}

void ClientCore::on_view(Time now, const View& view, Effects& effects) {
  if (view.epoch <= view_.epoch) {
    return;
  }
  const bool rolled_back = view.restore.epoch != view_.restore.epoch;
  view_ = view;
  if (rolled_back) {
    version_ = view.restore.iteration;
  }
  requests_.clear();
  heard_.assign(view.servers.size(), Time{});
  if (!cut_parts()) {
    effects.push_back(GiveUp{"the placement computed from view " + std::to_string(view.epoch.value) +
                             " is not the one that the view's digest stands for: the programs differ"});
    return;
  }
  slices_ = view.slices_of(id_.value);
  if (phase_ == Phase::finished && !rolled_back) {
    return;
  }
  if (slices_.empty() && !job_.speculate) {
    phase_ = Phase::idle;
  } else if (phase_ == Phase::training && !rolled_back) {
    resume_iteration(now, effects);
  } else {
    start_sync(now, effects);
  }
}

// ---- bringing one version together ----------------------------------------------------------------------------------

void ClientCore::start_sync(Time now, Effects& effects) {
  phase_ = Phase::syncing;
  requests_.clear();
  gradients_.clear();
  rows_.clear();
  renew_next();
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    parts_[p].arrived = false;
    request(now, p, Pull{newest_version, !parts_[p].rows, parts_[p].runs}, {}, effects);
  }
}

void ClientCore::finish_sync(Time now, Effects& effects) {
  // Blocks are at most one version apart, and all keep the one before: the oldest that came is to be had everywhere.
  Iteration oldest = parts_.front().version;
  for (const Part& part : parts_) {
    oldest = std::min(oldest, part.version);
  }
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (parts_[p].version != oldest && !parts_[p].rows) {
      parts_[p].arrived = false;
      request(now, p, Pull{oldest, true, parts_[p].runs}, {}, effects);
    }
  }
  if (!all_arrived()) {
    return;
  }
  version_ = oldest;
  weights_ = std::move(next_);
  compute_weights_ = weights_;
  effects.push_back(Reached{{version_, view_.restore.epoch, weights_}});
  begin_iteration(now, effects);
}

// ---- one iteration --------------------------------------------------------------------------------------------------

bool ClientCore::wants_values(Iteration version) const {
  return version.value % job_.refresh_interval == 0 || version == job_.iterations ||
         (job_.evaluate_interval != 0 && version.value % job_.evaluate_interval == 0);
}

bool ClientCore::contributes_to(const Part& part, SliceId slice) const {
  return contributes(job_, slice, view_.servers[part.server].id.value);
}

std::optional<SliceId> ClientCore::first_contributor(const Part& part) const {
  const auto at =
      std::find_if(slices_.begin(), slices_.end(), [&](SliceId slice) { return contributes_to(part, slice); });
  return at == slices_.end() ? std::nullopt : std::optional(*at);
}

void ClientCore::begin_iteration(Time now, Effects& effects) {
  std::erase_if(requests_, [&](const auto& entry) {
    const bool ahead = entry.second.rows && std::get<PullRows>(entry.second.body).iteration >= version_;
    return version_ == job_.iterations || !(follows(entry.second) || ahead);
  });
  std::erase_if(rows_, [&](const auto& entry) { return entry.first.first <= version_; });
  gradients_.clear();
  if (version_ == job_.iterations) {
    phase_ = Phase::finished;
    return;
  }
  phase_ = Phase::training;
  last_iteration_ = began_ == Time{} ? Duration{} : now - began_;
  began_ = now;
  race_.reset();
  race_at_ = job_.speculate && slices_.empty() ? now + race_patience(last_iteration_ / 2) : time_never;
  renew_next();
  std::fill(block_arrived_.begin(), block_arrived_.end(), std::uint8_t{0});
  for (Part& part : parts_) {
    part.arrived = false;
  }
  follow_others(now, effects);
  take_early(now, effects);
}

bool ClientCore::is_mine(SliceId slice) const {
  return std::find(slices_.begin(), slices_.end(), slice) != slices_.end();
}

/// After a change of the view: parts are cut anew, what has arrived stays, and the rest is asked for again.
void ClientCore::resume_iteration(Time now, Effects& effects) {
  for (Part& part : parts_) {
    part.arrived = std::all_of(part.blocks.begin(), part.blocks.end(),
                               [&](BlockId block) { return block_arrived_[block.value] != 0; });
  }
  if (all_arrived()) {
    finish_iteration(now, effects);
    return;
  }
  follow_others(now, effects);
  for (const auto& [slice, gradient] : gradients_) {
    if (is_mine(slice)) {
      send_slice(now, slice, gradient, effects);
    }
  }
  for (const auto& [at, rows] : rows_) {
    if (is_mine(at.second)) {
      pull_rows(now, at.second, rows, effects);
    }
  }
  race_.reset();
  race_at_ = job_.speculate ? now + race_patience(last_iteration_) : time_never;
}

/// Servers to which none of our slices contributes are only waited for, so that nobody runs ahead of anybody. Where
/// every version is wanted, they are asked once.
void ClientCore::follow_others(Time now, Effects& effects) {
  const bool all_versions = job_.refresh_interval == 1;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const bool asked = std::any_of(requests_.begin(), requests_.end(),
                                   [&](const auto& entry) { return entry.second.part == p && follows(entry.second); });
    if (!parts_[p].arrived && !asked && !first_contributor(parts_[p])) {
      request(now, p, Pull{version_.next(), wants_values(version_.next()), parts_[p].runs, all_versions}, {}, effects);
    }
  }
}

bool ClientCore::follows(const Request& request) const {
  const auto* pull = std::get_if<Pull>(&request.body);
  return pull != nullptr && pull->follow;
}

/// The request stays: it will be answered with the next version too.
void ClientCore::on_followed(Time now, Request& request, Iteration version, const Payload& payload, Effects& effects) {
  request.timer = RepeatTimer(now, job_.timeouts.request_timeout);
  if (version == version_.next()) {
    std::get<Pull>(request.body).iteration = version.next();
    on_arrived(now, request.part, version, payload, effects);
  } else if (version == version_.next().next()) {  // others are a step ahead
    parts_[request.part].early.emplace(version, payload);
  }
}

/// What came early belongs to the iteration that begins.
void ClientCore::take_early(Time now, Effects& effects) {
  const Iteration next = version_.next();
  for (std::size_t p = 0; p < parts_.size() && version_.next() == next; ++p) {
    const auto early = std::exchange(parts_[p].early, std::nullopt);
    if (early && early->first == next) {  // not one from before a new start
      for (auto& [id, request] : requests_) {
        if (request.part == p && follows(request)) {
          std::get<Pull>(request.body).iteration = next.next();
        }
      }
      on_arrived(now, p, next, early->second, effects);
    }
  }
}

std::optional<ClientCore::Task> ClientCore::next_task() const {
  if (phase_ == Phase::training) {
    for (const SliceId slice : slices_) {
      const SliceRows* rows = rows_of(slice, version_.next());
      const bool rows_here = job_.tables.empty() || (rows != nullptr && rows->batch->is_whole());
      if (!gradients_.contains(slice) && rows_here) {
        return Task{version_.next(), slice, compute_weights_, rows == nullptr ? nullptr : rows->batch};
      }
    }
    if (race_ && !gradients_.contains(*race_)) {
      return Task{version_.next(), *race_, compute_weights_, nullptr};
    }
  }
  return std::nullopt;
}

void ClientCore::contribute(Time now, const Task& task, std::shared_ptr<const Floats> gradient, Effects& effects,
                            std::shared_ptr<const Floats> row_gradient) {
  if (phase_ != Phase::training || task.iteration != version_.next() || task.weights != compute_weights_ ||
      !(is_mine(task.slice) || task.slice == race_)) {
    return;
  }
  if (!job_.tables.empty()) {
    const auto rows = rows_.find({task.iteration, task.slice});
    if (rows == rows_.end() || rows->second.batch != task.rows) {
      return;
    }
    rows->second.gradient = std::move(row_gradient);
  }
  const auto& kept = gradients_[task.slice] = std::move(gradient);
  send_slice(now, task.slice, kept, effects);
  if (job_.speculate && !next_task()) {  // others get as long again as this worker took
    race_at_ = now + race_patience(now - began_);
  }
}

// ---- racing the slowest slice ---------------------------------------------------------------------------------------

/// Asks a server that has not answered yet what it waits for.
void ClientCore::ask_for_race(Time now, Effects& effects) {
  race_at_ = now + race_patience(now - began_);
  const auto part = std::find_if(parts_.begin(), parts_.end(), [](const Part& p) { return !p.arrived; });
  if (phase_ != Phase::training || next_task() || part == parts_.end()) {
    return;
  }
  race_request_ = last_request_ = last_request_.next();
  Message message{{job_.cluster, Role::worker, id_.value, incarnation_, view_.epoch, race_request_},
                  AskMissing{version_.next()},
                  {}};
  effects.emplace_back(Send{part->server, std::move(message)});
}

void ClientCore::on_missing(const Missing& missing) {
  if (phase_ != Phase::training || missing.iteration != version_.next() || next_task()) {
    return;
  }
  std::vector<SliceId> others;
  std::copy_if(missing.slices.begin(), missing.slices.end(), std::back_inserter(others),
               [&](SliceId slice) { return slice.value < job_.slices && !gradients_.contains(slice); });
  if (!others.empty()) {  // not everybody the same one
    race_ = others[view_.worker_index(id_.value).value_or(0) % others.size()];
  }
}

void ClientCore::send_slice(Time now, SliceId slice, const std::shared_ptr<const Floats>& gradient, Effects& effects) {
  const Iteration iteration = version_.next();
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = parts_[p];
    if (part.arrived || part.rows || !contributes_to(part, slice)) {
      continue;
    }
    auto [payload, format] = codec_.gradient(part, gradient);
    // One answer with values per part is enough: that to the first of our slices.
    if (wants_values(iteration) && slice == first_contributor(part)) {
      request(now, p, PushPull{iteration, slice, part.runs, format}, std::move(payload), effects);
    } else {
      request(now, p, Push{iteration, slice, part.runs, format}, std::move(payload), effects);
    }
  }
  if (const SliceRows* rows = rows_of(slice, iteration)) {
    push_rows(now, slice, *rows, effects);
  }
}

void ClientCore::finish_iteration(Time now, Effects& effects) {
  version_ = version_.next();
  std::shared_ptr<const Floats> values;
  if (wants_values(version_)) {
    spare_ = std::exchange(weights_, std::move(next_));
    values = weights_;
    if (version_.value % job_.refresh_interval == 0) {
      compute_weights_ = weights_;
    }
  }
  effects.push_back(Reached{{version_, view_.restore.epoch, std::move(values)}});
  begin_iteration(now, effects);
}

void ClientCore::renew_next() {
  if (next_ && is_sole_owner(next_)) {
    return;
  }
  if (spare_ && is_sole_owner(spare_)) {
    next_ = std::move(spare_);
    return;
  }
  next_ = std::make_shared<Floats>(table_.flat_elements(), 0.0F);
}

// ---- messages -------------------------------------------------------------------------------------------------------

ClientCore::Request& ClientCore::request(Time now, std::size_t part, Body body, Payload payload, Effects& effects) {
  last_request_ = last_request_.next();
  const auto [at, added] = requests_.emplace(
      last_request_,
      Request{part, std::move(body), std::move(payload), RepeatTimer(now, job_.timeouts.request_timeout), {}, nullptr});
  send(last_request_, at->second, at->second.payload, effects);
  return at->second;
}

void ClientCore::send(RequestId id, const Request& request, const Payload& payload, Effects& effects) {
  if (is_contribution(request.body) && !payload.empty()) {
    codec_.count_gradient(parts_[request.part], payload.size());
  }
  Message message{{job_.cluster, Role::worker, id_.value, incarnation_, view_.epoch, id}, request.body, payload};
  effects.emplace_back(Send{parts_[request.part].server, std::move(message)});
}

void ClientCore::on_message(Time now, const Message& message, Effects& effects) {
  const Envelope& envelope = message.envelope;
  if (envelope.cluster != job_.cluster || envelope.role != Role::server) {
    return;
  }
  if (const auto* stale = std::get_if<Stale>(&message.body)) {
    on_view(now, stale->view, effects);
    return;
  }
  const auto* missing = std::get_if<Missing>(&message.body);
  if (missing != nullptr && envelope.request == race_request_ && envelope.epoch == view_.epoch) {
    on_missing(*missing);
    return;
  }
  const auto at = requests_.find(envelope.request);
  if (at == requests_.end() || envelope.epoch != view_.epoch ||
      view_.servers[parts_[at->second.part].server].id.value != envelope.sender) {
    return;  // an answer to what has been answered or given up
  }
  const std::size_t part = at->second.part;
  heard_[parts_[part].server] = now;
  if (missing != nullptr) {  // what was asked about again has never arrived
    at->second.timer = RepeatTimer(now, job_.timeouts.request_timeout);
    send(at->first, at->second, at->second.payload, effects);
  } else if (const auto* refused = std::get_if<Refused>(&message.body)) {
    on_refused(now, *refused, envelope.sender, effects);
  } else if (std::holds_alternative<Values>(message.body) && at->second.rows) {
    const Request& pulled = at->second;
    if (message.payload.size() == pulled.rows->value_bytes(pulled.blocks)) {  // else the request is repeated
      codec_.count_rows(message.payload.size());
      pulled.rows->take(pulled.blocks, message.payload.data());
      requests_.erase(at);
    }
  } else if (const auto* values = std::get_if<Values>(&message.body)) {
    const auto payload = codec_.values(parts_[part], values->format, message.payload);
    if (!payload) {
      return;  // not what was asked for; the request is repeated
    }
    if (phase_ == Phase::training && follows(at->second)) {
      on_followed(now, at->second, values->iteration, *payload, effects);
      return;
    }
    requests_.erase(at);
    on_arrived(now, part, values->iteration, *payload, effects);
  } else if (const auto* ack = std::get_if<Ack>(&message.body)) {
    if (std::holds_alternative<PushRows>(at->second.body)) {
      const std::vector<BlockId> blocks = std::move(at->second.blocks);
      requests_.erase(at);
      on_rows_pushed(now, part, blocks, effects);
      return;
    }
    const bool all_that_is_wanted =
        parts_[part].rows || (!std::holds_alternative<PushPull>(at->second.body) && !wants_values(version_.next()));
    requests_.erase(at);
    if (all_that_is_wanted) {
      on_arrived(now, part, ack->iteration, {}, effects);
    }
  }
}

void ClientCore::on_arrived(Time now, std::size_t p, Iteration version, const Payload& payload, Effects& effects) {
  Part& part = parts_[p];
  if (part.arrived || (phase_ == Phase::training && version != version_.next())) {
    return;
  }
  part.arrived = true;
  part.version = version;
  if (!payload.empty()) {
    scatter(part.spans, payload, *next_);
  }
  if (phase_ == Phase::training) {
    for (const BlockId block : part.blocks) {
      block_arrived_[block.value] = 1;
    }
  }
  if (all_arrived()) {
    phase_ == Phase::training ? finish_iteration(now, effects) : finish_sync(now, effects);
  }
}

void ClientCore::on_refused(Time now, const Refused& refused, const std::string& by, Effects& effects) {
  switch (refused.reason) {
    case RefusalReason::unknown_sender:  // a view on its way will say why
    case RefusalReason::overloaded:
      return;                          // the request is repeated at its deadline
    case RefusalReason::version_gone:  // everybody else has gone on without us
      start_sync(now, effects);
      return;
    default:
      effects.push_back(GiveUp{by + " refused a request of " + id_.value + ": " + refused.text});
  }
}

bool ClientCore::all_arrived() const {
  return std::all_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.arrived; });
}

// ---- time -----------------------------------------------------------------------------------------------------------

void ClientCore::on_tick(Time now, Effects& effects) {
  for (auto& [id, request] : requests_) {
    if (request.timer.is_due(now, heard_[parts_[request.part].server])) {
      send(id, request, is_contribution(request.body) ? Payload() : request.payload, effects);
    }
  }
  if (now >= race_at_) {
    ask_for_race(now, effects);
  }
}

Time ClientCore::next_deadline() const {
  Time earliest = phase_ == Phase::training ? race_at_ : time_never;
  for (const auto& [id, request] : requests_) {
    earliest = std::min(earliest, request.timer.deadline());
  }
  return earliest;
}

std::string ClientCore::waiting_for() const {
  std::string servers;
  std::uint32_t last = 0xFFFFFFFF;
  for (const auto& [id, request] : requests_) {
    const std::uint32_t server = parts_[request.part].server;
    if (!parts_[request.part].arrived && std::exchange(last, server) != server &&
        servers.find(view_.servers[server].id.value) == std::string::npos) {
      servers += (servers.empty() ? "" : ", ") + view_.servers[server].id.value;
    }
  }
  if (servers.empty()) {
    return phase_ == Phase::idle ? "a slice to compute" : "";
  }
  const std::string what = phase_ == Phase::syncing ? "the weights" : "iteration " + std::to_string(version_.value + 1);
  return what + " of " + servers;
}

}  // namespace ringps
