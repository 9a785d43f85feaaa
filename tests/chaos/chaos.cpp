// ringps-chaos: real processes under real faults, run after run, each compared with the fault-free weights.
//   ringps-chaos --cycles 5          random kills, pauses, cuts, joins and drains (make chaos)
//   ringps-chaos --failover 50       one kill of a server a run: how long until training goes on (make bench-failover)
#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/psctl/process.hpp"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ringps::ChildProcess;
using Clock = std::chrono::steady_clock;

struct Options {
  std::uint64_t cycles = 1;
  double minutes = 0;
  std::uint64_t failover = 0;
  std::uint64_t first_seed = 1;
  double kills_per_minute = 60;
  bool local = false;
  fs::path config = "tests/chaos/chaos.yaml";
  fs::path out = "runs/chaos";
};

fs::path psctl() {
  return fs::read_symlink("/proc/self/exe").parent_path() / "psctl";
}

struct Result {
  bool completed = false;
  json results;
  double seconds = 0;
};

/// Runs psctl to its end; what it prints goes to a log beside the run.
Result run(const Options& options, const std::string& name, std::vector<std::string> overrides) {
  const fs::path dir = options.out / name;
  fs::create_directories(options.out);
  fs::remove_all(dir);
  if (const char* data = std::getenv("RINGPS_DATA"); data != nullptr && fs::exists(fs::path(data) / "mnist")) {
    overrides.emplace_back("data.kind=mnist");
  }
  std::vector<std::string> arguments{psctl().string(), "run", options.config.string()};
  arguments.insert(arguments.end(), overrides.begin(), overrides.end());
  arguments.insert(arguments.end(), {"--run-dir", dir.string()});
  const auto started = Clock::now();
  auto process = ChildProcess::start(arguments, options.out / (name + ".log"));
  if (!process) {
    fmt::print(stderr, "{}\n", process.error());
    return {};
  }
  pollfd ended{process->descriptor(), POLLIN, 0};
  poll(&ended, 1, -1);  // the run has a timeout of its own
  Result result;
  result.completed = process->reap() == ringps::ProcessExit{false, 0};
  result.seconds = std::chrono::duration<double>(Clock::now() - started).count();
  std::ifstream in(dir / "results.json");
  result.results = json::parse(in, nullptr, false);
  return result;
}

/// Seconds in words: median, 99th percentile and worst.
std::string spread(std::vector<double> values) {
  if (values.empty()) {
    return "-";
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
  };
  return fmt::format("median {:.3f} s, 99th percentile {:.3f} s, worst {:.3f} s of {}", at(0.5), at(0.99),
                     values.back(), values.size());
}

class Report {
 public:
  explicit Report(std::string expected) : expected_(std::move(expected)) {}

  void add(const std::string& name, const Result& result) {
    const bool same =
        result.completed && result.results.is_object() && result.results.value("final_weights_sha256", "") == expected_;
    ++(same ? passed_ : failed_);
    std::uint64_t faults = 0;
    for (const json& fault : result.results.is_object() ? result.results["faults"] : json::array()) {
      if (!fault.value("took_place", true)) {
        continue;
      }
      ++faults;
      const std::string kind = fault["what"];
      ++kinds_[kind];
      lost_ += fault.value("updates_lost", std::uint64_t{0});
      const std::uint64_t replayed = fault.value("iterations_replayed", std::uint64_t{0});
      replays_ += replayed > 0 ? 1 : 0;
      for (const char* measure : {"recovered_after", "longest_stall"}) {
        if (fault.contains(measure) && fault[measure].is_number()) {
          times_[measure][kind].push_back(fault[measure]);
        }
      }
    }
    fmt::print("{}: {} faults in {:.1f} s, {}\n", name, faults, result.seconds,
               same               ? "the weights of the fault-free run"
               : result.completed ? "OTHER WEIGHTS"
                                  : "DID NOT COMPLETE");
    std::fflush(stdout);
  }

  bool print() const {
    fmt::print("\nfaults by kind\n");
    for (const auto& [kind, count] : kinds_) {
      fmt::print("  {:<10} {:>6}\n", kind, count);
    }
    for (const auto& [measure, by_kind] : times_) {
      fmt::print("{}\n", measure);
      for (const auto& [kind, values] : by_kind) {
        fmt::print("  {:<10} {}\n", kind, spread(values));
      }
    }
    fmt::print("updates lost {}, faults that lost every replica of a block and were replayed {}\n", lost_, replays_);
    fmt::print("\n{} passed, {} failed\n", passed_, failed_);
    return failed_ == 0;
  }

 private:
  const std::string expected_;
  std::uint64_t passed_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t replays_ = 0;
  std::map<std::string, std::uint64_t> kinds_;
  std::map<std::string, std::map<std::string, std::vector<double>>> times_;
};

int chaos(const Options& options) {
  const auto with = [&](const std::string& faults) {
    std::vector<std::string> overrides{faults};
    if (options.local) {
      overrides.insert(overrides.end(), {"model={kind: mlp, hidden: [128]}", "cluster.block_elements=8192",
                                         "cluster.message_bytes=131072", "train.iterations=5000"});
    }
    return overrides;
  };
  const Result reference = run(options, "fault-free", with("random_faults={}"));
  if (!reference.completed) {
    fmt::print(stderr, "the run without faults did not complete; see {}\n", (options.out / "fault-free.log").string());
    return 1;
  }
  Report report(reference.results["final_weights_sha256"]);
  const auto end = Clock::now() + std::chrono::duration<double>(options.minutes * 60);
  for (std::uint64_t n = 0; options.minutes > 0 ? Clock::now() < end : n < options.cycles; ++n) {
    const std::uint64_t seed = options.first_seed + n;
    const double kills = options.kills_per_minute;
    const std::string faults = fmt::format(
        "random_faults={{seed: {}, kills_per_minute: {}, pauses_per_minute: {}, cuts_per_minute: {}, "
        "slowdowns_per_minute: {}, adds_per_minute: {}, drains_per_minute: {}, for_seconds: 0.6}}",
        seed, kills, kills / 4, options.local ? 0 : kills / 4, options.local ? 0 : kills / 20, kills / 6, kills / 6);
    report.add(fmt::format("seed-{}", seed), run(options, fmt::format("seed-{}", seed), with(faults)));
  }
  return report.print() ? 0 : 1;
}

int failover(const Options& options) {
  const std::vector<std::string> usual{"train.iterations=3000", "cluster.restart=needed"};
  const Result reference = run(options, "fault-free", usual);
  if (!reference.completed) {
    fmt::print(stderr, "the run without faults did not complete; see {}\n", (options.out / "fault-free.log").string());
    return 1;
  }
  Report report(reference.results["final_weights_sha256"]);
  for (const auto& [what, count] : {std::pair("kill", options.failover), std::pair("pause", options.failover / 5)}) {
    for (std::uint64_t n = 0; n < count; ++n) {
      std::vector<std::string> overrides = usual;
      overrides.push_back(fmt::format("faults=[{{at_iteration: {}, {}: server{}}}]", 1000 + 7 * n, what, n % 4));
      report.add(fmt::format("{}-{}", what, n), run(options, fmt::format("{}-{}", what, n), overrides));
    }
  }
  return report.print() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs real clusters under real faults and compares each with the fault-free weights.");
  app.add_option("--cycles", options.cycles, "runs")->capture_default_str();
  app.add_option("--minutes", options.minutes, "as many runs as fit in; 0: --cycles of them")->capture_default_str();
  app.add_option("--failover", options.failover, "instead: so many runs in which one server is killed");
  app.add_option("--first-seed", options.first_seed, "of the faults of the first run")->capture_default_str();
  app.add_option("--kills-per-minute", options.kills_per_minute, "other faults in proportion")->capture_default_str();
  app.add_flag("--local", options.local,
               "a larger model, whose values are in shared memory, and no faults of links, which would lead all "
               "connections through relays");
  app.add_option("--config", options.config, "what is trained")->capture_default_str();
  app.add_option("--out", options.out, "folder of the runs")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return options.failover > 0 ? failover(options) : chaos(options);
}
