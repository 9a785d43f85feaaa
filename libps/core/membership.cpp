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

bool Coordinator::has_place_for(const std::string& worker) const {
  if (job_.worker_scope == WorkerScope::all || state_ == RunState::forming) {
    return true;
  }
  const auto is_home = [&](const std::string& server) { return ordinal(server) == home_of(job_, worker); };
  return std::any_of(view_.servers.begin(), view_.servers.end(), [&](const auto& s) { return is_home(s.id.value); }) ||
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

/// Makes `next` the view: takes in everybody who waits and may come, orders a restore from the last committed
/// checkpoint if `roll_back`, assigns slices, journals, and only then publishes.
void Coordinator::change_view(Time now, View next, bool roll_back, Effects& effects) {
  for (const auto& [id, process] : processes_) {
    if (process.role == Role::worker && !next.worker_index(id)) {
      next.workers.push_back({{id}, process.incarnation});
    }
  }
  sort_naturally(next.workers);
  roll_back = roll_back || lacks_older_weights(next);
  for (const auto& [id, process] : processes_) {
    if (process.role == Role::server && roll_back && !next.server_index(id)) {
      next.servers.push_back({{id}, process.incarnation, process.endpoint});
    }
  }
  sort_naturally(next.servers);
  if (roll_back) {
    next.settled_ring.clear();
    for (const ServerMember& server : next.servers) {
      next.settled_ring.push_back({server.id, server.incarnation});
    }
    next.owned_since = view_.epoch.next();
  }
  next.epoch = view_.epoch.next();
  if (roll_back) {
    next.restore = {next.epoch, committed_, committed_folder_};
    next_checkpoint_ = first_checkpoint(job_, committed_);
    misses_ = 0;
    written_.clear();
    lineage_committed_ = {};
    evaluated_.clear();
    timings_through_ = committed_;
    evaluations_through_ = committed_;
    pace_.restart(now, committed_);
    for (auto& [id, process] : processes_) {
      process.iteration = committed_;
    }
  }
  next.slice_worker = assign_slices(job_, view_, next);
  next.placement_digest = Placement(next, table_, job_.virtual_nodes, job_.replicas).digest();
  view_ = std::move(next);
  effects.push_back(PersistView{view_});
  effects.push_back(Publish{make(ViewPublished{view_})});
  effects.push_back(Log{"view " + std::to_string(view_.epoch.value) + ": " + view_.cause});
}

void Coordinator::remove(Time now, std::vector<Removal> removals, Effects& effects) {
  View next = orphaned_ ? *orphaned_ : view_;
  bool roll_back = orphaned_.has_value();
  bool changed = false;
  std::string cause = orphaned_ ? orphaned_->cause : "";
  for (std::size_t i = 0; i < removals.size(); ++i) {  // grows where workers go with their server
    const Removal removal = removals[i];
    const auto known = processes_.find(removal.id);
    if (known == processes_.end()) {
      continue;
    }
    const Process process = known->second;
    const bool member = is_member(removal.id, process);
    removed_[removal.id] = process.incarnation;
    processes_.erase(known);
    if (!member || state_ != RunState::running) {
      continue;
    }
    changed = true;
    cause += (cause.empty() ? "" : "; ") + removal.id + " removed: " + removal.how;
    const bool server = process.role == Role::server;
    if (removal.failed) {
      failures_.push_back({process.role, removal.id, process.incarnation, removal.how, newest_iteration(), committed_,
                           view_.restore.epoch, server, process.last_heard, now, std::nullopt, view_.epoch.next()});
    }
    const auto is_removed = [&](const auto& m) { return m.id.value == removal.id; };
    if (server) {
      roll_back = true;
      std::erase_if(next.servers, is_removed);
      for (const WorkerMember& worker : next.workers) {
        if (job_.worker_scope == WorkerScope::server && home_of(job_, worker.id.value) == ordinal(removal.id)) {
          removals.push_back({worker.id.value, "its server was removed", false});
        }
      }
    } else {
      std::erase_if(next.workers, is_removed);
    }
  }
  if (!changed) {
    return;
  }
  next.cause = cause;
  const bool server_waits = std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
    return entry.second.role == Role::server && !is_member(entry.first, entry.second);
  });
  if (next.servers.empty() && !server_waits) {  // a view has at least one server: it comes with the next one that joins
    effects.push_back(Log{cause + "; no server is left, waiting for one to join"});
    orphaned_ = std::move(next);
    return;
  }
  change_view(now, std::move(next), roll_back, effects);
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
  } else if (!orphaned_ && waits(Role::worker)) {
    // A server that joins waits for the next restore: with one replica there is nobody to hand it blocks beside
    // training.
    View next = view_;
    next.cause = "a worker has joined";
    change_view(now, std::move(next), false, effects);
  }
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

void Coordinator::watch(Time now, Effects& effects) {
  std::vector<Removal> removals;
  for (auto& [id, process] : processes_) {
    if (const auto how = failure_of(now, process)) {
      removals.push_back({id, *how});
      continue;
    }
    // A probe to a process that is gone fails at once, long before failure_timeout (see on_unreachable).
    const Duration interval = job_.timeouts.heartbeat_interval;
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

void Coordinator::on_tick(Time now, Effects& effects) {
  if (now < next_tick_ || exited_) {
    return;
  }
  next_tick_ = now + job_.timeouts.heartbeat_interval / 4;
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
