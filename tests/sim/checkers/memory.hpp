// Promise 10: a restarted coordinator knows everything that anyone was told.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "tests/sim/checker.hpp"
#include "tests/sim/host.hpp"

namespace ringps::sim {

class NothingToldIsForgotten : public Checker {
 public:
  using Checker::Checker;

  void on_sent(const Host& from, const Message& message) override {
    if (from.role != Role::coordinator) {
      return;
    }
    epoch_ = std::max(epoch_, message.envelope.epoch);
    if (const auto* answer = std::get_if<HeartbeatAnswer>(&message.body)) {
      if (answer->committed_checkpoint < committed_) {
        violated(promise, "checkpoint " + std::to_string(committed_.value) + " was told, and now it says that " +
                              std::to_string(answer->committed_checkpoint.value) + " is the newest");
      }
      committed_ = answer->committed_checkpoint;
      confirms(*answer);
    } else if (const auto* committed = std::get_if<CheckpointCommitted>(&message.body)) {
      committed_ = std::max(committed_, committed->iteration);
    }
  }

  void on_persisted(const View& view) override {
    if (view.restore.epoch == view.epoch && view.restore.iteration < committed_) {
      violated(promise, "checkpoint " + std::to_string(committed_.value) + " was told, and epoch " +
                            std::to_string(view.epoch.value) + " goes back to " +
                            std::to_string(view.restore.iteration.value));
    }
  }

  void on_drain_asked(RequestId request, const std::string& id) override { asked_[request] = id; }

  /// What psctl is told must survive the coordinator: it is in the journal already.
  void on_psctl_told(const Message& message) override {
    const auto asked = asked_.find(message.envelope.request);
    if (asked == asked_.end() || !std::holds_alternative<Ack>(message.body)) {
      return;
    }
    const auto& views = evidence_.store.views();
    const std::string& id = asked->second;
    const bool drains = !views.empty() && (views.back().is_retired(id) || leaves(views.back(), id));
    if (!drains) {
      violated(promise, "psctl was told that '" + id + "' is drained, and the journal does not say so");
    }
  }

  void on_coordinator_started(const Coordinator& coordinator) override {
    if (coordinator.view().epoch < epoch_ || coordinator.committed() < committed_) {
      violated(promise, "it knows epoch " + std::to_string(coordinator.view().epoch.value) + " and checkpoint " +
                            std::to_string(coordinator.committed().value) + ", told were " +
                            std::to_string(epoch_.value) + " and " + std::to_string(committed_.value));
    }
  }

 private:
  static constexpr const char* promise = "10 (a restarted coordinator knows what was told)";

  static bool leaves(const View& view, const std::string& id) {
    const auto server = view.server_index(id);
    return server && !view.servers[*server].stays;
  }

  void confirms(const HeartbeatAnswer& answer) {
    auto& [timings, evaluations] = confirmed_[answer.restore_epoch];
    if (answer.timings_through < timings || answer.evaluations_through < evaluations) {
      violated(promise, "reports through iterations " + std::to_string(timings.value) + " and " +
                            std::to_string(evaluations.value) + " were confirmed, and are not there any more");
    }
    timings = answer.timings_through;
    evaluations = answer.evaluations_through;
  }

  Epoch epoch_;
  Iteration committed_;
  std::map<Epoch, std::pair<Iteration, Iteration>> confirmed_;  ///< by lineage: timings and evaluations
  std::map<RequestId, std::string> asked_;                      ///< whom psctl wants drained
};

}  // namespace ringps::sim
