#include "tests/sim/report.hpp"

#include <algorithm>
#include <deque>
#include <iomanip>
#include <sstream>
#include <utility>

namespace ringps::sim {
namespace {

/// The lines of a story that are printed with a violation.
constexpr std::size_t lines_max = 60;

/// Heartbeats tell nothing of how it came about, and would fill the end of every story.
bool tells_something(const std::string& line) {
  return line.find("  Heartbeat") == std::string::npos && line.find("  Probe") == std::string::npos;
}

FaultSchedule without(const FaultSchedule& schedule, std::size_t place) {
  FaultSchedule fewer = schedule;
  fewer.scenario.faults.erase(fewer.scenario.faults.begin() + static_cast<std::ptrdiff_t>(place));
  fewer.kept.erase(fewer.kept.begin() + static_cast<std::ptrdiff_t>(place));
  return fewer;
}

}  // namespace

FaultSchedule whole_schedule(std::uint64_t seed) {
  FaultSchedule whole{make_scenario(seed), {}};
  for (std::size_t f = 0; f < whole.scenario.faults.size(); ++f) {
    whole.kept.push_back(f);
  }
  return whole;
}

FaultSchedule some_of(const FaultSchedule& whole, const std::vector<std::size_t>& wanted) {
  FaultSchedule some = whole;
  for (std::size_t f = some.kept.size(); f-- > 0;) {
    if (std::find(wanted.begin(), wanted.end(), some.kept[f]) == wanted.end()) {
      some = without(some, f);
    }
  }
  return some;
}

FaultSchedule minimise(FaultSchedule schedule, const std::string& promise) {
  for (bool dropped = true; dropped;) {  // what could not go at first may go when others have gone
    dropped = false;
    for (std::size_t f = schedule.kept.size(); f-- > 0;) {
      FaultSchedule fewer = without(schedule, f);
      if (World(fewer.scenario).run().promise == promise) {
        schedule = std::move(fewer);
        dropped = true;
      }
    }
  }
  return schedule;
}

std::string replay(std::uint64_t seed) {
  return "ringps-sim --first-seed " + std::to_string(seed) + " --seeds 1 --trace";
}

std::string replay(const FaultSchedule& schedule) {
  std::ostringstream line;
  line << replay(schedule.scenario.seed) << (schedule.kept.empty() ? " --no-faults" : " --only-faults ");
  for (std::size_t f = 0; f < schedule.kept.size(); ++f) {
    line << (f == 0 ? "" : ",") << schedule.kept[f];
  }
  return line.str();
}

std::string brief(const Scenario& scenario, const Outcome& outcome) {
  std::ostringstream text;
  text << "VIOLATION of promise " << outcome.promise << ": " << outcome.how << "\n  " << summary(scenario) << "\n  "
       << replay(scenario.seed) << '\n';
  return text.str();
}

std::string story_of(const FaultSchedule& minimal, std::size_t faults_before) {
  std::deque<std::string> story;
  const Outcome outcome = World(minimal.scenario, [&](const std::string& line) {
                            if (tells_something(line)) {
                              story.push_back(line);
                            }
                            if (story.size() > lines_max) {
                              story.pop_front();
                            }
                          }).run();
  std::ostringstream text;
  text << std::fixed << std::setprecision(6) << "  " << minimal.kept.size() << " of its " << faults_before
       << " faults are enough:\n";
  for (const Fault& fault : minimal.scenario.faults) {
    text << std::setw(16) << seconds(fault.at) << "  " << describe(minimal.scenario, fault) << '\n';
  }
  text << "  the end of that run, without heartbeats:\n";
  for (const std::string& line : story) {
    text << "    " << line << '\n';
  }
  text << std::setw(16) << seconds(outcome.virtual_time) << "  VIOLATION: " << outcome.how << "\n  " << replay(minimal)
       << '\n';
  return text.str();
}

}  // namespace ringps::sim
