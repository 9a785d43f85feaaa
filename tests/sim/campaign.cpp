#include "tests/sim/campaign.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iomanip>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "tests/sim/report.hpp"

namespace ringps::sim {
namespace {

/// The first violations are looked into; when everything is broken, the rest would say the same.
constexpr std::uint64_t stories_max = 3;

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
  for (const int fatal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    std::signal(fatal, on_fatal_signal);
  }
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
    run_seed(seed);
  }
}

void Campaign::run_seed(std::uint64_t seed) {
  FaultSchedule schedule = whole_schedule(seed);
  if (options_.only_faults) {
    schedule = some_of(schedule, *options_.only_faults);
  }
  last_words = "seed " + std::to_string(seed) + " ended the program\n  " + replay(schedule) + '\n';
  Listener listener;
  if (options_.trace) {
    std::cout << summary(schedule.scenario) << std::endl;
    listener = [](const std::string& line) { std::cout << line << '\n'; };
  }
  const Outcome outcome = World(schedule.scenario, listener).run();
  add(outcome);
  if (outcome.promise.empty()) {
    return;
  }
  std::string text = brief(schedule.scenario, outcome);
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    tell = ++violations_ <= stories_max && !options_.brief && !options_.trace;
    std::cout << (tell ? "" : text) << std::flush;
  }
  if (options_.stop_at_first) {
    end_ = std::min<std::uint64_t>(end_, seed);
  }
  if (tell) {
    const FaultSchedule minimal = minimise(schedule, outcome.promise);
    text += story_of(minimal, schedule.kept.size());
    const std::lock_guard lock(mutex_);
    std::cout << text << std::flush;
  }
}

void Campaign::add(const Outcome& outcome) {
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
}

void Campaign::report(double elapsed_seconds) const {
  const auto runs = static_cast<double>(std::max<std::uint64_t>(runs_, 1));
  std::uint64_t faults = 0;
  for (const std::uint64_t count : total_.faults) {
    faults += count;
  }
  std::cout << runs_ << " runs from seed " << options_.first_seed << " on: " << violations_ << " violations, "
            << static_cast<std::uint64_t>(runs / elapsed_seconds) << " runs/s\n  "
            << static_cast<std::uint64_t>(seconds(total_.virtual_time)) << " s of virtual time, " << total_.events
            << " steps, " << total_.messages << " messages, " << total_.lost_messages << " of them lost, "
            << total_.views << " views, " << total_.rollbacks << " rollbacks\n  " << std::fixed << std::setprecision(2)
            << static_cast<double>(faults) / runs << " faults per run:\n";
  for (std::size_t kind = 0; kind < fault_kinds; ++kind) {
    std::cout << "  " << std::setw(8) << total_.faults[kind] << std::setw(7)
              << static_cast<double>(total_.faults[kind]) / runs << " per run  "
              << name_of(static_cast<FaultKind>(kind)) << '\n';
  }
}

}  // namespace ringps::sim
