// A shard of one server with two workers, and what they say to each other.
#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "libps/core/shard.hpp"
#include "tests/unit/core/support.hpp"

namespace ringps {

/// Of two workers.
inline std::vector<Iteration> clocks(std::uint64_t a, std::uint64_t b) {
  return {Iteration{a}, Iteration{b}};
}

class ShardTest {
 public:
  explicit ShardTest(JobSpec spec = small_job()) : job(std::move(spec)), shard(job, {"server0"}, Incarnation{1}) {}

  Envelope envelope(const std::string& worker, std::uint64_t request, std::uint64_t epoch) const {
    return {"test", Role::worker, worker, Incarnation{1}, Epoch{epoch}, RequestId{request}};
  }

  void view(const View& next) {
    effects.clear();
    shard.on_view(now, next, effects);
  }
  void say(const Message& message, const Route& from = "route") {
    effects.clear();
    shard.on_message(now, from, message, effects);
  }
  /// Slice `slice` of worker `slice`, with the same number everywhere, to all blocks.
  Message push(std::uint64_t iteration, std::uint32_t slice, float value, std::uint64_t epoch = 1) const {
    return {envelope("worker" + std::to_string(slice), 100 * iteration + slice, epoch),
            PushPull{Iteration{iteration}, SliceId{slice}, all_blocks()}, payload_of(std::vector<float>(6, value))};
  }
  Message pull(Iteration iteration, std::uint64_t request = 1, std::uint64_t epoch = 1) const {
    return {envelope("worker0", request, epoch), Pull{iteration, true, all_blocks()}, {}};
  }
  void iterate(std::uint64_t iteration, std::uint64_t epoch = 1) {
    say(push(iteration, 0, 0.5F, epoch));
    say(push(iteration, 1, 0.5F, epoch));
  }

  std::vector<Shard::Reply> replies() const { return all<Shard::Reply>(effects); }
  /// The one reply that there has to be, as a T.
  template <class T>
  T reply() const {
    const auto found = replies();
    REQUIRE(found.size() == 1);
    REQUIRE(std::holds_alternative<T>(found[0].message.body));
    return std::get<T>(found[0].message.body);
  }
  Refused refusal() const { return reply<Refused>(); }

  Time now = start_time;
  JobSpec job;
  Shard shard;
  Shard::Effects effects;
};

}  // namespace ringps
