// ringps-sim: runs simulated clusters, one per seed, and says which promise was broken, if any.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>
#include <vector>

#include "tests/sim/campaign.hpp"

int main(int argc, char** argv) {
  ringps::sim::Campaign::Options options;
  options.jobs = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::size_t> only_faults;
  bool no_faults = false;
  CLI::App app("Runs simulated clusters of the production cores under faults, one per seed, and checks every promise.");
  app.add_option("--first-seed", options.first_seed, "seed of the first run")->capture_default_str();
  app.add_option("--seeds", options.seeds, "number of runs")->capture_default_str();
  app.add_option("--jobs", options.jobs, "runs at the same time")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_flag("--trace", options.trace, "tell the story of each run");
  app.add_flag("--stop-at-first", options.stop_at_first, "run no seed above one that has broken a promise");
  app.add_flag("--brief", options.brief, "do not look for the fewest faults that break a promise");
  app.add_option("--only-faults", only_faults, "leave out all faults but these, by their places in the schedule: 0,3")
      ->delimiter(',');
  app.add_flag("--no-faults", no_faults, "leave out all faults");
  CLI11_PARSE(app, argc, argv);
  if (no_faults || !only_faults.empty()) {
    options.only_faults = only_faults;
  }
  return ringps::sim::Campaign(options).run() == 0 ? 0 : 1;
}
