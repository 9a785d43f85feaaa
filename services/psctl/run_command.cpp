// `psctl run`: one experiment, a sweep of them, or only the plan.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libps/config/load.hpp"
#include "services/psctl/commands.hpp"
#include "services/psctl/experiment.hpp"
#include "services/psctl/plan.hpp"
#include "services/psctl/predecessor.hpp"
#include "services/psctl/run_dir.hpp"

namespace ringps {
namespace {

struct RunOptions {
  std::vector<std::string> arguments;  ///< the configuration, unless the predecessor's flags stand in for it; overrides
  std::string output;
  std::string run_dir;
  bool quiet = false;
  bool sweep = false;
  bool dry_run = false;
  bool overwrite = false;
  PredecessorFlags predecessor;

  bool has_config() const { return !arguments.empty() && arguments.front().find('=') == std::string::npos; }
};

Result<Config> load(const RunOptions& options, const Overrides& overrides) {
  Overrides all = overrides_of(options.predecessor);
  all.insert(all.end(), overrides.begin(), overrides.end());
  auto config = options.has_config()
                    ? load_config(options.arguments.front(), all)
                    : load_config_text(predecessor_config, "<the experiment of the predecessor's options>", all);
  if (config && !options.output.empty()) {
    config->output.results = options.output;
  }
  return config;
}

int dry_run(const Config& config, const std::string& run_dir) {
  const auto located = locate_inputs(config, run_dir.empty() ? config.output.run_dir : run_dir);
  if (!located) {
    return complain(located.error(), exit_usage);
  }
  const auto programs = find_programs(located->cluster.worker_program);
  if (!programs) {
    return complain(programs.error(), exit_usage);
  }
  const fs::path dir = run_dir.empty() ? fs::path("runs") / (config.name + "-N") : fs::path(run_dir);
  const CommandLines command_lines(*located, *programs, dir / "config.yaml", dir, "SOCKETS",
                                   located->checkpoint.resume);
  std::fputs(describe_plan(*located, command_lines).c_str(), stdout);
  return exit_done;
}

/// As seen from where the command was given, if it lies below.
fs::path shown(const fs::path& path) {
  const fs::path relative = path.lexically_proximate(fs::current_path());
  return *relative.begin() == ".." ? path : relative;
}

void print_outcome(const Experiment& experiment, bool quiet) {
  if (!experiment.error.empty()) {
    report_error("psctl: " + experiment.error, experiment.code);
  }
  if (quiet || experiment.run_dir.empty()) {
    return;
  }
  const fs::path dir = shown(experiment.run_dir);
  fmt::print("\n{}results       {}\n", summary(experiment.record),
             experiment.has_results ? (dir / "results.json").string() : "not written");
  if (experiment.record.config.output.curve) {
    fmt::print("curve         {}\n", experiment.picture_note.empty() ? (dir / "curve.svg").string()
                                                                     : "not drawn: " + experiment.picture_note);
  }
  std::fflush(stdout);
}

ExperimentOptions experiment_options(const RunOptions& options) {
  return {options.run_dir, options.quiet ? ProgressReporter::Style::quiet : ProgressReporter::style_for(stdout),
          options.overwrite ? RunDir::Earlier::overwrite : RunDir::Earlier::keep};
}

int run_one(const RunOptions& options, const Config& config) {
  SignalDescriptor signals;
  const Experiment experiment = run_experiment(config, experiment_options(options), signals);
  print_outcome(experiment, options.quiet);
  return experiment.code;
}

/// One row of the table at the end of a sweep.
std::string row_of(const Overrides& overrides, const Experiment& experiment) {
  const RunFigures figures = figures_of(experiment.record);
  std::string values;
  for (const std::string& override_text : overrides) {
    values += fmt::format("{:<16} ", override_text.substr(override_text.find('=') + 1));
  }
  const Quality quality = quality_of(experiment.record);
  return fmt::format("{}{:>10} {:>10} {:>10} {:>12.0f} {:>10.1f}  {}", values,
                     quality.loss ? fmt::format("{:.4f}", *quality.loss) : "-",
                     figures.final_accuracy ? fmt::format("{:.2f}", *figures.final_accuracy) : "-",
                     figures.best_accuracy ? fmt::format("{:.2f}", *figures.best_accuracy) : "-",
                     figures.iterations_per_second, experiment.record.wall_seconds,
                     experiment.code == exit_done ? "done" : experiment.error.substr(0, experiment.error.find('\n')));
}

std::string heading_of(const Overrides& overrides) {
  std::string keys;
  for (const std::string& override_text : overrides) {
    const std::string key = override_text.substr(0, override_text.find('='));
    keys += fmt::format("{:<16} ", key.substr(key.rfind('.') + 1));
  }
  return fmt::format("{}{:>10} {:>10} {:>10} {:>12} {:>10}", keys, "loss", "accuracy", "best", "iterations/s",
                     "seconds");
}

/// Everything is checked before the first run starts. Goes on after a failed run, not after an interrupted one.
int run_sweep(const RunOptions& options, const std::vector<std::string>& arguments) {
  const auto combinations = expand_sweep(arguments);
  if (!combinations) {
    return report_error(combinations.error(), exit_usage);
  }
  std::vector<Config> configs;
  for (const Overrides& overrides : *combinations) {
    auto config = load(options, overrides);
    if (!config) {
      return report_error(config.error(), exit_usage);
    }
    configs.push_back(std::move(*config));
  }
  const fs::path wanted =
      options.run_dir.empty() ? fs::path(configs.front().output.run_dir) : fs::path(options.run_dir);
  const auto sweep_dir = RunDir::create(wanted, configs.front().name + "-sweep");
  if (!sweep_dir) {
    return complain(sweep_dir.error(), exit_usage);
  }
  std::vector<std::string> rows;
  int code = exit_done;
  SignalDescriptor signals;
  for (std::size_t n = 0; n < configs.size() && code != exit_interrupted; ++n) {
    ExperimentOptions each = experiment_options(options);
    each.run_dir = sweep_dir->path() / std::to_string(n + 1);
    const Experiment experiment = run_experiment(configs[n], each, signals);
    rows.push_back(row_of((*combinations)[n], experiment));
    code = experiment.code == exit_done ? code : experiment.code;
  }
  fmt::print("\n{}\n", heading_of(combinations->front()));
  for (const std::string& row : rows) {
    fmt::print("{}\n", row);
  }
  fmt::print("\nresults in {}\n", shown(sweep_dir->path()).string());
  return code;
}

/// Whether the file can be written, as far as that can be known before the run.
Result<void> check_output(const std::string& output) {
  const fs::path folder = fs::path(output).has_parent_path() ? fs::path(output).parent_path() : fs::path(".");
  std::error_code ignored;
  if (!output.empty() && (!fs::is_directory(folder, ignored) || access(folder.c_str(), W_OK) != 0)) {
    return Error{fmt::format("{}: its folder is not there or cannot be written to", output)};
  }
  return {};
}

int run(const RunOptions& options) {
  if (!options.has_config() && !options.predecessor.any()) {
    return complain("run: CONFIG is missing: expected a YAML file, as in configs/quickstart.yaml", exit_usage);
  }
  const Overrides overrides(options.arguments.begin() + (options.has_config() ? 1 : 0), options.arguments.end());
  if (options.sweep) {
    return run_sweep(options, overrides);
  }
  const auto config = load(options, overrides);
  if (!config) {
    return report_error(config.error(), exit_usage);
  }
  if (const auto checked = check_output(config->output.results); !checked) {
    return complain(checked.error(), exit_usage);
  }
  return options.dry_run ? dry_run(*config, options.run_dir) : run_one(options, *config);
}

void add_predecessor_flags(CLI::App& command, PredecessorFlags& flags) {
  const char* group = "Options of the predecessor (its experiment stands in for CONFIG)";
  const auto add = [&](const std::string& names, auto& value, const std::string& meaning) {
    command.add_option(names, value, meaning)->group(group);
  };
  add("--num-servers,--num_servers", flags.num_servers, "-ns: cluster.servers");
  add("--num-workers,--num_workers", flags.num_workers, "-nw: cluster.workers, per server");
  add("-i,--num-iterations,--num_iterations", flags.num_iterations, "train.iterations");
  add("-c,--checkpoint", flags.checkpoint, "checkpoint.interval and train.refresh_interval");
  add("-f,--do-failure-test,--do_failure_test", flags.do_failure_test, "1: a server is killed; checkpoint.wait=true");
  add("--server-to-fail,--server_to_fail", flags.server_to_fail, "-fs: which (server4)");
  add("--iteration-to-fail,--iteration_to_fail", flags.iteration_to_fail, "-f_iter: when (60)");
  add("--eval-interval,--eval_interval", flags.eval_interval, "-ev_int: evaluate.interval");
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      add_command(app, "run", "Train: start a cluster on this host, watch it, and write results",
                  "  psctl run configs/quickstart.yaml cluster.servers=5 'faults=[]'\n"
                  "  psctl run configs/mnist_even_odd.yaml -m train.optimizer.learning_rate=0.05,0.1\n"
                  "  psctl run -ns 5 -nw 1 -c 5 -i 100 -ev_int 1 -f 1 -fs server4 -f_iter 60 -o out.json");
  command->add_option("CONFIG", options->arguments, "YAML file of the experiment, then section.key=value …");
  command->add_option("-o,--output,--output-path,--output_path", options->output, "copy the results to this JSON file");
  command->add_option("--run-dir", options->run_dir, "folder for all that the run writes (runs/<name>-<n>)");
  command->add_flag("--overwrite", options->overwrite, "begin anew in a folder with checkpoints, which are lost");
  command->add_flag("-q,--quiet", options->quiet, "print nothing but errors");
  command->add_flag("-m,--multirun", options->sweep, "run every combination of key=value,value… one after another");
  command->add_flag("--dry-run", options->dry_run, "print roles, endpoints, placement, memory and commands, and end");
  add_predecessor_flags(*command, options->predecessor);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace ringps
