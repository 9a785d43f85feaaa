// Promise 12: queues, buffers and maps have bounds. A server holds no more than what its workers can have under way.
#pragma once

#include "libps/core/bounds.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class NothingPilesUp : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    const std::size_t blocks = evidence_.reference.table().size();
    // Each block in a message of its own: a contribution, and the rows of this iteration and of the next.
    const std::size_t per_worker = blocks * (3 * std::size_t{evidence_.job.slices} + 1);
    const auto load = shard.load();
    check_bound(host, "requests that wait", load.waiting, evidence_.workers * per_worker);
    check_bound(host, "payloads", load.kept, blocks * evidence_.job.slices);
    check_bound(host, "gradients for replicas", load.replicating, blocks);
    check_bound(host, "parked messages", load.parked, bounds::parked_messages_max);
  }

 private:
  static void check_bound(const Host& host, const char* what, std::size_t found, std::size_t most) {
    if (found > most) {
      violated("12 (queues are bounded)", host.name + " holds " + std::to_string(found) + " " + what +
                                              ", more than the " + std::to_string(most) + " that there can be");
    }
  }
};

}  // namespace ringps::sim
