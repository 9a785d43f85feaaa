// What the launcher does for faults: the hands of the injector, and what it has to watch.
#include <spdlog/fmt/fmt.h>

#include <csignal>
#include <utility>

#include "libps/net/clock.hpp"
#include "services/psctl/launcher.hpp"

namespace ringps {
namespace {

/// A process that is to kill itself at an iteration has done so by now, or never comes to it.
constexpr Duration self_kill_patience = std::chrono::milliseconds(300);

}  // namespace

FaultInjector::Hands Launcher::hands() {
  return {
      [this](const std::string& id, int signal) { return send_signal(id, signal); },
      [this] {
        std::vector<std::string> ids;
        for (const Child& child : children_) {
          ids.push_back(lives_[child.life].id);
        }
        return ids;
      },
      [this](Role role, std::uint32_t count) { return add(role, count); },
      [this](const std::string& id) {
        last_request_ = last_request_.next();
        drains_[id] = last_request_;
        next_poll_ = now();
      },
      [this](std::vector<LinkFault> faults) {
        if (relay_) {
          relay_->set_faults(std::move(faults));
        }
      },
      [this](const std::string& text) { reporter_.on_event(text); },
  };
}

/// From now on members connect through a relay. False: it cannot be, and the run has failed.
bool Launcher::lead_connections() {
  auto relay = Relay::start();
  if (!relay) {
    fail(exit_run_failed, relay.error());
    return false;
  }
  relay_ = std::move(relay).value();
  return true;
}

void Launcher::name_endpoints(const Status& status) {
  if (!relay_ || faults_.is_finished()) {
    return;
  }
  for (const ProcessStatus& process : status.processes) {
    if (!process.endpoint.empty() && std::exchange(named_[process.endpoint], process.id) != process.id) {
      relay_->name(process.endpoint, process.id);
    }
  }
}

/// A server that holds no blocks never comes to any iteration: it is killed from here.
void Launcher::help_self_kills(const Status& status) {
  if (status.state != RunState::running) {
    return;
  }
  for (const Child& child : children_) {
    Life& life = lives_[child.life];
    if (life.kill_at && status.iteration.value >= *life.kill_at) {
      life.kill_due = life.kill_due.value_or(now());
      if (now() - *life.kill_due >= self_kill_patience) {
        child.process.send_signal(SIGKILL);
      }
    }
  }
}

void Launcher::keep_progress(const Status& status) {
  constexpr std::size_t points_max = 1U << 20U;
  const ProgressPoint point{now(), status.view.restore.epoch.value, status.iteration.value};
  const bool fresh = progress_.empty() || progress_.back().iteration != point.iteration ||
                     progress_.back().restore_epoch != point.restore_epoch;
  if (fresh && point.iteration > 0 && progress_.size() < points_max) {
    progress_.push_back(point);
  }
}

void Launcher::on_drain_answer(RequestId request, const std::string& refusal) {
  for (auto drain = drains_.begin(); drain != drains_.end(); ++drain) {
    if (drain->second == request) {
      if (!refusal.empty()) {
        reporter_.on_event(fmt::format("{} is not drained: {}", drain->first, refusal));
      }
      faults_.on_drain_answer(drain->first, refusal);
      drains_.erase(drain);
      return;
    }
  }
}

}  // namespace ringps
