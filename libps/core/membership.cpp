// The coordinator's views: who is in, who is out, and how it is noticed that somebody has failed.
#include <algorithm>
#include <utility>

#include "libps/core/assignment.hpp"
#include "libps/core/bounds.hpp"
#include "libps/core/coordinator.hpp"

namespace ringps {
namespace {

/// A server whose data loop has not turned for this long, while its heartbeats go on, is wedged.
constexpr Duration wedge_timeout = std::chrono::seconds(30);

/// After the end: how long members may take to leave.
constexpr Duration farewell_timeout = std::chrono::seconds(5);

template <class Members>
void sort_naturally(Members& members) {
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return natural_less(a.id.value, b.id.value); });
}

std::string round_seconds(Duration duration) {
  const std::string text = std::to_string(seconds(duration));
  return text.substr(0, text.find('.') + 3) + " s";
}

}  // namespace

bool Coordinator::is_member(const std::string& id, const Process& process) const {
  if (process.role == Role::server) {
    const auto index = view_.server_index(id);
    return index && view_.servers[*index].incarnation == process.incarnation;
  }
  const auto index = view_.worker_index(id);
  return index && view_.workers[*index].incarnation == process.incarnation;
}

bool Coordinator::was_removed(const Envelope& sender) const {
  const auto removed = removed_.find(sender.sender);
  return removed != removed_.end() && sender.incarnation <= removed->second;
}

bool Coordinator::has_place_for(const std::string& worker, const View& view) const {
  if (job_.worker_scope == WorkerScope::all || state_ == RunState::forming) {
    return true;
  }
  const auto is_home = [&](const std::string& server) { return ordinal(server) == home_of(job_, worker); };
  return std::any_of(view.servers.begin(), view.servers.end(), [&](const auto& s) { return is_home(s.id.value); }) ||
         std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {  // it waits for the next restore
           return entry.second.role == Role::server && is_home(entry.first);
         });
}

std::string Coordinator::missing_members() const {
  std::size_t servers = 0;
  std::size_t workers = 0;
  for (const auto& [id, process] : processes_) {
    ++(process.role == Role::server ? servers : workers);
  }
  return "waiting for members: " + std::to_string(servers) + " of " + std::to_string(job_.servers) + " servers and " +
         std::to_string(workers) + " of " + std::to_string(job_.workers) + " workers have joined";
}

void Coordinator::form_if_complete(Time now, Effects& effects) {
  std::size_t servers = 0;
  for (const auto& [id, process] : processes_) {
    servers += process.role == Role::server ? 1U : 0U;
  }
  if (servers < job_.servers || processes_.size() - servers < job_.workers) {
    return;
  }
  state_ = RunState::running;
  View first;
  first.restore = {{}, start_.iteration, start_.checkpoint};
  first.cause = start_.checkpoint.empty() ? "all members have joined" : "resumed from " + start_.checkpoint;
  change_view(now, std::move(first), true, effects);
}

/// With a refresh_interval gradients are computed from older weights, which no server keeps, and which a worker may
/// have missed: a slice changes hands only where everybody starts from a checkpoint.
bool Coordinator::lacks_older_weights(const View& next) const {
  if (job_.refresh_interval == 1) {
    return false;
  }
  const std::vector<std::uint32_t> slice_worker = assign_slices(job_, view_, next);
  for (std::size_t s = 0; s < slice_worker.size() && s < view_.slice_worker.size(); ++s) {
    const std::uint32_t before = view_.slice_worker[s];
    const std::uint32_t after = slice_worker[s];
    if (after != no_worker && (before == no_worker || !(view_.workers[before] == next.workers[after]))) {
      return true;
    }
  }
  return false;
}

/// Everything goes back to the last committed checkpoint, on all servers that stay.
void Coordinator::begin_lineage(Time now, View& next) {
  std::erase_if(next.servers, [&](const ServerMember& server) {
    if (!server.stays) {  // what it was to hand on comes from the checkpoint
      next.retired.push_back(server.id.value);
      processes_.erase(server.id.value);
    }
    return !server.stays;
  });
  next.settled_ring.clear();
  for (const ServerMember& server : next.servers) {
    next.settled_ring.push_back({server.id, server.incarnation});
  }
  next.restore = {next.epoch, committed_, committed_folder_};
  next_checkpoint_ = first_checkpoint(job_, committed_);
  misses_ = 0;
  lineage_committed_ = {};
  evaluated_.clear();
  timings_through_ = committed_;
  evaluations_through_ = committed_;
  pace_.restart(now, committed_);
  for (auto& [id, process] : processes_) {
    process.iteration = committed_;
  }
}

/// Whether every block has the same primary as in the view before.
bool Coordinator::same_owners(const View& next) const {
  if (view_.servers.empty()) {
    return false;
  }
  const Placement before(view_, table_, job_.virtual_nodes, job_.replicas);
  const Placement after(next, table_, job_.virtual_nodes, job_.replicas);
  for (std::uint32_t b = 0; b < table_.size(); ++b) {
    const ServerMember& was = view_.servers[before.primary(BlockId{b})];
    const ServerMember& is = next.servers[after.primary(BlockId{b})];
    if (was.id != is.id || was.incarnation != is.incarnation) {
      return false;
    }
  }
  return true;
}

/// Makes `next` the view: takes in everybody who waits and may come, goes back to the last committed checkpoint if
/// `roll_back` or if blocks are lost, assigns slices, journals, and only then publishes. Returns whether it went back.
bool Coordinator::change_view(Time now, View next, bool roll_back, Effects& effects) {
  for (const auto& [id, process] : processes_) {
    if (process.role == Role::worker && !next.worker_index(id) && has_place_for(id, next)) {
      next.workers.push_back({{id}, process.incarnation});
    }
  }
  sort_naturally(next.workers);
  const bool lost = view_.epoch.value != 0 && Placement(next, table_, job_.virtual_nodes, job_.replicas).lost();
  roll_back = roll_back || lost || lacks_older_weights(next);
  for (const auto& [id, process] : processes_) {
    // With slices of its own a server can come only where everybody starts anew.
    const bool may_come = roll_back || job_.worker_scope == WorkerScope::all;
    if (process.role == Role::server && may_come && !next.server_index(id)) {
      next.servers.push_back({{id}, process.incarnation, process.endpoint});
    }
  }
  sort_naturally(next.servers);
  next.epoch = view_.epoch.next();
  if (lost && job_.stop_on_data_loss) {
    stop(now, RunState::data_lost, next.cause + "; no replica is left of some blocks, and on_data_loss is stop",
         effects);
    return true;
  }
  if (roll_back) {
    begin_lineage(now, next);
  }
  if (roll_back || !same_owners(next)) {
    next.owned_since = next.epoch;
    written_.clear();
  }
  ready_.clear();
  next.slice_worker = assign_slices(job_, view_, next);
  next.placement_digest = Placement(next, table_, job_.virtual_nodes, job_.replicas).digest();
  view_ = std::move(next);
  effects.push_back(PersistView{view_});
  effects.push_back(Publish{make(ViewPublished{view_})});
  effects.push_back(Log{"view " + std::to_string(view_.epoch.value) + ": " + view_.cause});
  return roll_back;
}

/// Takes a process out of the processes and of `next`; workers that go with it are added to `removals`. Returns whether
/// the view changes.
bool Coordinator::take_out(View& next, const Removal& removal, std::vector<Removal>& removals, std::string& cause) {
  const auto known = processes_.find(removal.id);
  if (known == processes_.end()) {
    return false;
  }
  const Process process = known->second;
  const bool member = is_member(removal.id, process);
  removed_[removal.id] = process.incarnation;
  processes_.erase(known);
  if (!member || state_ != RunState::running) {
    return false;
  }
  cause += (cause.empty() ? "" : "; ") + removal.id + " removed: " + removal.how;
  const auto is_removed = [&](const auto& m) { return m.id.value == removal.id; };
  if (process.role == Role::worker) {
    std::erase_if(next.workers, is_removed);
    return true;
  }
  std::erase_if(next.servers, is_removed);
  for (const WorkerMember& worker : next.workers) {
    if (job_.worker_scope == WorkerScope::server && home_of(job_, worker.id.value) == ordinal(removal.id)) {
      removals.push_back({worker.id.value, "its server was removed", false});
    }
  }
  return true;
}

void Coordinator::remove(Time now, std::vector<Removal> removals, Effects& effects) {
  View next = orphaned_ ? *orphaned_ : view_;
  bool roll_back = orphaned_.has_value();
  bool changed = false;
  std::string cause = orphaned_ ? orphaned_->cause : "";
  const std::size_t failures_before = failures_.size();
  for (std::size_t i = 0; i < removals.size(); ++i) {  // grows where workers go with their server
    const Removal removal = removals[i];
    const auto known = processes_.find(removal.id);
    const Process process = known == processes_.end() ? Process{} : known->second;
    if (!take_out(next, removal, removals, cause)) {
      continue;
    }
    changed = true;
    roll_back = roll_back || (process.role == Role::server && job_.worker_scope == WorkerScope::server);
    if (removal.failed) {
      failures_.push_back({process.role, removal.id, process.incarnation, removal.how, newest_iteration(), committed_,
                           view_.restore.epoch, false, process.last_heard, now, std::nullopt, view_.epoch.next()});
    }
  }
  if (!changed) {
    return;
  }
  if (std::none_of(next.servers.begin(), next.servers.end(), [](const auto& s) { return s.stays; })) {
    for (ServerMember& server : next.servers) {  // somebody has to stay: the drain is called off
      server.stays = true;
    }
  }
  next.cause = cause;
  const bool server_waits = std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
    return entry.second.role == Role::server && !is_member(entry.first, entry.second);
  });
  bool rolls_back = true;
  if (next.servers.empty() && job_.stop_on_data_loss) {
    stop(now, RunState::data_lost, cause + "; no server is left, and on_data_loss is stop", effects);
  } else if (next.servers.empty() && !server_waits) {  // a view has a server: it comes with the next one that joins
    effects.push_back(Log{cause + "; no server is left, waiting for one to join"});
    orphaned_ = std::move(next);
  } else {
    orphaned_.reset();
    rolls_back = change_view(now, std::move(next), roll_back, effects);
  }
  for (std::size_t f = failures_before; f < failures_.size(); ++f) {
    failures_[f].rolls_back = rolls_back && failures_[f].role == Role::server;
  }
}

// ---- servers that come and go without a stop ------------------------------------------------------------------------

void Coordinator::on_replicas_ready(Time now, const Route& from, const Message& message, const ReplicasReady& ready,
                                    Effects& effects) {
  if (ready.epoch != view_.epoch) {
    send(from, message.envelope.request, Ack{}, effects);  // nothing more will come of it
    return;
  }
  ready_.insert(message.envelope.sender);
  settle_if_ready(now, effects);
  if (view_.epoch != ready.epoch) {
    send(from, message.envelope.request, Ack{}, effects);
  }
}

/// When everybody's replicas have caught up, the target ring becomes the settled one, and who was drained may go.
void Coordinator::settle_if_ready(Time now, Effects& effects) {
  const bool all_ready = std::all_of(view_.servers.begin(), view_.servers.end(),
                                     [&](const ServerMember& server) { return ready_.contains(server.id.value); });
  if (state_ != RunState::running || orphaned_ || view_.settled() || !all_ready) {
    return;
  }
  View next = view_;
  next.cause = "settled: every replica is in sync";
  next.settled_ring.clear();
  std::erase_if(next.servers, [&](const ServerMember& server) {
    if (!server.stays) {
      next.cause += "; " + server.id.value + " has handed on what it held";
      next.retired.push_back(server.id.value);
      processes_.erase(server.id.value);
    }
    return !server.stays;
  });
  for (const ServerMember& server : next.servers) {
    next.settled_ring.push_back({server.id, server.incarnation});
  }
  change_view(now, std::move(next), false, effects);
}

void Coordinator::drain(Time now, const Route& from, const Message& message, const std::string& id, Effects& effects) {
  const RequestId request = message.envelope.request;
  const auto server = view_.server_index(id);
  const auto worker = view_.worker_index(id);
  const auto refuse_with = [&](std::string text) {
    refuse(from, request, RefusalReason::not_expected, std::move(text), effects);
  };
  const auto staying = std::count_if(view_.servers.begin(), view_.servers.end(), [](const auto& s) { return s.stays; });
  if (view_.is_retired(id) || (server && !view_.servers[*server].stays)) {
    send(from, request, Ack{}, effects);  // asked for before
  } else if (state_ != RunState::running || orphaned_ || (!server && !worker)) {
    refuse_with("'" + id + "' is not a member of the view, so there is nothing to drain");
  } else if (job_.worker_scope == WorkerScope::server) {
    refuse_with("with cluster.worker_scope: server slices belong to servers, and nobody can take them over");
  } else if (server && staying == 1) {
    refuse_with("'" + id + "' is the last server that stays; add another one first");
  } else if (worker && view_.workers.size() <= job_.min_workers) {
    refuse_with("'" + id + "' is one of the last " + std::to_string(view_.workers.size()) +
                " workers, and cluster.min_workers is " + std::to_string(job_.min_workers) + "; add another one first");
  } else {
    View next = view_;
    next.cause = id + " is drained";
    if (server) {
      next.servers[*server].stays = false;
    } else {
      std::erase_if(next.workers, [&](const WorkerMember& member) { return member.id.value == id; });
      next.retired.push_back(id);
      processes_.erase(id);
    }
    change_view(now, std::move(next), false, effects);
    send(from, request, Ack{}, effects);
  }
}

void Coordinator::admit_waiting(Time now, Effects& effects) {
  const auto waits = [&](Role role) {
    return std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
      return entry.second.role == role && !is_member(entry.first, entry.second);
    });
  };
  if (orphaned_ && waits(Role::server)) {
    View next = std::move(*orphaned_);
    orphaned_.reset();
    change_view(now, std::move(next), true, effects);
  } else if (!orphaned_ && (waits(Role::worker) || (waits(Role::server) && job_.worker_scope == WorkerScope::all))) {
    View next = view_;
    next.cause = waits(Role::server) ? "a server has joined" : "a worker has joined";
    change_view(now, std::move(next), false, effects);
  }
}

/// Why nothing moves, in words, one line for each who waits.
std::vector<std::string> Coordinator::waiting() const {
  std::vector<std::string> lines;
  if (orphaned_) {
    lines.emplace_back("the run waits for a server to join");
  }
  if (state_ == RunState::running && view_.workers.size() < job_.min_workers) {
    lines.push_back("the run waits for workers: " + std::to_string(view_.workers.size()) + " of at least " +
                    std::to_string(job_.min_workers));
  }
  for (const ServerMember& server : view_.servers) {
    if (!view_.settled() && !ready_.contains(server.id.value)) {
      lines.push_back("the view waits for the replicas of " + server.id.value + "'s blocks to catch up");
    }
  }
  for (const auto& [id, process] : processes_) {
    if (!process.waiting_for.empty()) {
      lines.push_back(id + ": " + process.waiting_for);
    }
  }
  return lines;
}

std::optional<std::string> Coordinator::failure_of(Time now, const Process& process) const {
  const Duration silence = now - process.last_heard;
  if (silence > job_.timeouts.failure_timeout) {
    return "no heartbeat for " + round_seconds(silence);
  }
  if (process.suspected && silence > job_.timeouts.probe_timeout) {
    return "its connection broke, and no word from it for " + round_seconds(silence);
  }
  if (process.role == Role::server && now - process.turns_changed > wedge_timeout) {
    return "its data loop has stood still for " + round_seconds(now - process.turns_changed);
  }
  return std::nullopt;
}

/// A member has spoken. When all were silent before, it was the coordinator that was cut off: everybody
/// gets a full failure_timeout to be heard, and connections that have broken to be made anew.
void Coordinator::note_word(Time now) {
  if (all_silent(now)) {
    grace_until_ = now + job_.timeouts.failure_timeout;
  }
  last_word_ = now;
}

bool Coordinator::all_silent(Time now) const {
  return now - last_word_ > job_.timeouts.failure_timeout / 2;
}

void Coordinator::watch(Time now, Effects& effects) {
  const bool judges = !all_silent(now) && now >= grace_until_;
  const Duration interval = job_.timeouts.beat_interval(view_.servers.size() + view_.workers.size());
  std::vector<Removal> removals;
  for (auto& [id, process] : processes_) {
    if (const auto how = judges ? failure_of(now, process) : std::nullopt) {
      removals.push_back({id, *how});
      continue;
    }
    // A probe to a process that is gone fails at once, long before failure_timeout (see on_unreachable).
    if (!process.route.empty() && now - process.last_heard > interval + interval / 4 &&
        now - process.last_probed > interval / 2) {
      process.last_probed = now;
      send(process.route, {}, Probe{}, effects);
    }
  }
  if (!removals.empty()) {
    remove(now, std::move(removals), effects);
  }
}

/// Time in which the coordinator itself stood still (a stalled disk, a paused machine) is nobody's silence.
void Coordinator::forgive_own_pause(Time now) {
  const Duration pause = now - std::exchange(last_tick_, now);
  if (pause > job_.timeouts.failure_timeout / 4) {
    for (auto& [id, process] : processes_) {
      process.last_heard = std::min(process.last_heard + pause, now);
      process.turns_changed = std::min(process.turns_changed + pause, now);
    }
  }
}

void Coordinator::on_tick(Time now, Effects& effects) {
  if (now < next_tick_ || exited_) {
    return;
  }
  next_tick_ = now + job_.timeouts.heartbeat_interval / 4;
  forgive_own_pause(now);
  if (state_ == RunState::forming && now - started_ > job_.timeouts.form_timeout) {
    stop(now, RunState::failed, missing_members() + " within " + round_seconds(now - started_), effects);
  }
  watch(now, effects);
  if (now >= review_checkpoint_at_ && state_ == RunState::running) {
    review_checkpoint_at_ = time_never;
    if (newest_iteration() > next_checkpoint_) {
      name_next_checkpoint(now, effects);
    }
  }
  finish_if_done(now, effects);
  if (state_ > RunState::running && (processes_.empty() || now - ended_ > farewell_timeout)) {
    exited_ = true;
    next_tick_ = time_never;
    effects.push_back(Exit{state_, end_text_});
  }
}

void Coordinator::stop(Time now, RunState state, std::string text, Effects& effects) {
  if (state_ > RunState::running) {
    return;
  }
  state_ = state;
  end_text_ = std::move(text);
  ended_ = now;
  effects.push_back(Log{"the run ends: " + end_text_});
  effects.push_back(Publish{make(Stop{state_, end_text_})});
}

}  // namespace ringps
