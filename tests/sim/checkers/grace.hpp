// Section 6 of the design: whoever is removed for its silence has been silent for the whole time that it is allowed,
// and a restarted coordinator gives everybody that time anew. Time in which the coordinator itself stood still does not
// count.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "tests/sim/checker.hpp"

namespace ringps::sim {

class NobodyIsRemovedEarly : public Checker {
 public:
  using Checker::Checker;

  void on_coordinator_started(const Coordinator&) override {
    started_ = {now_, paused_};
    heard_.clear();  // each life has a clock of its own
  }
  void before_coordinator_step(Time now, const Message* message) override {
    const Duration gap = now - std::exchange(now_, now);
    if (gap > evidence_.job.timeouts.failure_timeout / 4) {  // it wakes up far more often
      paused_ += gap;
    }
    if (message != nullptr) {
      heard_[{message->envelope.sender, message->envelope.incarnation}] = {now, paused_};
    }
  }

  void on_persisted(const View& view) override {
    const View before = std::exchange(before_, view);
    // Where no server is left the next view comes with the next server, long after the last ones were removed.
    const bool waited = std::none_of(before.servers.begin(), before.servers.end(), [&](const ServerMember& server) {
      const auto at = view.server_index(server.id.value);
      return at && view.servers[*at].incarnation == server.incarnation;
    });
    if (waited) {
      return;
    }
    for (const ServerMember& server : before.servers) {
      check_removal(view, server.id.value, server.incarnation);
    }
    for (const WorkerMember& worker : before.workers) {
      check_removal(view, worker.id.value, worker.incarnation);
    }
  }

 private:
  void check_removal(const View& view, const std::string& id, Incarnation incarnation) {
    const auto removed_for = [&](const char* why) {
      return view.cause.find(id + " removed: " + why) != std::string::npos;
    };
    const bool for_silence = removed_for("no heartbeat");
    if (!for_silence && !removed_for("its connection broke")) {
      return;
    }
    const auto& timeouts = evidence_.job.timeouts;
    const auto heard = heard_.find({id, incarnation});
    const Moment since = heard == heard_.end() ? started_ : heard->second;
    const Duration silence = now_ - since.time - (paused_ - since.paused);
    if (silence <= (for_silence ? timeouts.failure_timeout : timeouts.probe_timeout)) {
      violated("from section 6 (nobody is removed before its time)",
               id + " was removed after a silence of " + std::to_string(seconds(silence)) + " s");
    }
  }

  struct Moment {
    Time time;
    Duration paused{};  ///< how long the coordinator had stood still by then
  };

  Time now_;
  Duration paused_{};
  Moment started_;
  View before_;
  std::map<std::pair<std::string, Incarnation>, Moment> heard_;
};

}  // namespace ringps::sim
