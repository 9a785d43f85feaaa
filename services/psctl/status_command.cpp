// The commands that ask a running cluster how it is, or end it: status, stop, health.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "libps/net/clock.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/storage/file.hpp"
#include "services/common/status_json.hpp"
#include "services/psctl/commands.hpp"
#include "services/psctl/status_text.hpp"
#include "services/psctl/target.hpp"

namespace ringps {
namespace {

constexpr Duration watch_interval = std::chrono::milliseconds(500);
/// A coordinator that is started again answers within this.
constexpr Duration watch_patience = std::chrono::seconds(15);

std::string shown(const Status& status, bool json) {
  return json ? to_json(status).dump(2) + "\n" : to_text(status);
}

/// What the coordinator has left as its last word, if the run is over.
std::optional<Status> last_word(const Target& target) {
  constexpr std::uint64_t bytes_max = 64U << 20U;
  if (target.run_dir.empty()) {
    return std::nullopt;
  }
  const auto text = read_text(std::filesystem::path(target.run_dir) / last_status_name, bytes_max);
  const auto status = text ? parse_status(*text) : Result<Status>(text.failure());
  return status ? std::optional(*status) : std::nullopt;
}

int show_status(const Target& target, bool json) {
  const auto found = find(target);
  if (!found) {
    return complain(found.error(), exit_usage);
  }
  auto status = ask_status(*found);
  if (!status) {
    auto last = last_word(target);
    if (!last || last->state <= RunState::running) {
      return complain(status.error(), exit_unreachable);
    }
    status = std::move(*last);  // it has ended
  }
  std::fputs(shown(*status, json).c_str(), stdout);
  return exit_done;
}

/// Shows one text after another: on a terminal each in the place of the one before.
class Screen {
 public:
  void show(const std::string& text) {
    if (terminal_ && lines_ > 0) {
      std::fprintf(stdout, "\033[%tdA\033[J", lines_);
    } else if (lines_ > 0) {
      std::fputs("\n", stdout);
    }
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    lines_ = std::count(text.begin(), text.end(), '\n');
  }

 private:
  const bool terminal_ = isatty(STDOUT_FILENO) == 1;
  std::ptrdiff_t lines_ = 0;
};

/// Until the run is over. A coordinator that is away for a while, to be started again, is waited for.
int watch_status(const Target& target, bool json) {
  SignalDescriptor signals;
  EventLoop loop;
  loop.add(signals.descriptor());
  Screen screen;
  Time heard = now();
  bool known = false;
  for (;;) {
    const auto found = find(target);
    if (!found) {
      return complain(found.error(), exit_usage);
    }
    auto status = ask_status(*found);
    if (!status && known) {
      if (auto last = last_word(target)) {
        status = std::move(*last);
      }
    }
    if (status) {
      known = true;
      heard = now();
      screen.show(shown(*status, json));
      if (status->state > RunState::running) {
        return exit_done;
      }
    } else if (!known || now() - heard > watch_patience) {
      return complain(status.error(), exit_unreachable);
    }
    loop.wait_until(now() + watch_interval);
    if (signals.take() != 0) {
      return exit_interrupted;
    }
  }
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
    bool watch = false;
    std::string id;
  };
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* does, const char* example, std::function<int()> run) {
    CLI::App* command = add_command(app, name, does, example);
    options->target.add_to(*command);
    command->callback([run = std::move(run), &action] { action = run; });
    return command;
  };
  CLI::App* status = add("status", "Say how a running cluster stands",
                         "  psctl status --run-dir runs/quickstart-1 --watch\n"
                         "  psctl status --config run.yaml --coordinator tcp://10.0.0.1:7070 --json",
                         [options] {
                           return options->watch ? watch_status(options->target, options->json)
                                                 : show_status(options->target, options->json);
                         });
  status->add_flag("--json", options->json, "print JSON");
  status->add_flag("--watch", options->watch, "go on until the run is over; on a terminal, in one place");
  add("stop", "End a running cluster in good order", "  psctl stop --run-dir runs/quickstart-1",
      [options] { return request(options->target, StopRun{"psctl stop"}, ""); });
  add("health", "Exit with 0 if the coordinator, or a member of its cluster, is well (for containers)",
      "  psctl health --config run.yaml --endpoint tcp://coordinator:7070 --id server1",
      [options] { return health(options->target, options->id); })
      ->add_option("--id", options->id, "server or worker; without it, the coordinator itself");
}

}  // namespace ringps
