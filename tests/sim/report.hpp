// What to say of a broken promise: the fewest faults that still break it, in words, the end of that run's story, and
// the line that plays it again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/world.hpp"

namespace ringps::sim {

/// The scenario of a seed with all of its faults, or only some of them, by their place in the whole list.
struct FaultSchedule {
  Scenario scenario;
  std::vector<std::size_t> kept;
};

FaultSchedule whole_schedule(std::uint64_t seed);
/// Only the faults in `wanted`; places that do not exist are left out.
FaultSchedule some_of(const FaultSchedule& whole, const std::vector<std::size_t>& wanted);

/// Drops faults one after another as long as the same promise is broken without them.
FaultSchedule minimise(FaultSchedule schedule, const std::string& promise);

/// The line that plays a run again and tells its story.
std::string replay(std::uint64_t seed);
std::string replay(const FaultSchedule& schedule);

/// "VIOLATION of promise …", the scenario and how to play it again.
std::string brief(const Scenario& scenario, const Outcome& outcome);

/// The schedule in words, and the end of the story.
std::string story_of(const FaultSchedule& minimal, std::size_t faults_before);

}  // namespace ringps::sim
