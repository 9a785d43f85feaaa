#include "tests/sim/campaign.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace ringps::sim {
namespace {

std::string replay(std::uint64_t seed) {
  return "  ringps-sim --first-seed " + std::to_string(seed) + " --seeds 1 --trace\n";
}

/// What to say if this thread's run ends the program: written by a signal handler, so made ready before.
thread_local std::string last_words;

/// A failed check ends the program: say which run it was.
void on_fatal_signal(int signal) {
  [[maybe_unused]] const auto written = write(STDERR_FILENO, last_words.data(), last_words.size());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

std::uint64_t Campaign::run() {
  std::signal(SIGABRT, on_fatal_signal);
  std::signal(SIGSEGV, on_fatal_signal);
  const auto started = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (unsigned job = 0; job < (options_.trace ? 1 : options_.jobs); ++job) {
    threads.emplace_back([this] { work(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  report(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  return violations_;
}

void Campaign::work() {
  for (;;) {
    const std::uint64_t seed = next_++;
    if (seed >= end_) {
      return;
    }
    last_words = "seed " + std::to_string(seed) + " ended the program\n" + replay(seed);
    const Scenario scenario = make_scenario(seed);
    if (options_.trace) {
      std::cout << summary(scenario) << std::endl;
    }
    add(scenario, World(scenario, options_.trace).run());
  }
}

void Campaign::add(const Scenario& scenario, const Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  ++runs_;
  total_.events += outcome.events;
  total_.messages += outcome.messages;
  total_.lost_messages += outcome.lost_messages;
  total_.views += outcome.views;
  total_.rollbacks += outcome.rollbacks;
  total_.virtual_time += outcome.virtual_time;
  for (std::size_t kind = 0; kind < fault_kinds; ++kind) {
    total_.faults[kind] += outcome.faults[kind];
  }
  if (!outcome.violation.empty()) {
    ++violations_;
    if (options_.stop_at_first) {
      end_ = std::min<std::uint64_t>(end_, scenario.seed);
    }
    std::cout << "VIOLATION of promise " << outcome.violation << "\n  " << summary(scenario) << '\n'
              << replay(scenario.seed) << std::flush;
  }
}

void Campaign::report(double elapsed_seconds) const {
  std::cout << runs_ << " runs from seed " << options_.first_seed << " on: " << violations_ << " violations, "
            << static_cast<std::uint64_t>(static_cast<double>(runs_) / elapsed_seconds) << " runs/s\n  "
            << static_cast<std::uint64_t>(seconds(total_.virtual_time)) << " s of virtual time, " << total_.events
            << " steps, " << total_.messages << " messages, " << total_.lost_messages << " of them lost, "
            << total_.views << " views, " << total_.rollbacks << " rollbacks\n";
  for (std::size_t kind = 0; kind < fault_kinds; ++kind) {
    std::cout << "  " << total_.faults[kind] << " x " << name_of(static_cast<FaultKind>(kind)) << '\n';
  }
}

}  // namespace ringps::sim
