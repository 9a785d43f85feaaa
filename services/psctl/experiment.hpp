// One experiment from its configuration to its results: what `psctl run`, its sweeps and the figures have in common.
#pragma once

#include <filesystem>
#include <string>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/role/role.hpp"
#include "services/psctl/progress.hpp"
#include "services/psctl/results.hpp"
#include "services/psctl/run_dir.hpp"

namespace ringps {

struct ExperimentOptions {
  std::filesystem::path run_dir;  ///< empty: the first free runs/<name>-<n>
  ProgressReporter::Style style = ProgressReporter::Style::lines;
  RunDir::Earlier earlier = RunDir::Earlier::keep;  ///< checkpoints in that folder
};

struct Experiment {
  ExitCode code = exit_done;
  std::string error;  ///< unless `code` is exit_done
  RunRecord record;
  std::filesystem::path run_dir;  ///< empty: it did not come to that
  bool has_results = false;       ///< in run_dir
  std::string picture_note;       ///< why there is no picture; empty: there is one, or none was asked for
};

/// Runs it on this host, with its fault-free twin if that is asked for, and writes results and picture.
Experiment run_experiment(Config config, const ExperimentOptions& options, SignalDescriptor& signals);

/// Checks what a run needs besides its configuration: fills in where the data and the checkpoint to resume lie.
Result<Config> locate_inputs(Config config, const std::filesystem::path& wanted);

}  // namespace ringps
