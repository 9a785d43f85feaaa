// Many simulated runs, one per seed, on several threads, and what came of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "tests/sim/world.hpp"

namespace ringps::sim {

class Campaign {
 public:
  struct Options {
    std::uint64_t first_seed = 1;
    std::uint64_t seeds = 1000;
    unsigned jobs = 1;
    bool trace = false;                                   ///< tell the story of each run; one thread then
    bool stop_at_first = false;                           ///< no seed above one that has broken a promise
    bool brief = false;                                   ///< do not look for the fewest faults that break a promise
    std::optional<std::vector<std::size_t>> only_faults;  ///< by their places in the schedule; nothing: all of them
  };

  explicit Campaign(const Options& options)
      : options_(options), next_(options.first_seed), end_(options.first_seed + options.seeds) {}

  /// Prints violations when they happen and a summary at the end; the number of violations.
  std::uint64_t run();

 private:
  void work();
  void run_seed(std::uint64_t seed);
  void add(const Outcome& outcome);
  void report(double elapsed_seconds) const;

  const Options options_;
  std::atomic<std::uint64_t> next_;
  std::atomic<std::uint64_t> end_;  ///< no run from this seed on
  std::mutex mutex_;                ///< protects what follows, and the output
  Outcome total_;
  std::uint64_t runs_ = 0;
  std::uint64_t violations_ = 0;
};

}  // namespace ringps::sim
