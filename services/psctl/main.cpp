#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "services/psctl/commands.hpp"
#include "services/psctl/predecessor.hpp"

int main(int argc, char** argv) {
  using namespace ringps;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of that write, and no reason to die
  CLI::App app("psctl launches training experiments on a ringps cluster and looks after running ones.", "psctl");
  app.footer(
      "Exit codes: 0 done, 1 the run failed, 2 usage or configuration, 3 cluster unreachable, 4 timed out,\n"
      "5 data lost or bits differ, 130 interrupted.\n"
      "Example: psctl run configs/quickstart.yaml");
  app.set_version_flag("--version", RINGPS_VERSION);
  app.require_subcommand(1);
  Action action;
  add_run(app, action);
  add_validate(app, action);
  add_ring(app, action);
  add_checkpoint(app, action);
  add_data(app, action);
  add_status(app, action);
  add_members(app, action);
  add_figures(app, action);
  add_completion(app, action);

  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments.front() == "run") {
    arguments = spell_out_predecessor_flags(std::move(arguments));
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_done : exit_usage;
  }
  return action();
}
