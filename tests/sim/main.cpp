// ringps-sim: runs simulated clusters, one per seed, and says which promise was broken, if any.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/sim/world.hpp"

namespace {

using namespace ringps::sim;

thread_local std::uint64_t current_seed = 0;

/// A failed check ends the program: say which run it was.
void on_abort(int signal) {
  char text[160];
  const int length = std::snprintf(
      text, sizeof text, "seed %llu: ended by signal %d\n  ringps-sim --first-seed %llu --seeds 1 --trace\n",
      static_cast<unsigned long long>(current_seed), signal, static_cast<unsigned long long>(current_seed));
  if (length > 0) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, static_cast<std::size_t>(length));
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

struct Options {
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 1000;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  bool trace = false;
};

class Campaign {
 public:
  explicit Campaign(const Options& options) : options_(options), next_(options.first_seed) {}

  int run() {
    const auto started = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (unsigned j = 0; j < (options_.trace ? 1U : options_.jobs); ++j) {
      threads.emplace_back([this] { work(); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    report(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
    return violations_ == 0 ? 0 : 1;
  }

 private:
  void work() {
    for (;;) {
      const std::uint64_t seed = next_++;
      if (seed >= options_.first_seed + options_.seeds) {
        return;
      }
      current_seed = seed;
      const Scenario scenario = make_scenario(seed);
      if (options_.trace) {
        std::puts(summary(scenario).c_str());
      }
      const Outcome outcome = World(scenario, options_.trace).run();
      const std::lock_guard lock(mutex_);
      add(outcome);
      if (!outcome.violation.empty()) {
        ++violations_;
        std::printf("VIOLATION of promise %s\n  %s\n  ringps-sim --first-seed %llu --seeds 1 --trace\n",
                    outcome.violation.c_str(), summary(scenario).c_str(), static_cast<unsigned long long>(seed));
        std::fflush(stdout);
      }
    }
  }

  void add(const Outcome& outcome) {
    total_.events += outcome.events;
    total_.messages += outcome.messages;
    total_.lost_messages += outcome.lost_messages;
    total_.views += outcome.views;
    total_.rollbacks += outcome.rollbacks;
    total_.virtual_time += outcome.virtual_time;
    for (std::size_t kind = 0; kind < fault_kinds; ++kind) {
      total_.faults[kind] += outcome.faults[kind];
    }
  }

  void report(double elapsed) const {
    std::printf("seeds %llu to %llu: %llu violations, %.0f runs/s\n",
                static_cast<unsigned long long>(options_.first_seed),
                static_cast<unsigned long long>(options_.first_seed + options_.seeds - 1),
                static_cast<unsigned long long>(violations_), static_cast<double>(options_.seeds) / elapsed);
    std::printf("  %.0f s of virtual time, %llu steps, %llu messages, %llu of them lost, %llu views, %llu rollbacks\n",
                ringps::seconds(total_.virtual_time), static_cast<unsigned long long>(total_.events),
                static_cast<unsigned long long>(total_.messages), static_cast<unsigned long long>(total_.lost_messages),
                static_cast<unsigned long long>(total_.views), static_cast<unsigned long long>(total_.rollbacks));
    for (std::size_t kind = 0; kind < fault_kinds; ++kind) {
      std::printf("  %8llu x %s\n", static_cast<unsigned long long>(total_.faults[kind]),
                  name_of(static_cast<FaultKind>(kind)));
    }
  }

  const Options options_;
  std::atomic<std::uint64_t> next_;
  std::mutex mutex_;
  Outcome total_;
  std::uint64_t violations_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Runs simulated clusters of the production cores under faults, one per seed, and checks every promise"};
  app.add_option("--first-seed", options.first_seed, "Seed of the first run");
  app.add_option("--seeds", options.seeds, "Number of runs");
  app.add_option("--jobs", options.jobs, "Runs at the same time");
  app.add_flag("--trace", options.trace, "Tell the story of each run");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGABRT, on_abort);
  std::signal(SIGSEGV, on_abort);
  return Campaign(options).run();
}
