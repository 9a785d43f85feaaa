// What is done on purpose to a cluster while it trains: the entries of `faults`, and those that are drawn at random.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "libps/config/schema.hpp"

namespace ringps {

/// One entry: a moment and one action. Of the actions, exactly one is given in a configuration that has been loaded.
struct FaultConfig {
  enum class Added : std::uint8_t { server, worker };

  std::optional<std::uint64_t> at_iteration;
  std::optional<double> at_seconds;
  std::string kill;
  std::string pause;
  std::string resume;
  std::vector<std::string> cut;
  std::vector<std::string> heal;
  std::vector<std::string> slow;
  std::optional<Added> add;
  std::string drain;
  std::optional<double> for_seconds;
  bool one_way = false;
  std::uint32_t delay_ms = 0;
  std::uint64_t bytes_per_second = 0;  ///< 0: as fast as it goes
  std::uint32_t count = 1;

  static constexpr auto fields() {
    using S = FaultConfig;
    return std::tuple{
        schema::local("at_iteration", &S::at_iteration, {1, 1'000'000'000'000}, "when"),
        schema::local("at_seconds", &S::at_seconds, {0.0, 1e6}, "when, since training began"),
        schema::local("kill", &S::kill, "which process, as in server4, worker2 or coordinator"),
        schema::local("pause", &S::pause, "which process is stopped, to go on later"),
        schema::local("resume", &S::resume, "which paused process goes on"),
        schema::local("cut", &S::cut,
                      "between which two nothing is let through: processes, or coordinator, servers, "
                      "workers, all"),
        schema::local("heal", &S::heal, "between which two all is let through again, as before"),
        schema::local("slow", &S::slow, "between which two messages take long"),
        schema::local("add", &S::add, "which role gets one process more"),
        schema::local("drain", &S::drain, "which server or worker hands on its part and leaves"),
        schema::local("for_seconds", &S::for_seconds, {0.001, 1e6}, "after which a pause, cut or slowness ends"),
        schema::local("one_way", &S::one_way, "of cut and slow: only from the first to the second"),
        schema::local("delay_ms", &S::delay_ms, {0, 60'000}, "of slow"),
        schema::local("bytes_per_second", &S::bytes_per_second, {0, 1'000'000'000'000}, "of slow; 0: any number"),
        schema::local("count", &S::count, {1, 1024}, "of add: how many"),
    };
  }
  friend bool operator==(const FaultConfig&, const FaultConfig&) = default;
};

/// Faults whose moments and victims come from a seed.
struct RandomFaultConfig {
  std::optional<std::uint64_t> seed;
  double kills_per_minute = 0;
  double pauses_per_minute = 0;
  double cuts_per_minute = 0;
  double slowdowns_per_minute = 0;
  double adds_per_minute = 0;
  double drains_per_minute = 0;
  bool coordinator = true;
  double for_seconds = 1;
  std::optional<double> until_seconds;

  bool any() const { return kills_per_minute > 0 || pauses_per_minute > 0 || uses_links() || changes_members(); }
  bool uses_links() const { return cuts_per_minute > 0 || slowdowns_per_minute > 0; }
  bool changes_members() const { return adds_per_minute > 0 || drains_per_minute > 0; }

  static constexpr auto fields() {
    using S = RandomFaultConfig;
    return std::tuple{
        schema::local("seed", &S::seed, "of moments and victims; default: that of the run"),
        schema::local("kills_per_minute", &S::kills_per_minute, {0.0, 6000.0}, "on average, as all of these"),
        schema::local("pauses_per_minute", &S::pauses_per_minute, {0.0, 6000.0}, "of a process"),
        schema::local("cuts_per_minute", &S::cuts_per_minute, {0.0, 6000.0}, "between two processes"),
        schema::local("slowdowns_per_minute", &S::slowdowns_per_minute, {0.0, 6000.0}, "between two processes"),
        schema::local("adds_per_minute", &S::adds_per_minute, {0.0, 6000.0}, "of a server or a worker"),
        schema::local("drains_per_minute", &S::drains_per_minute, {0.0, 6000.0}, "of one that is not the last"),
        schema::local("coordinator", &S::coordinator, "whether it may be killed and paused as well"),
        schema::local("for_seconds", &S::for_seconds, {0.001, 1e6},
                      "how long pauses, cuts and slowness take on average"),
        schema::local("until_seconds", &S::until_seconds, {0.0, 1e6}, "since training began; default: to the end"),
    };
  }
  friend bool operator==(const RandomFaultConfig&, const RandomFaultConfig&) = default;
};

constexpr auto names(FaultConfig::Added) {
  using enum FaultConfig::Added;
  return schema::Names<FaultConfig::Added, 2>{{{"server", server}, {"worker", worker}}};
}

}  // namespace ringps
