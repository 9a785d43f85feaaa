#include "libps/core/member.hpp"

#include <algorithm>
#include <utility>

namespace ringps {

Member::Member(const JobSpec& job, Identity identity) : job_(job), identity_(std::move(identity)) {}

Message Member::make(Body body, RequestId request) const {
  return {
      {job_.cluster, identity_.role, identity_.id, identity_.incarnation, view_epoch_, request}, std::move(body), {}};
}

void Member::on_start(Time now, Effects& effects) {
  last_heard_ = now;
  join(now, effects);
}

void Member::join(Time now, Effects& effects) {
  joined_ = false;
  next_beat_ = now + job_.timeouts.heartbeat_interval;
  effects.push_back(Send{make(Join{identity_.endpoint, identity_.job_digest, identity_.pid}, {})});
}

void Member::beat(Time now, Effects& effects) {
  next_beat_ = now + job_.timeouts.beat_interval(members_);
  effects.push_back(Send{make(Heartbeat{activity_.turns, activity_.iteration, activity_.restore_epoch,
                                        activity_.waiting_for, activity_.refused},
                              {})});
}

void Member::tell(Time now, Body body, Effects& effects) {
  last_request_ = last_request_.next();
  untold_.push_back({last_request_, body, now + job_.timeouts.request_timeout});
  effects.push_back(Send{make(std::move(body), last_request_)});
}

void Member::send(Body body, Effects& effects) {
  effects.push_back(Send{make(std::move(body), {})});
}

void Member::end(Ended ended, Effects& effects) {
  if (!std::exchange(ended_, true)) {
    untold_.clear();  // nothing more will come of it, and nobody need wait for its acknowledgement
    effects.push_back(std::move(ended));
  }
}

void Member::adopt(const View& view, Effects& effects) {
  if (view.epoch <= view_epoch_ || ended_) {
    return;
  }
  view_epoch_ = view.epoch;
  members_ = view.servers.size() + view.workers.size();
  const auto is_self = [&](const auto& member) {
    return member.id.value == identity_.id && member.incarnation == identity_.incarnation;
  };
  const bool member = identity_.role == Role::server ? std::any_of(view.servers.begin(), view.servers.end(), is_self)
                                                     : std::any_of(view.workers.begin(), view.workers.end(), is_self);
  if (!member && view.is_retired(identity_.id)) {
    end({RunState::running, Ended::Why::retired, "drained"}, effects);
    return;
  }
  if (was_member_ && !member) {
    end({RunState::running, Ended::Why::removed, view.cause}, effects);
    return;
  }
  was_member_ = member;
  if (member) {  // until a view names it, a joining process has no part in the run
    effects.push_back(Adopt{view});
  }
}

void Member::on_message(Time now, const Message& message, Effects& effects) {
  if (message.envelope.cluster != job_.cluster || message.envelope.role != Role::coordinator) {
    return;
  }
  last_heard_ = now;
  if (message.envelope.request.value != 0) {  // an answer to something told
    std::erase_if(untold_, [&](const Untold& told) { return told.request == message.envelope.request; });
  }
  if (ended_) {
    return;
  }
  std::visit(
      [&]<class T>(const T& body) {
        if constexpr (std::is_same_v<T, Joined>) {
          joined_ = true;
          effects.push_back(Subscribe{body.broadcast});
        } else if constexpr (std::is_same_v<T, HeartbeatAnswer>) {
          on_answer(message, body, effects);
        } else if constexpr (std::is_same_v<T, ViewAnswer> || std::is_same_v<T, ViewPublished>) {
          adopt(body.view, effects);
        } else if constexpr (std::is_same_v<T, Probe>) {
          beat(now, effects);
        } else if constexpr (std::is_same_v<T, Refused>) {
          on_refused(body, now, effects);
        } else if constexpr (std::is_same_v<T, CheckpointBegin>) {
          effects.push_back(Heard{{RunState::running, body.restore_epoch, {}, body.iteration, {}, {}}});
        } else if constexpr (std::is_same_v<T, CheckpointCommitted>) {
          effects.push_back(Heard{{RunState::running, body.restore_epoch, body.iteration, {}, {}, {}}});
        } else if constexpr (std::is_same_v<T, Stop>) {
          end({body.state, Ended::Why::run_over, body.cause}, effects);
        }
      },
      message.body);
}

void Member::on_answer(const Message& message, const HeartbeatAnswer& answer, Effects& effects) {
  if (answer.state > RunState::running) {
    end({answer.state, Ended::Why::run_over, "the run is over"}, effects);
    return;
  }
  if (message.envelope.epoch > view_epoch_) {
    send(GetView{}, effects);
  } else if (message.envelope.epoch == view_epoch_) {
    effects.push_back(Heard{answer});
  }
}

void Member::on_refused(const Refused& refused, Time now, Effects& effects) {
  if (refused.reason == RefusalReason::retired) {
    end({RunState::running, Ended::Why::retired, refused.text}, effects);
  } else if (refused.reason == RefusalReason::removed) {
    end({RunState::running, Ended::Why::removed, refused.text}, effects);
  } else if (refused.reason == RefusalReason::unknown_sender) {  // a coordinator that has been started again
    if (joined_) {  // else the next attempt is made in its time: an answer to every refusal would never end
      join(now, effects);
    }
  } else {
    end({RunState::failed, Ended::Why::refused, refused.text}, effects);
  }
}

void Member::on_tick(Time now, const Activity& activity, Effects& effects) {
  activity_ = activity;
  if (ended_) {
    return;
  }
  const Duration patience = joined_ ? job_.timeouts.coordinator_timeout : job_.timeouts.form_timeout;
  if (now - last_heard_ > patience) {
    end({RunState::failed, Ended::Why::unreachable,
         "no word from the coordinator for " + std::to_string(static_cast<int>(seconds(now - last_heard_))) + " s"},
        effects);
    return;
  }
  if (now >= next_beat_) {
    joined_ ? beat(now, effects) : join(now, effects);
  }
  for (Untold& told : untold_) {
    if (now >= told.deadline) {
      told.deadline = now + job_.timeouts.request_timeout;
      effects.push_back(Send{make(told.body, told.request)});
    }
  }
}

Time Member::next_deadline() const {
  if (ended_) {
    return time_never;
  }
  Time earliest = next_beat_;
  for (const Untold& told : untold_) {
    earliest = std::min(earliest, told.deadline);
  }
  return earliest;
}

}  // namespace ringps
