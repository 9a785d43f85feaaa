#include "services/psctl/experiment.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "libps/config/job.hpp"
#include "libps/config/write.hpp"
#include "libps/storage/checkpoint_reader.hpp"
#include "libps/storage/checkpoint_store.hpp"
#include "libps/storage/file.hpp"
#include "libps/storage/manifest.hpp"
#include "services/psctl/compare.hpp"
#include "services/psctl/curve.hpp"
#include "services/psctl/launcher.hpp"
#include "services/psctl/plan.hpp"
#include "services/psctl/resume.hpp"
#include "services/psctl/run_dir.hpp"
#include "services/psctl/sidecar_evaluator.hpp"

namespace ringps {
namespace {

/// A folder of this user's own for sockets, with a path that is short enough for them; removed at the end.
class SocketDir {
 public:
  static Result<SocketDir> create() {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    constexpr std::size_t path_bytes_max = 60;  // of 107, which leaves room for the sockets' names
    const bool usable = runtime != nullptr && *runtime == '/' && std::strlen(runtime) < path_bytes_max;
    std::string pattern = std::string(usable ? runtime : "/tmp") + "/ringps-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {  // mode 0700
      return io_error(pattern, "make the folder of the sockets", errno);
    }
    return SocketDir(pattern);
  }
  SocketDir(SocketDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  SocketDir& operator=(SocketDir&&) = delete;
  ~SocketDir() {
    if (!path_.empty()) {
      std::error_code ignored;
      fs::remove_all(path_, ignored);
    }
  }
  const fs::path& path() const { return path_; }

 private:
  explicit SocketDir(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

/// Where the checkpoint of the last version lies, if the run came to it.
std::optional<fs::path> final_checkpoint(const Config& config, const RunDir& run_dir) {
  const auto checkpoints = list_checkpoints(run_dir.checkpoints());
  if (!checkpoints || checkpoints->empty() || checkpoints->front().iteration.value != config.train.iterations) {
    return std::nullopt;
  }
  return checkpoints->front().folder;
}

/// Launches the cluster and gathers what the run has left.
Experiment launch(const Config& config, const RunDir& run_dir, const CommandLines& command_lines,
                  ProgressReporter::Style style, const std::string& title, SignalDescriptor& signals) {
  ProgressReporter reporter(style, stdout, title);
  Launcher launcher(config, run_dir, command_lines, reporter, signals);
  std::optional<SidecarEvaluator> sidecar;
  if (TableScorer::knows(config)) {
    sidecar.emplace(config, run_dir.checkpoints());
    launcher.watch([&](const Status& status) {
      for (const std::string& text : sidecar->on_status(status)) {
        reporter.on_event(text);
      }
    });
  }
  if (!config.checkpoint.resume.empty()) {
    const auto manifest = read_manifest_as_is(config.checkpoint.resume);
    if (manifest && manifest->seed != config.seed) {
      reporter.on_event(
          fmt::format("the checkpoint is of a run with seed {}, and this one has seed {}: other samples, or "
                      "the same in another order",
                      manifest->seed, config.seed));
    }
  }
  Outcome outcome = launcher.run();

  Experiment experiment;
  experiment.code = outcome.code;
  experiment.error = outcome.text;
  experiment.run_dir = run_dir.path();
  RunRecord& record = experiment.record;
  record.config = config;
  record.end = outcome.code == exit_done ? "completed" : outcome.text;
  record.wall_seconds = outcome.wall_seconds;
  if (auto metrics = read_metrics(run_dir.metrics())) {
    record.metrics = std::move(*metrics);
  }
  if (sidecar) {
    record.metrics.evaluations = sidecar->finish();
  }
  const Duration lag_max = std::chrono::milliseconds(2 * config.cluster.timeouts.heartbeat_interval_ms + 20);
  const Timeline timeline(record.metrics, outcome.progress, lag_max);
  const auto checkpoint = final_checkpoint(config, run_dir);
  // A worker that dies at the very end takes timings along, but the last version is proof enough of all before it.
  const std::uint64_t completed = checkpoint ? config.train.iterations : figures_of(record).iterations_completed;
  record.faults = fault_records({config, outcome.lives, outcome.injections, outcome.failures, timeline, completed});
  record.lives = std::move(outcome.lives);
  if (checkpoint) {
    if (const auto sha256 = weights_sha256(*checkpoint)) {
      record.final_weights_sha256 = *sha256;
    } else {
      experiment.code = exit_data_lost;
      experiment.error = "the final checkpoint cannot be read: " + sha256.error();
    }
    if (is_evaluated_at_end(config)) {
      reporter.on_event("evaluates the final weights");
    }
    if (const auto found = evaluate_final(config, *checkpoint)) {
      record.final = *found;
    } else if (experiment.code == exit_done) {
      experiment.code = exit_run_failed;
      experiment.error = "the final weights cannot be evaluated: " + found.error();
    }
  } else if (outcome.code == exit_done) {
    experiment.code = exit_data_lost;
    experiment.error = fmt::format("there is no checkpoint of the last version in {}", run_dir.checkpoints().string());
  }
  return experiment;
}

Experiment error_of(ExitCode code, std::string text) {
  Experiment experiment;
  experiment.code = code;
  experiment.error = std::move(text);
  return experiment;
}

/// Makes the folder's contents, then launches.
Experiment prepare_and_launch(const Config& config, const RunDir& run_dir, ProgressReporter::Style style,
                              const std::string& title, SignalDescriptor& signals) {
  const auto programs = find_programs(config.cluster.worker_program);
  if (!programs) {
    return error_of(exit_usage, programs.error());
  }
  if (const auto written = write_text(run_dir.config(), to_yaml(config)); !written) {
    return error_of(exit_run_failed, written.error());
  }
  std::optional<SocketDir> sockets;
  if (config.cluster.transport == ClusterConfig::Transport::ipc) {
    auto made = SocketDir::create();
    if (!made) {
      return error_of(exit_run_failed, made.error());
    }
    sockets.emplace(std::move(*made));
  }
  const CommandLines command_lines(config, *programs, run_dir.config(), run_dir.path(),
                                   sockets ? sockets->path() : fs::path(), config.checkpoint.resume);
  return launch(config, run_dir, command_lines, style, title, signals);
}

/// The same run without faults, and perhaps without something else.
class Twin {
 public:
  Twin(const Config& config, std::string without) : config_(config), without_(std::move(without)) {
    config_.faults.clear();
    config_.random_faults = {};
    config_.verify = {};
  }

  Config& config() { return config_; }
  const RunDir& run_dir() const { return *run_dir_; }

  /// The record; nothing, and an error in `experiment`, if it has not come to its end.
  std::optional<RunRecord> run(const fs::path& folder, ProgressReporter::Style style, SignalDescriptor& signals,
                               Experiment& experiment) {
    auto made = RunDir::create(folder, config_.name);
    if (!made) {
      experiment.code = exit_run_failed;
      experiment.error = made.error();
      return std::nullopt;
    }
    run_dir_ = std::move(*made);
    Experiment twin = prepare_and_launch(config_, *run_dir_, style, config_.name + " without " + without_, signals);
    if (twin.code != exit_done) {
      experiment.code = twin.code;
      experiment.error = "the run without " + without_ + " did not come to its end: " + twin.error;
      return std::nullopt;
    }
    return std::move(twin.record);
  }

 private:
  Config config_;
  std::string without_;
  std::optional<RunDir> run_dir_;
};

/// Runs the same without faults and compares.
void verify(const Config& config, const RunDir& run_dir, ProgressReporter::Style style, SignalDescriptor& signals,
            Experiment& experiment) {
  Twin twin(config, "faults");
  const auto record = twin.run(run_dir.fault_free(), style, signals, experiment);
  if (!record) {
    return;
  }
  experiment.record.equals_fault_free = experiment.record.final_weights_sha256 == record->final_weights_sha256;
  if (!*experiment.record.equals_fault_free) {
    const auto difference =
        first_difference(*final_checkpoint(config, run_dir), *final_checkpoint(config, twin.run_dir()));
    experiment.code = exit_data_lost;
    experiment.error = !difference   ? difference.error()
                       : *difference ? "the weights differ from the run without faults: " + to_string(**difference)
                                     : "the hashes differ, but no element does";
  }
}

/// Runs the same without compression, for what that costs.
void measure_cost(const Config& config, const RunDir& run_dir, ProgressReporter::Style style, SignalDescriptor& signals,
                  Experiment& experiment) {
  Twin twin(config, "compression");
  twin.config().train.compression = {};
  if (const auto record = twin.run(run_dir.uncompressed(), style, signals, experiment)) {
    experiment.record.uncompressed = quality_of(*record);
  }
}

}  // namespace

namespace {

const char* environment(const char* name) {
  return std::getenv(name);
}

/// Where the files lie, and how many features they have. Reads them, so that what is wrong with them is said before
/// anything is started.
Result<void> locate_libsvm(Config& config) {
  DataConfig& data = config.data;
  const auto files = find_libsvm(data, environment);
  if (!files) {
    return files.failure();
  }
  data.path = fs::absolute(files->train).string();
  data.test_path = fs::absolute(files->test).string();
  const auto dataset = load_libsvm(config);
  if (!dataset) {
    return dataset.failure();
  }
  if (data.features == 0) {
    data.features = static_cast<std::uint32_t>(std::max<std::size_t>(dataset->features(), 1));
  }
  return {};
}

Result<void> locate_worker_program(Config& config) {
  std::string& program = config.cluster.worker_program;
  if (program.empty()) {
    return config.model.kind == ModelKind::custom
               ? Error{"model.kind is custom: set cluster.worker_program to the program that knows the model"}
               : Result<void>();
  }
  program = fs::absolute(program).lexically_normal().string();
  std::error_code ignored;
  if (!fs::is_regular_file(program, ignored) || access(program.c_str(), X_OK) != 0) {
    return Error{fmt::format("cluster.worker_program: {} is not there or cannot be executed", program)};
  }
  return {};
}

}  // namespace

Result<Config> locate_inputs(Config config, const fs::path& wanted) {
  if (config.data.kind == DataConfig::Kind::mnist) {
    const auto found = find_mnist(config.data, environment);
    if (!found) {
      return found.failure();
    }
    config.data.path = fs::absolute(*found).string();
  }
  if (config.data.kind == DataConfig::Kind::libsvm) {
    if (auto located = locate_libsvm(config); !located) {
      return located.failure();
    }
  }
  if (auto located = locate_worker_program(config); !located) {
    return located.failure();
  }
  if (!config.checkpoint.resume.empty()) {
    const auto found = find_resume(config.checkpoint.resume, config.name, wanted);
    if (!found) {
      return found.failure();
    }
    config.checkpoint.resume = found->string();
  }
  return config;
}

Experiment run_experiment(Config config, const ExperimentOptions& options, SignalDescriptor& signals) {
  const fs::path wanted = options.run_dir.empty() ? fs::path(config.output.run_dir) : options.run_dir;
  auto located = locate_inputs(std::move(config), wanted);
  if (!located) {
    return error_of(exit_usage, located.error());
  }
  config = std::move(*located);
  const auto run_dir = RunDir::create(wanted, config.name, config.checkpoint.resume, options.earlier);
  if (!run_dir) {
    return error_of(exit_usage, run_dir.error());
  }
  config.checkpoint.resume = run_dir->resumed().string();
  Experiment experiment = prepare_and_launch(config, *run_dir, options.style, config.name, signals);
  if (experiment.run_dir.empty()) {
    return experiment;
  }
  if (experiment.code == exit_done && config.verify.fault_free) {
    verify(config, *run_dir, options.style, signals, experiment);
  }
  if (experiment.code == exit_done && config.verify.uncompressed && config.train.compression.is_lossy()) {
    measure_cost(config, *run_dir, options.style, signals, experiment);
  }
  const std::string results = results_json(experiment.record).dump(2) + "\n";
  for (const fs::path& file : {run_dir->results(), fs::path(config.output.results)}) {
    if (file.empty()) {
      continue;
    }
    if (const auto written = write_text(file, results); !written) {
      experiment.code = experiment.code == exit_done ? exit_run_failed : experiment.code;
      experiment.error += (experiment.error.empty() ? "" : "; and ") + written.error();
    } else if (file == run_dir->results()) {
      experiment.has_results = true;
    }
  }
  if (config.output.curve) {
    if (const auto drawn = draw_curve(experiment.record, run_dir->curve()); !drawn) {
      experiment.picture_note = drawn.error();
    }
  }
  return experiment;
}

}  // namespace ringps
