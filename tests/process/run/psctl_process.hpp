// Runs psctl as a real process, and finds what it has left.
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libps/wire/messages.hpp"
#include "services/psctl/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace ringps {

/// The configurations that come with ringps.
inline const std::filesystem::path configs_folder = std::filesystem::path(RINGPS_SOURCE_DIR) / "configs";

/// A folder for runs, whose sockets lie in it too. At its end nothing of the runs may be alive or left over.
class Bench {
 public:
  Bench();
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return dir_ / name; }
  /// The configuration that all tests start from: 60 iterations of 4 slices on a small synthetic data set, a checkpoint
  /// every 10.
  std::filesystem::path config() const { return dir_ / "small.yaml"; }
  /// Command lines of living processes that name this folder, except of those that end within `patience_ms` each.
  std::vector<std::string> alive(int patience_ms) const;
  std::vector<std::string> sockets() const;
  /// A name that is not yet taken.
  std::filesystem::path new_log() const { return dir_ / ("psctl-" + std::to_string(++logs_) + ".log"); }

 private:
  TempDir dir_;
  mutable int logs_ = 0;
};

class Psctl {
 public:
  Psctl(const Bench& bench, std::vector<std::string> arguments);

  /// Fails the test if it does not end within a minute.
  ProcessExit wait();
  void send_signal(int signal) const { process_.send_signal(signal); }
  /// What it has printed so far.
  std::string output() const;

  // These fail the test if psctl ends before, or after a minute.
  void wait_until(const std::function<bool()>& holds) const;
  void wait_for_output(const std::string& text) const;
  /// Until the run in `run_dir` has come to an iteration. Returns the status of that moment.
  Status wait_for_iteration(const std::filesystem::path& run_dir, std::uint64_t iteration) const;

 private:
  std::filesystem::path log_;
  ChildProcess process_;
};

/// Runs `psctl run` of the bench's configuration to its end, into bench / name.
struct Run {
  Run(const Bench& bench, const std::string& name, std::vector<std::string> overrides);
  /// Of another configuration.
  Run(const Bench& bench, const std::string& name, const std::filesystem::path& config,
      std::vector<std::string> overrides);

  ProcessExit exit;
  std::string output;
  nlohmann::json results;  ///< null if there are none
  std::string hash() const;
};

nlohmann::json read_json(const std::filesystem::path& file);

/// The pid of a process of a run, 0 if it is not there.
pid_t pid_of(const std::filesystem::path& run_dir, const std::string& id);

}  // namespace ringps
