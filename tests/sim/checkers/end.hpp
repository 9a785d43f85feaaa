// Promise 13: once faults stop, the run finishes (World::run watches the time), and its weights equal the fault-free
// run's: those of the last checkpoint, which bits.hpp has compared when it was committed.
#pragma once

#include "tests/sim/checker.hpp"

namespace ringps::sim {

class RunEndsWell : public Checker {
 public:
  using Checker::Checker;

  void on_finished(RunState state, const std::string& text) override {
    if (state != RunState::completed) {
      violated(promise, "the run has ended in another way: " + text);
    }
    const Manifest* last = evidence_.store.newest();
    if (last == nullptr || last->iteration != evidence_.job.iterations) {
      violated(promise, "there is no checkpoint of the last iteration");
    }
  }

 private:
  static constexpr const char* promise = "13 (once faults stop, the run finishes)";
};

}  // namespace ringps::sim
