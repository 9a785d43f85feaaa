#include "libps/role/role.hpp"

#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "libps/base/log.hpp"
#include "libps/base/sha256.hpp"
#include "libps/config/job.hpp"
#include "libps/config/load.hpp"
#include "libps/config/write.hpp"
#include "libps/net/shared_arena.hpp"
#include "libps/net/socket.hpp"

namespace ringps {
namespace {

/// Each peer takes up to three descriptors, and systems allow 1,024 to those who do not ask for more.
void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace

void RoleOptions::add_to(CLI::App& app) {
  app.set_version_flag("--version", RINGPS_VERSION);
  app.add_option("--config", config_file, "configuration of the run; the same file for all roles")->required();
  app.add_option("--run-dir", run_dir, "folder of the run: checkpoints and, of the coordinator, journal and metrics")
      ->capture_default_str();
  app.add_option("--log-level", log_level, "debug, info, warn or error")->capture_default_str();
  app.add_option("--log-format", log_format, "text or json")->capture_default_str();
}

void RoleOptions::add_member_options(CLI::App& app) {
  app.add_option("--id", id, "name, unique in the cluster, ending in a number")->required();
  app.add_option("--coordinator", coordinator, "endpoint of the coordinator, as in tcp://10.0.0.1:7070")->required();
  app.add_option("--proxy", proxy, "rehearse failures of the network: connect through this SOCKS 5 proxy, HOST:PORT");
  app.add_option("--kill-at", kill_at, "rehearse a failure: SIGKILL this process when it reaches this iteration");
}

void RoleOptions::add_bind_options(CLI::App& app) {
  app.add_option("--bind", bind, "where to listen: tcp://ADDRESS:PORT (port 0: the system chooses) or ipc://PATH")
      ->capture_default_str();
  app.add_option("--advertise", advertise, "host name or address that others reach this process by");
}

Result<Job> prepare(const RoleOptions& options) {
  allow_many_descriptors();
  // Messages and versions come and go by the megabyte. Left to itself, the C library gives each back to the system and
  // has the next one mapped and cleared page by page, which takes longer than to send it.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write, not the end of the process
  if (auto configured = log::configure(options.id, options.log_level, options.log_format); !configured) {
    return Error{configured.error()};
  }
  connect_through(options.proxy);
  auto config = load_config(options.config_file);
  if (!config) {
    return Error{config.error()};
  }
  if (config->cluster.transport == ClusterConfig::Transport::automatic) {
    take_short_cuts();
  }
  if (config->cluster.transport != ClusterConfig::Transport::tcp && config->cluster.shared_memory) {
    share_memory();
  }
  auto tensors = model_tensors(*config);
  if (!tensors) {
    return Error{options.config_file + ": " + tensors.error()};
  }
  Job job{*config, make_job(*config, std::move(*tensors)), sha256_hex(canonical_text(*config))};
  // Not earlier than failure_timeout: a broken connection removes a member sooner than silence does. And below a second
  // it is the scheduler that is measured.
  give_up_after(std::max<Duration>(job.spec.timeouts.failure_timeout, std::chrono::seconds(1)));
  return job;
}

std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_done : exit_usage;
  }
}

int report_error(const std::string& text, int code) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

int exit_code(const Ended& ended) {
  switch (ended.why) {
    case Ended::Why::refused:
      return exit_usage;
    case Ended::Why::unreachable:
      return exit_unreachable;
    case Ended::Why::retired:
      return exit_done;
    default:
      break;
  }
  switch (ended.state) {
    case RunState::completed:
      return exit_done;
    case RunState::interrupted:
      return exit_interrupted;
    case RunState::data_lost:
      return exit_data_lost;
    default:
      return exit_run_failed;
  }
}

void kill_oneself() {
  raise(SIGKILL);
  std::abort();
}

}  // namespace ringps
