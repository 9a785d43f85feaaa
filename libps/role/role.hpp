// What the three roles have in common: their command line, their configuration, their exit codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/core/member.hpp"

// Only declared, so that the installed headers do not need CLI11; programs that parse include <CLI/CLI.hpp>.
namespace CLI {  // NOLINT(readability-identifier-naming): its name
class App;
}

namespace ringps {

/// Exit codes of all programs.
enum ExitCode : int {
  exit_done = 0,
  exit_run_failed = 1,
  exit_usage = 2,
  exit_unreachable = 3,
  exit_timed_out = 4,
  exit_data_lost = 5,
  exit_interrupted = 130,
};

struct RoleOptions {
  std::string config_file;
  std::string id;
  std::string coordinator;  ///< servers and workers: endpoint of the coordinator's control socket
  std::string bind = "tcp://127.0.0.1:0";
  std::string advertise;  ///< host that others reach this one by; empty: the bound address
  std::string proxy;      ///< SOCKS 5 proxy, HOST:PORT, through which to connect; empty: none
  std::string run_dir = ".";
  std::string log_level = "info";
  std::string log_format = "text";
  std::uint64_t kill_at = 0;  ///< SIGKILL oneself at this iteration, to rehearse a failure; 0: never

  void add_to(CLI::App& app);              ///< what every role takes
  void add_member_options(CLI::App& app);  ///< servers and workers
  void add_bind_options(CLI::App& app);    ///< coordinator and servers
};

/// A configuration as a role needs it.
struct Job {
  Config config;
  JobSpec spec;
  std::string digest;  ///< SHA-256 of what has to be the same in all processes
};

/// Loads the configuration and describes the job; sets up the log.
Result<Job> prepare(const RoleOptions& options);

/// Parses a command line; an exit code if the program ends here (--help, --version, a mistake).
std::optional<int> parse(CLI::App& app, int argc, char** argv);

/// Prints an error as every program does, and returns `code`.
int report_error(const std::string& text, int code);

/// A member's exit code.
int exit_code(const Ended& ended);

/// Ends this process at once, as a failure would.
[[noreturn]] void kill_oneself();

}  // namespace ringps
