// The commands that change a running cluster: servers and workers, each with add, drain and kill.
#include <spdlog/fmt/fmt.h>

#include <memory>
#include <string>

#include "services/common/status_json.hpp"
#include "services/psctl/commands.hpp"
#include "services/psctl/orders.hpp"
#include "services/psctl/target.hpp"

namespace ringps {
namespace {

struct Options {
  Target target;
  std::string id;
  std::uint32_t count = 1;
};

/// A name of another role is a mistake that the coordinator need not be asked about.
int request_for(Role role, const Options& options, const Body& body, const std::string& done) {
  if (!number_of(role, options.id)) {
    return complain(fmt::format("expected the name of a {0}, as in {0}1; found '{1}'", name_of(role), options.id),
                    exit_usage);
  }
  return request(options.target, body, done);
}

void add_role(CLI::App& app, Action& action, Role role, const char* drained) {
  const std::string name(name_of(role));
  const std::string group = name + "s";
  CLI::App* parent = add_command(app, group, fmt::format("Add, drain or kill {} of a running cluster", group),
                                 fmt::format("  psctl {0} add --count 2 --run-dir runs/quickstart-1\n"
                                             "  psctl {0} drain {1}0 --run-dir runs/quickstart-1",
                                             group, name));
  parent->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* verb, const std::string& does, const std::string& example,
                       std::function<int()> run) {
    CLI::App* command =
        add_command(*parent, verb, does, fmt::format("  psctl {} {} --run-dir runs/quickstart-1", group, example));
    options->target.add_to(*command);
    command->callback([run = std::move(run), &action] { action = run; });
    return command;
  };
  add("add", fmt::format("Start more {}, under names that nobody has had", group), "add --count 2",
      [options, role] {
        return request(
            options->target, AddProcesses{role, options->count},
            fmt::format("{} {}{} will be started; `psctl status` shows when {} joined", options->count, name_of(role),
                        options->count == 1 ? "" : "s", options->count == 1 ? "it has" : "they have"));
      })
      ->add_option("--count", options->count, "how many")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  const auto with_id = [&](CLI::App* command) {
    command->add_option("ID", options->id, fmt::format("which, as in {}0", name))->required();
  };
  with_id(add("drain", drained, fmt::format("drain {}0", name), [options, role] {
    return request_for(role, *options, Drain{options->id},
                       fmt::format("{} is leaving; `psctl status` shows when it has gone", options->id));
  }));
  with_id(add("kill", "End a process with SIGKILL, to see that the run does not mind", fmt::format("kill {}0", name),
              [options, role] {
                return request_for(role, *options, KillProcess{options->id},
                                   fmt::format("{} will be killed", options->id));
              }));
}

}  // namespace

void add_members(CLI::App& app, Action& action) {
  add_role(app, action, Role::server, "Let a server hand on all that it holds, and leave; training goes on");
  add_role(app, action, Role::worker, "Let a worker hand on its slices, and leave; training goes on");
}

}  // namespace ringps
