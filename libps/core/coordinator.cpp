// Messages to the coordinator. Views and failures: membership.cpp. Checkpoints and the end: checkpointing.cpp.
#include "libps/core/coordinator.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "libps/core/assignment.hpp"
#include "libps/core/bounds.hpp"

namespace ringps {

Coordinator::Coordinator(const JobSpec& job, Incarnation incarnation, std::string job_digest, std::string broadcast,
                         Start start)
    : job_(job),
      incarnation_(incarnation),
      job_digest_(std::move(job_digest)),
      broadcast_(std::move(broadcast)),
      start_(std::move(start)),
      table_(job.tensors, job.block_elements, job.tables),
      committed_(start_.iteration),
      committed_folder_(start_.checkpoint) {}

void Coordinator::on_start(Time now, const std::optional<Recovered>& recovered) {
  started_ = now;
  next_tick_ = last_tick_ = last_word_ = now;
  if (!recovered) {
    return;
  }
  // Members get a full failure_timeout of grace; their routes come with their first words.
  state_ = RunState::running;
  view_ = recovered->view;
  committed_ = recovered->committed;
  committed_folder_ = recovered->committed_folder;
  next_checkpoint_ = first_checkpoint(job_, std::max(committed_, view_.restore.iteration));
  if (committed_ > view_.restore.iteration) {
    lineage_committed_ = committed_;
  }
  if (committed_ == job_.iterations) {
    last_committed_at_ = now;
  }
  if (!job_.checkpoint.wait) {
    review_checkpoint_at_ = now + job_.timeouts.failure_timeout;
  }
  timings_through_ = std::max(recovered->timings_through, view_.restore.iteration);
  evaluations_through_ = view_.restore.iteration;
  evaluated_.insert(recovered->evaluated.begin(), recovered->evaluated.end());
  count_evaluations();
  pace_.restart(now, view_.restore.iteration);
  const auto expect = [&](Role role, const std::string& id, Incarnation incarnation, const std::string& endpoint) {
    Process& process = processes_[id];
    process.role = role;
    process.incarnation = incarnation;
    process.endpoint = endpoint;
    process.last_heard = process.turns_changed = process.last_probed = now;
  };
  for (const ServerMember& server : view_.servers) {
    expect(Role::server, server.id.value, server.incarnation, server.endpoint);
  }
  for (const WorkerMember& worker : view_.workers) {
    expect(Role::worker, worker.id.value, worker.incarnation, "");
  }
  // A server that was removed is still in the settled ring, where nobody takes it into account. Were it to come back in
  // the same life, it would count as one that has what the ring says, and it has fallen behind.
  for (const RingMember& member : view_.settled_ring) {
    const auto server = view_.server_index(member.id.value);
    if (!server || view_.servers[*server].incarnation != member.incarnation) {
      removed_[member.id.value] = member.incarnation;
    }
  }
}

Message Coordinator::make(Body body, RequestId request) const {
  return {{job_.cluster, Role::coordinator, "coordinator", incarnation_, view_.epoch, request}, std::move(body), {}};
}

void Coordinator::send(const Route& to, RequestId request, Body body, Effects& effects) {
  effects.push_back(Send{to, make(std::move(body), request)});
}

void Coordinator::refuse(const Route& to, RequestId request, RefusalReason reason, std::string text, Effects& effects) {
  ++refused_;
  send(to, request, Refused{reason, std::move(text)}, effects);
}

void Coordinator::on_message(Time now, const Route& from, const Message& message, Effects& effects) {
  const Envelope& envelope = message.envelope;
  if (envelope.cluster != job_.cluster) {
    refuse(from, envelope.request, RefusalReason::unknown_sender,
           "this is the coordinator of the cluster '" + job_.cluster + "', not of '" + envelope.cluster + "'", effects);
    return;
  }
  if (envelope.role == Role::control) {
    on_control(now, from, message, effects);
    return;
  }
  if (const auto* join = std::get_if<Join>(&message.body)) {
    on_join(now, from, message, *join, effects);
    return;
  }
  const auto known = processes_.find(envelope.sender);
  if (known == processes_.end() || known->second.incarnation != envelope.incarnation ||
      known->second.role != envelope.role) {
    const bool removed = was_removed(envelope);
    if (view_.is_retired(envelope.sender)) {
      refuse(from, envelope.request, RefusalReason::retired, "'" + envelope.sender + "' was drained", effects);
    } else {
      refuse(from, envelope.request, removed ? RefusalReason::removed : RefusalReason::unknown_sender,
             "this incarnation of '" + envelope.sender + (removed ? "' was removed" : "' has not joined"), effects);
    }
    return;
  }
  Process& process = known->second;
  note_word(now);
  process.route = from;
  process.last_heard = now;
  process.suspected = false;
  std::visit(
      [&]<class T>(const T& body) {
        if constexpr (std::is_same_v<T, Heartbeat>) {
          on_heartbeat(now, from, message, body, effects);
        } else if constexpr (std::is_same_v<T, GetView>) {
          send(from, envelope.request, ViewAnswer{view_}, effects);
        } else if constexpr (std::is_same_v<T, Leave>) {
          send(from, envelope.request, Ack{}, effects);
          remove(now, {{envelope.sender, "left", false}}, effects);
        } else if constexpr (std::is_same_v<T, Suspect>) {
          const auto suspect = processes_.find(body.server.value);
          if (suspect != processes_.end() && suspect->second.incarnation == body.incarnation &&
              !suspect->second.route.empty()) {
            suspect->second.suspected = true;
            suspect->second.last_probed = now;
            send(suspect->second.route, {}, Probe{}, effects);
          }
          send(from, envelope.request, Ack{}, effects);
        } else if constexpr (std::is_same_v<T, ReplicasReady>) {
          on_replicas_ready(now, from, message, body, effects);
        } else if constexpr (std::is_same_v<T, BlocksWritten>) {
          on_blocks_written(from, message, body, effects);
        } else if constexpr (std::is_same_v<T, CheckpointMissed>) {
          send(from, envelope.request, Ack{body.iteration}, effects);
          on_checkpoint_missed(now, body, effects);
        } else if constexpr (std::is_same_v<T, Progress>) {
          note_staleness(envelope, body.staleness, effects);
          note_traffic(envelope, body.traffic, effects);
          on_progress(now, body, effects);
        } else if constexpr (std::is_same_v<T, Failed>) {
          send(from, envelope.request, Ack{}, effects);
          stop(now, RunState::failed, body.text, effects);
        } else {
          refuse(from, envelope.request, RefusalReason::malformed, "not a message for a coordinator", effects);
        }
      },
      message.body);
}

// ---- psctl ----------------------------------------------------------------------------------------------------------

void Coordinator::on_control(Time now, const Route& from, const Message& message, Effects& effects) {
  const RequestId request = message.envelope.request;
  if (const auto* get_status = std::get_if<GetStatus>(&message.body)) {
    if (get_status->launcher) {
      on_launcher(now, get_status->orders_done, effects);
    }
    send(from, request, status(now), effects);
  } else if (const auto* stop_run = std::get_if<StopRun>(&message.body)) {
    send(from, request, Ack{}, effects);
    stop(now, RunState::interrupted, stop_run->cause, effects);
  } else if (const auto* to_drain = std::get_if<Drain>(&message.body)) {
    drain(now, from, message, to_drain->id, effects);
  } else if (const auto* add = std::get_if<AddProcesses>(&message.body)) {
    on_order(now, from, message, {0, add->role, add->count, ""}, effects);
  } else if (const auto* to_kill = std::get_if<KillProcess>(&message.body)) {
    on_order(now, from, message, {0, Role::server, 0, to_kill->id}, effects);
  } else {
    refuse(from, request, RefusalReason::malformed,
           "psctl may send GetStatus, StopRun, Drain, AddProcesses and KillProcess", effects);
  }
}

void Coordinator::on_launcher(Time now, std::uint64_t orders_done, Effects& effects) {
  launcher_seen_ = now;
  std::erase_if(orders_, [&](const PendingOrder& pending) {
    const bool done = pending.order.number <= orders_done;
    if (done) {
      send(pending.from, pending.request, Ack{}, effects);
      askers_.push_back(pending.asker);
    }
    return done;
  });
  while (askers_.size() > bounds::orders_max) {
    askers_.pop_front();
  }
}

/// Keeps an order until the launcher has carried it out. Each psctl has one order to give, and may repeat it.
void Coordinator::on_order(Time now, const Route& from, const Message& message, LauncherOrder order, Effects& effects) {
  constexpr Duration launcher_patience = std::chrono::seconds(5);
  const RequestId request = message.envelope.request;
  const Incarnation asker = message.envelope.incarnation;
  const auto refuse_with = [&](RefusalReason reason, std::string text) {
    refuse(from, request, reason, std::move(text), effects);
  };
  const auto known = std::find_if(orders_.begin(), orders_.end(), [&](const auto& o) { return o.asker == asker; });
  if (known != orders_.end()) {
    known->from = from;
    known->request = request;
  } else if (std::find(askers_.begin(), askers_.end(), asker) != askers_.end()) {
    send(from, request, Ack{}, effects);
  } else if (!launcher_seen_ || now - *launcher_seen_ > launcher_patience) {
    refuse_with(RefusalReason::not_expected,
                "no psctl run looks after this cluster's processes; start or end them by hand");
  } else if (order.count > bounds::order_processes_max || (order.role != Role::server && order.role != Role::worker) ||
             (order.count == 0 && order.id.empty())) {
    refuse_with(RefusalReason::malformed, "expected 1 to " + std::to_string(bounds::order_processes_max) +
                                              " servers or workers, or the id of a process");
  } else if (orders_.size() >= bounds::orders_max) {
    refuse_with(RefusalReason::overloaded, "the launcher has not carried out earlier orders yet");
  } else {
    last_order_ = std::max(last_order_, incarnation_.value) + 1;
    order.number = last_order_;
    orders_.push_back({std::move(order), asker, from, request});
  }
}

// ---- members --------------------------------------------------------------------------------------------------------

void Coordinator::on_join(Time now, const Route& from, const Message& message, const Join& join, Effects& effects) {
  const Envelope& envelope = message.envelope;
  const std::string& id = envelope.sender;
  const auto refuse_for_good = [&](RefusalReason reason, std::string text) {
    refuse(from, envelope.request, reason, std::move(text), effects);
  };
  if (join.job_digest != job_digest_) {
    refuse_for_good(
        RefusalReason::job_differs,
        "'" + id + "' was started with another configuration than the coordinator; give both the same file");
    return;
  }
  if (state_ > RunState::running) {
    refuse_for_good(RefusalReason::not_expected, "the run is over: " + end_text_);
    return;
  }
  if (!ordinal(id) || (envelope.role != Role::server && envelope.role != Role::worker)) {
    refuse_for_good(RefusalReason::not_expected,
                    "'" + id + "' is not the name of a server or worker (they end in a number)");
    return;
  }
  if (envelope.role == Role::server && job_.worker_scope == WorkerScope::server && *ordinal(id) >= job_.servers) {
    refuse_for_good(RefusalReason::not_expected, "the slices belong to server0 … server" +
                                                     std::to_string(job_.servers - 1) + ", none to '" + id + "'");
    return;
  }
  auto known = processes_.find(id);
  const bool has_joined = known != processes_.end() && known->second.incarnation == envelope.incarnation;
  if (envelope.role == Role::worker && !has_joined && !has_place_for(id, view_)) {
    refuse_for_good(RefusalReason::not_expected, "the server that '" + id + "' belongs to was removed");
    return;
  }
  if (view_.is_retired(id)) {
    refuse_for_good(RefusalReason::retired, "'" + id + "' was drained; a new process needs a new id");
    return;
  }
  if (was_removed(envelope)) {
    refuse_for_good(RefusalReason::removed, "this incarnation of '" + id + "' was removed");
    return;
  }
  if (known != processes_.end() && known->second.incarnation != envelope.incarnation) {
    if (known->second.role != envelope.role || envelope.incarnation < known->second.incarnation) {
      refuse_for_good(RefusalReason::not_expected, "another process has joined as '" + id + "'; ids must be unique");
      return;
    }
    remove(now, {{id, "replaced by a new incarnation"}}, effects);  // the old life cannot speak any more
  }
  note_word(now);
  Process& process = processes_[id];
  if (process.incarnation != envelope.incarnation) {
    process = {};
    process.role = envelope.role;
    process.incarnation = envelope.incarnation;
    process.endpoint = join.endpoint;
    process.pid = join.pid;
    process.turns_changed = now;
    effects.push_back(Log{id + " has joined" + (join.endpoint.empty() ? "" : ", serving at " + join.endpoint)});
  }
  process.route = from;
  process.last_heard = process.last_probed = now;
  process.suspected = false;
  send(from, envelope.request, Joined{broadcast_}, effects);
  state_ == RunState::forming ? form_if_complete(now, effects) : admit_waiting(now, effects);
}

void Coordinator::on_heartbeat(Time now, const Route& from, const Message& message, const Heartbeat& beat,
                               Effects& effects) {
  Process& process = processes_[message.envelope.sender];
  if (beat.turns != process.turns) {
    process.turns = beat.turns;
    process.turns_changed = now;
  }
  process.waiting_for = beat.waiting_for;
  process.refused = beat.refused;
  if (beat.restore_epoch == view_.restore.epoch) {  // not from before a rollback
    process.iteration = beat.iteration;
    pace_.observe(now, beat.iteration);
  }
  send(from, message.envelope.request,
       HeartbeatAnswer{state_, view_.restore.epoch, committed_, next_checkpoint_, timings_through_,
                       evaluations_through_},
       effects);
}

void Coordinator::on_progress(Time now, const Progress& progress, Effects& effects) {
  if (progress.restore_epoch > view_.restore.epoch) {
    return;
  }
  Record record{{progress.restore_epoch, progress.epoch, {}, {}}};
  const bool current = progress.restore_epoch == view_.restore.epoch;
  for (const IterationTiming& timing : progress.timings) {
    if (!current) {  // how far a lineage had come when it ended
      for (Failure& failure : failures_) {
        if (failure.lineage == progress.restore_epoch && failure.rolls_back) {
          failure.iteration = std::max(failure.iteration, timing.iteration);
        }
      }
      record.progress.timings.push_back(timing);
    } else if (timing.iteration > timings_through_) {
      timings_through_ = timing.iteration;
      record.progress.timings.push_back(timing);
    }
  }
  for (const EvaluationReport& evaluation : progress.evaluations) {
    const bool of_start = evaluation.iteration == start_.iteration && !std::exchange(start_evaluated_, true);
    const bool fresh = !current || of_start ||
                       (evaluation.iteration > evaluations_through_ && evaluated_.insert(evaluation.iteration).second);
    if (fresh) {
      record.progress.evaluations.push_back(evaluation);
      if (!newest_evaluation_ || evaluation.iteration > newest_evaluation_->iteration) {
        newest_evaluation_ = evaluation;
      }
    }
  }
  count_evaluations();
  pace_.observe(now, timings_through_);
  for (Failure& failure : failures_) {  // work has gone on in a view without the one that failed
    if (!failure.recovered && !progress.timings.empty() && progress.epoch >= failure.epoch) {
      failure.recovered = now;
    }
  }
  if (!record.progress.timings.empty() || !record.progress.evaluations.empty()) {
    effects.push_back(std::move(record));
  }
  finish_if_done(now, effects);
}

/// Histograms only grow: a report that comes late says nothing new.
void Coordinator::note_staleness(const Envelope& worker, const std::vector<std::uint64_t>& staleness,
                                 Effects& effects) {
  if (staleness.empty() || staleness.size() > bounds::staleness_counted_max + 1) {
    return;
  }
  std::vector<std::uint64_t>& known = staleness_[{worker.sender, worker.incarnation}];
  const auto gradients = [](const std::vector<std::uint64_t>& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  };
  if (gradients(staleness) <= gradients(known)) {
    return;
  }
  known = staleness;
  effects.push_back(Record{{view_.restore.epoch, view_.epoch, {}, {}, known}, worker.sender, worker.incarnation});
}

/// Totals only grow, too.
void Coordinator::note_traffic(const Envelope& worker, const Traffic& traffic, Effects& effects) {
  if (traffic == Traffic{}) {  // nothing new
    return;
  }
  Traffic& known = traffic_[{worker.sender, worker.incarnation}];
  if (traffic.gradients < known.gradients || traffic.weights < known.weights || traffic == known) {
    return;
  }
  known = traffic;
  effects.push_back(Record{{view_.restore.epoch, view_.epoch, {}, {}, {}, known}, worker.sender, worker.incarnation});
}

void Coordinator::count_evaluations() {
  while (job_.evaluate_interval != 0) {
    const std::uint64_t interval = job_.evaluate_interval;
    const Iteration due{std::min((evaluations_through_.value / interval + 1) * interval, job_.iterations.value)};
    if (evaluated_.erase(due) == 0) {
      break;
    }
    evaluations_through_ = due;
  }
}

void Coordinator::on_unreachable(Time now, const Route& route) {
  for (auto& [id, process] : processes_) {
    if (process.route == route && !route.empty()) {
      process.suspected = true;
      process.last_probed = now;
    }
  }
}

Status Coordinator::status(Time now) const {
  Status status;
  status.state = state_;
  status.text = state_ == RunState::forming ? missing_members() : end_text_;
  status.waiting = waiting();
  status.view = view_;
  for (const PendingOrder& pending : orders_) {
    status.orders.push_back(pending.order);
  }
  status.iteration = newest_iteration();
  status.iterations = job_.iterations;
  status.committed_checkpoint = committed_;
  status.refused_messages = refused_;
  if (newest_evaluation_) {
    status.accuracy = newest_evaluation_->accuracy;
    status.loss = newest_evaluation_->loss;
  }
  for (const auto& [life, counts] : staleness_) {
    status.staleness.resize(std::max(status.staleness.size(), counts.size()), 0);
    std::transform(counts.begin(), counts.end(), status.staleness.begin(), status.staleness.begin(), std::plus<>());
  }
  for (const auto& [id, process] : processes_) {
    status.processes.push_back({process.role, id, process.incarnation, process.endpoint, process.pid,
                                is_member(id, process), process.iteration, seconds(now - process.last_heard),
                                process.waiting_for, process.refused});
  }
  for (const Failure& failure : failures_) {
    const std::uint64_t replayed = failure.rolls_back && failure.iteration > failure.restored
                                       ? failure.iteration.value - failure.restored.value
                                       : 0;
    status.failures.push_back({failure.role, failure.id, failure.incarnation, failure.how, failure.iteration, replayed,
                               seconds(now - failure.last_heard), seconds(now - failure.removed),
                               failure.recovered ? seconds(now - *failure.recovered) : -1.0});
  }
  return status;
}

}  // namespace ringps
