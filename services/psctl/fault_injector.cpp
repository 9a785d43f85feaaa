#include "services/psctl/fault_injector.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

namespace ringps {
namespace {

bool lasts(const Injection& injection) {
  const FaultKind kind = injection.order.kind;
  return injection.not_done.empty() && !injection.over &&
         (kind == FaultKind::pause || kind == FaultKind::cut || kind == FaultKind::slow);
}

bool is_link(const Injection& injection) {
  return injection.order.kind == FaultKind::cut || injection.order.kind == FaultKind::slow;
}

std::string text_of(const Injection& injection) {
  const FaultOrder& order = injection.order;
  std::string text = fmt::format("fault at iteration {}: {} {}", injection.iteration, name_of(order.kind),
                                 fmt::join(injection.ids, is_link(injection) && order.link.one_way ? " → " : ", "));
  if (order.lasts && lasts(injection)) {
    text += fmt::format(" for {:.2f} s", seconds(*order.lasts));
  }
  return injection.not_done.empty() ? text : fmt::format("{} did not take place: {}", text, injection.not_done);
}

}  // namespace

void FaultInjector::on_status(Time now, const Status& status) {
  if (status.state == RunState::running && !training_began_) {
    training_began_ = now;
  }
  if (status.state > RunState::running) {
    finish(now);
    return;
  }
  iteration_ = status.iteration.value;
  retired_ = status.view.retired;
  watch_members(now, status.view);
  on_tick(now);
}

void FaultInjector::on_tick(Time now) {
  if (finished_ || !training_began_) {
    return;
  }
  bool links_changed = false;
  for (Injection& injection : injections_) {
    if (lasts(injection) && injection.order.lasts && now >= injection.at + *injection.order.lasts) {
      end(now, injection);
      links_changed = links_changed || is_link(injection);
    }
  }
  if (links_changed) {
    set_links();
  }
  for (const FaultOrder& order : plan_.take_due(seconds(now - *training_began_), iteration_, hands_.alive())) {
    carry_out(now, order);
  }
}

void FaultInjector::carry_out(Time now, const FaultOrder& order) {
  Injection injection{order, {order.whom}, iteration_, now, {}, {}, {}, ""};
  switch (order.kind) {
    case FaultKind::kill:
      injection.not_done = hands_.send_signal(order.whom, SIGKILL) ? "" : "there was no such process then";
      break;
    case FaultKind::pause:
      pause(now, injection);
      break;
    case FaultKind::resume:
      resume(now, injection);
      break;
    case FaultKind::cut:
    case FaultKind::slow:
      injection.ids = {order.link.from, order.link.to};
      break;
    case FaultKind::heal:
      heal(now, injection);
      break;
    case FaultKind::add:
      injection.ids = hands_.add(order.role, order.count);
      break;
    case FaultKind::drain:
      if (std::find(retired_.begin(), retired_.end(), order.whom) != retired_.end()) {
        injection.not_done = "it had been drained before";
      } else {
        hands_.drain(order.whom);
      }
      break;
  }
  hands_.say(text_of(injection));
  injections_.push_back(std::move(injection));
  if (order.kind == FaultKind::cut || order.kind == FaultKind::slow || order.kind == FaultKind::heal) {
    set_links();
  }
}

void FaultInjector::pause(Time now, Injection& injection) {
  const std::string& id = injection.order.whom;
  for (Injection& earlier : injections_) {  // one that is paused again is paused for as long as the later one says
    if (lasts(earlier) && earlier.order.kind == FaultKind::pause && earlier.order.whom == id) {
      earlier.over = now;
    }
  }
  injection.not_done = hands_.send_signal(id, SIGSTOP) ? "" : "there was no such process then";
}

void FaultInjector::resume(Time now, Injection& injection) {
  injection.not_done = "it was not paused";
  for (Injection& earlier : injections_) {
    if (lasts(earlier) && earlier.order.kind == FaultKind::pause && earlier.order.whom == injection.order.whom) {
      end(now, earlier);
      injection.not_done.clear();
    }
  }
}

void FaultInjector::heal(Time now, Injection& injection) {
  const LinkFault& healed = injection.order.link;
  injection.ids = {healed.from, healed.to};
  injection.not_done = "nothing was cut or slow there";
  for (Injection& earlier : injections_) {
    if (lasts(earlier) && is_link(earlier) && heals(healed.from, healed.to, earlier.order.link)) {
      end(now, earlier);
      injection.not_done.clear();
    }
  }
}

/// Of a link, set_links has to follow.
void FaultInjector::end(Time now, Injection& injection) {
  injection.over = now;
  if (injection.order.kind == FaultKind::pause) {
    hands_.send_signal(injection.order.whom, SIGCONT);
  }
}

void FaultInjector::set_links() {
  std::vector<LinkFault> faults;
  for (const Injection& injection : injections_) {
    if (lasts(injection) && is_link(injection)) {
      faults.push_back(injection.order.link);
    }
  }
  hands_.set_links(std::move(faults));
}

void FaultInjector::on_drain_answer(const std::string& id, const std::string& refusal) {
  for (Injection& injection : injections_) {
    if (injection.order.kind == FaultKind::drain && injection.order.whom == id && !injection.done) {
      injection.not_done = refusal.empty() ? "" : "the coordinator refused it: " + refusal;
    }
  }
}

/// When a view first has, or has not, those that were added, or are drained.
void FaultInjector::watch_members(Time now, const View& view) {
  const auto is_member = [&](const std::string& id) { return view.server_index(id) || view.worker_index(id); };
  for (Injection& injection : injections_) {
    const FaultKind kind = injection.order.kind;
    if (injection.done || !injection.not_done.empty() || (kind != FaultKind::add && kind != FaultKind::drain)) {
      continue;
    }
    const auto begun = [&](const std::string& id) {
      const auto server = view.server_index(id);
      return kind == FaultKind::add ? is_member(id)
                                    : !is_member(id) || view.is_retired(id) || (server && !view.servers[*server].stays);
    };
    const auto finished = [&](const std::string& id) { return is_member(id) == (kind == FaultKind::add); };
    if (!injection.noticed && std::all_of(injection.ids.begin(), injection.ids.end(), begun)) {
      injection.noticed = now;
    }
    if (view.settled() && std::all_of(injection.ids.begin(), injection.ids.end(), finished)) {
      injection.done = now;
    }
  }
}

Time FaultInjector::next_deadline() const {
  if (finished_ || !training_began_) {
    return time_never;
  }
  Time next = time_never;
  if (const double due_s = plan_.next_due_s(); due_s < 1e9) {
    next = *training_began_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(due_s));
  }
  for (const Injection& injection : injections_) {
    if (lasts(injection) && injection.order.lasts) {
      next = std::min(next, injection.at + *injection.order.lasts);
    }
  }
  return next;
}

void FaultInjector::finish(Time now) {
  if (std::exchange(finished_, true)) {
    return;
  }
  bool links_changed = false;
  for (Injection& injection : injections_) {
    if (lasts(injection)) {
      links_changed = links_changed || is_link(injection);
      end(now, injection);
    }
  }
  if (links_changed) {
    set_links();
  }
}

std::vector<Injection> FaultInjector::injections() const {
  std::vector<Injection> all = injections_;
  for (const FaultConfig& left : plan_.left()) {
    Injection injection{order_of(left),           {}, left.at_iteration.value_or(0), time_never, {}, {}, {},
                        "the run was over before"};
    if (!injection.order.whom.empty()) {
      injection.ids = {injection.order.whom};
    } else if (injection.order.kind == FaultKind::add) {
      injection.ids = {fmt::format("{} more", injection.order.count)};
    } else {
      injection.ids = {injection.order.link.from, injection.order.link.to};
    }
    all.push_back(std::move(injection));
  }
  return all;
}

}  // namespace ringps
