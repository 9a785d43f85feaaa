// The commands that talk to a running cluster: status, stop, health.
#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "libps/base/log.hpp"
#include "libps/config/load.hpp"
#include "libps/storage/file.hpp"
#include "services/common/status_json.hpp"
#include "services/psctl/ask.hpp"
#include "services/psctl/commands.hpp"

namespace ringps {
namespace {

constexpr Duration answer_patience = std::chrono::seconds(2);

/// Which cluster is meant.
struct Target {
  std::string run_dir;
  std::string config;
  std::string endpoint;
};

struct Found {
  std::string cluster;
  std::string endpoint;
  Config config;
};

void add_target(CLI::App& command, Target& target) {
  auto* run_dir = command.add_option("--run-dir", target.run_dir, "folder of the run");
  auto* config = command.add_option("--config", target.config, "configuration of the run");
  auto* endpoint = command.add_option("--coordinator,--endpoint", target.endpoint, "endpoint of its coordinator");
  run_dir->excludes(config)->excludes(endpoint);
  config->needs(endpoint);
  endpoint->needs(config);
}

Result<Found> find(const Target& target) {
  if (target.run_dir.empty() && target.config.empty()) {
    return Error{"which cluster? Expected --run-dir DIR, or --config FILE and --coordinator ENDPOINT"};
  }
  const std::filesystem::path run_dir = target.run_dir;
  const auto config =
      load_config(target.run_dir.empty() ? std::filesystem::path(target.config) : run_dir / "config.yaml");
  if (!config) {
    return config.failure();
  }
  Found found{config->name, target.endpoint, *config};
  if (!target.run_dir.empty()) {
    constexpr std::uint64_t bytes_max = 65536;
    const auto text = read_text(run_dir / "coordinator.json", bytes_max);
    if (!text) {
      return text.failure();
    }
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    if (!json.is_object() || !json.contains("control") || !json["control"].is_string()) {
      return Error{(run_dir / "coordinator.json").string() + ": does not say where the coordinator is"};
    }
    found.endpoint = json["control"].get<std::string>();
  }
  return found;
}

Result<Status> ask_status(const Found& found) {
  auto answer = ask(found.endpoint, found.cluster, GetStatus{}, answer_patience);
  if (!answer) {
    return answer.failure();
  }
  if (auto* status = std::get_if<Status>(&answer->body)) {
    return std::move(*status);
  }
  return Error{fmt::format("{} answers, but not with a status", found.endpoint)};
}

std::string to_text(const Status& status) {
  std::string text =
      fmt::format("{}: iteration {} of {}, view {}, checkpoint {}", name_of(status.state), status.iteration.value,
                  status.iterations.value, status.view.epoch.value, status.committed_checkpoint.value);
  if (status.accuracy >= 0) {
    text += fmt::format(", accuracy {:.2f} %, loss {:.4f}", status.accuracy, status.loss);
  }
  text += "\n" + (status.text.empty() ? "" : status.text + "\n");
  text += fmt::format("{:<12} {:>9} {:>8} {:>10} {:>9}  {}\n", "process", "pid", "member", "iteration", "silent", "");
  for (const ProcessStatus& process : status.processes) {
    text += fmt::format("{:<12} {:>9} {:>8} {:>10} {:>7.2f} s  {}\n", process.id, process.pid,
                        process.member ? "yes" : "no", process.iteration.value, process.silent_seconds,
                        process.waiting_for.empty() ? process.endpoint : "waits: " + process.waiting_for);
  }
  for (const FailureStatus& failure : status.failures) {
    text += fmt::format("{} failed at iteration {}: {}; {} iterations replayed\n", failure.id, failure.iteration.value,
                        failure.how, failure.iterations_replayed);
  }
  return text;
}

int show_status(const Target& target, bool json) {
  const auto found = find(target);
  if (!found) {
    return complain(found.error(), exit_usage);
  }
  const auto status = ask_status(*found);
  if (!status) {
    return complain(status.error(), exit_unreachable);
  }
  std::fputs((json ? to_json(*status).dump(2) + "\n" : to_text(*status)).c_str(), stdout);
  return exit_done;
}

int stop(const Target& target) {
  const auto found = find(target);
  if (!found) {
    return complain(found.error(), exit_usage);
  }
  const auto answer = ask(found->endpoint, found->cluster, StopRun{"psctl stop"}, answer_patience);
  return answer ? exit_done : complain(answer.error(), exit_unreachable);
}

/// Of the coordinator: it answers. Of a member: the coordinator has heard from it lately.
int health(const Target& target, const std::string& id) {
  const auto found = find(target);
  if (!found) {
    return complain(found.error(), exit_usage);
  }
  const auto status = ask_status(*found);
  if (!status) {
    return complain(status.error(), exit_unreachable);
  }
  if (id.empty()) {
    return exit_done;
  }
  const double patience_s = found->config.cluster.timeouts.failure_timeout_ms / 1000.0;
  for (const ProcessStatus& process : status->processes) {
    if (process.id == id) {
      return process.silent_seconds <= patience_s
                 ? exit_done
                 : complain(fmt::format("{} has been silent for {:.1f} s", id, process.silent_seconds),
                            exit_unreachable);
    }
  }
  return complain(fmt::format("the coordinator does not know '{}'", id), exit_unreachable);
}

}  // namespace

void add_status(CLI::App& app, Action& action) {
  struct Options {
    Target target;
    bool json = false;
    std::string id;
  };
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* does, const char* example, std::function<int()> run) {
    CLI::App* command = add_command(app, name, does, example);
    add_target(*command, options->target);
    command->callback([run = std::move(run), &action] { action = run; });
    return command;
  };
  add("status", "Say how a running cluster stands", "  psctl status --run-dir runs/quickstart-1", [options] {
    return show_status(options->target, options->json);
  })->add_flag("--json", options->json, "print JSON");
  add("stop", "End a running cluster in good order", "  psctl stop --run-dir runs/quickstart-1",
      [options] { return stop(options->target); });
  add("health", "Exit with 0 if the coordinator, or a member of its cluster, is well (for containers)",
      "  psctl health --config run.yaml --endpoint tcp://coordinator:7070 --id server1",
      [options] { return health(options->target, options->id); })
      ->add_option("--id", options->id, "server or worker; without it, the coordinator itself");
}

}  // namespace ringps
