#include "tests/bench/ps_bench/cluster.hpp"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "libps/base/random.hpp"
#include "libps/client/client.hpp"
#include "libps/config/job.hpp"
#include "libps/config/load.hpp"
#include "libps/config/write.hpp"
#include "libps/net/clock.hpp"
#include "libps/storage/file.hpp"
#include "libps/storage/manifest.hpp"
#include "libps/worker/reporter.hpp"
#include "services/psctl/experiment.hpp"
#include "services/psctl/launcher.hpp"
#include "services/psctl/run_dir.hpp"

namespace ringps::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t pixels = 784;
constexpr std::size_t digits = 10;

/// A model of about so many floats, in terms of the configuration.
std::vector<std::string> model_of(std::size_t floats) {
  if (floats <= pixels + 1) {
    return {"model.kind=logistic_regression"};
  }
  const std::size_t one_layer = floats / (pixels + 1 + digits);
  if (one_layer <= 65536) {
    return {"model.kind=mlp", fmt::format("model.hidden=[{}]", std::max<std::size_t>(one_layer, 1))};
  }
  std::size_t width = 1;  // two layers of the same width: width^2 + (pixels + digits) width
  while ((width + 1) * (width + 1 + pixels + digits) <= floats) {
    ++width;
  }
  return {"model.kind=mlp", fmt::format("model.hidden=[{},{}]", width, width)};
}

/// Pages of other processes that one has mapped to read what they lend. They are there anyway, once.
std::uint64_t borrowed_bytes(std::int64_t pid) {
  std::ifstream maps(fmt::format("/proc/{}/smaps", pid));
  std::uint64_t bytes = 0;
  bool borrowed = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:ringps-values") != std::string::npos) {
      borrowed = line.find(" r--s ") != std::string::npos;
    } else if (borrowed && line.starts_with("Rss:")) {
      bytes += std::stoull(line.substr(4)) * 1024;
      borrowed = false;
    }
  }
  return bytes;
}

Usage usage_of(std::int64_t pid) {
  Usage usage;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  if (const auto behind_name = text.rfind(')'); behind_name != std::string::npos) {
    std::istringstream fields(text.substr(behind_name + 2));
    std::string skipped;
    const auto skip = [&](int count) {
      for (int i = 0; i < count; ++i) {
        fields >> skipped;
      }
    };
    skip(7);
    fields >> usage.page_faults;
    skip(3);
    double user = 0;
    double system = 0;
    fields >> user >> system;
    usage.cpu_seconds = (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      usage.bytes_max = std::stoull(line.substr(6)) * 1024;
    }
  }
  usage.bytes_max -= std::min(usage.bytes_max, borrowed_bytes(pid));
  return usage;
}

/// Of all processes of a run, by id.
std::map<std::string, Usage> usage_of(const fs::path& run_dir) {
  std::ifstream in(run_dir / "processes.json");
  std::map<std::string, Usage> usage;
  for (const json& process : json::parse(in, nullptr, false)) {
    usage[process.value("id", "")] = usage_of(process.value("pid", std::int64_t{0}));
  }
  return usage;
}

fs::path times_file(const fs::path& run_dir, const std::string& worker) {
  return run_dir / ("times-" + worker + ".json");
}

std::map<std::uint64_t, double> committed_in(const fs::path& checkpoints) {
  constexpr std::string_view prefix = "iteration-";
  std::map<std::uint64_t, double> committed;
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    const std::string name = entry.path().filename().string();
    std::uint64_t iteration = 0;
    struct stat manifest {};
    if (name.starts_with(prefix) &&
        std::from_chars(name.data() + prefix.size(), name.data() + name.size(), iteration).ec == std::errc{} &&
        stat((entry.path() / manifest_name).c_str(), &manifest) == 0) {
      committed[iteration] =
          static_cast<double>(manifest.st_mtim.tv_sec) + static_cast<double>(manifest.st_mtim.tv_nsec) * 1e-9;
    }
  }
  return committed;
}

}  // namespace

std::vector<std::vector<double>> ClusterResult::seconds() const {
  std::vector<std::vector<double>> all;
  for (const WorkerTimes& times : workers) {
    all.push_back(times.seconds);
  }
  return all;
}

Usage ClusterResult::usage_of(const std::string& role) const {
  Usage all;
  for (const auto& [id, used] : usage) {
    if (id.starts_with(role)) {
      all.cpu_seconds += used.cpu_seconds;
      all.page_faults += used.page_faults;
      all.bytes_max = std::max(all.bytes_max, used.bytes_max);
    }
  }
  return all;
}

std::vector<std::uint64_t> random_ids(std::uint64_t iteration, std::uint64_t rows, std::uint64_t ids) {
  const KeyedRandom random(1, "ids", iteration);
  std::vector<std::uint64_t> chosen(ids);
  for (std::uint64_t i = 0; i < ids; ++i) {
    chosen[i] = row_id(random.below(i, rows));
  }
  return chosen;
}

Result<Config> config_of(const ClusterCase& wanted) {
  std::vector<std::string> overrides =
      wanted.rows == 0
          ? model_of(wanted.floats)
          : std::vector<std::string>{"model.kind=custom", fmt::format("seed={}", wanted.rows),
                                     fmt::format("data.train_samples={}", wanted.ids),
                                     fmt::format("model.tables=[{{name: rows, width: {}}}]", wanted.width)};
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"name", "bench"},
                                                        {"cluster.servers", std::to_string(wanted.servers)},
                                                        {"cluster.workers", std::to_string(wanted.workers)},
                                                        {"cluster.replicas", std::to_string(wanted.replicas)},
                                                        {"cluster.transport", wanted.transport},
                                                        {"train.iterations", std::to_string(wanted.iterations)},
                                                        {"train.optimizer.learning_rate", "0.001"},
                                                        {"evaluate.interval", "0"},
                                                        {"checkpoint.interval", "0"},
                                                        {"output.curve", "false"}}) {
    overrides.push_back(key + "=" + value);
  }
  overrides.insert(overrides.end(), wanted.overrides.begin(), wanted.overrides.end());
  return load_config_text("{}", "the benchmark", overrides);
}

Result<ClusterResult> run_cluster(const ClusterCase& wanted, const fs::path& scratch) {
  const auto config = config_of(wanted);
  if (!config) {
    return config.failure();
  }
  auto programs = find_programs();
  if (!programs) {
    return programs.failure();
  }
  programs->worker = fs::read_symlink("/proc/self/exe");
  auto run_dir = RunDir::create(scratch / "run", config->name);
  if (!run_dir) {
    return run_dir.failure();
  }
  if (auto written = write_text(run_dir->config(), to_yaml(*config)); !written) {
    return written.failure();
  }
  const fs::path sockets = scratch / "sockets";
  fs::create_directories(sockets);
  const CommandLines commands(*config, *programs, run_dir->config(), run_dir->path(), sockets, "");
  SignalDescriptor signals;
  ProgressReporter reporter(ProgressReporter::Style::quiet, stdout, "bench");
  const Outcome outcome = Launcher(*config, *run_dir, commands, reporter, signals).run();
  if (outcome.code != exit_done) {
    return Error{outcome.text};
  }
  ClusterResult result;
  result.config = *config;
  result.floats = flat_offsets(*model_tensors(*config)).back();
  for (std::uint32_t w = 0; w < wanted.workers; ++w) {
    std::ifstream in(times_file(run_dir->path(), fmt::format("worker{}", w)));
    const json times = json::parse(in, nullptr, false);
    if (!times.is_object()) {
      return Error{fmt::format("worker{} has left no times", w)};
    }
    result.workers.push_back({times["began"], times["seconds"]});
    for (const auto& [id, used] : times["usage"].items()) {
      result.usage[id] = {used["cpu_seconds"], used["page_faults"], used["bytes_max"]};
    }
  }
  result.committed_unix = committed_in(run_dir->checkpoints());
  fs::remove_all(run_dir->path());
  return result;
}

bool has_mnist() {
  const char* data = std::getenv("RINGPS_DATA");
  return data != nullptr && fs::exists(fs::path(data) / "mnist");
}

Result<double> run_training(std::uint32_t servers, std::uint32_t workers, std::uint64_t iterations,
                            const std::vector<std::string>& overrides, const fs::path& scratch) {
  std::vector<std::string> all{fmt::format("cluster.servers={}", servers),
                               fmt::format("cluster.workers={}", workers),
                               fmt::format("train.iterations={}", iterations),
                               fmt::format("data.kind={}", has_mnist() ? "mnist" : "synthetic"),
                               "model.kind=logistic_regression",
                               "evaluate.interval=0",
                               "checkpoint.interval=0",
                               "output.curve=false",
                               "name=bench"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  const auto config = load_config_text("{}", "the benchmark", all);
  if (!config) {
    return config.failure();
  }
  SignalDescriptor signals;
  const Experiment experiment =
      run_experiment(*config, {scratch / "training", ProgressReporter::Style::quiet}, signals);
  fs::remove_all(scratch / "training");
  if (experiment.code != exit_done) {
    return Error{experiment.error};
  }
  return figures_of(experiment.record).iterations_per_second;
}

int bench_worker(const RoleOptions& options) {
  const auto job = prepare(options);
  if (!job) {
    return report_error(job.error(), exit_usage);
  }
  const bool observes = options.id == "worker0";
  std::map<std::string, Usage> usage_before;
  std::map<std::string, Usage> usage;
  std::vector<double> seconds;
  double began_unix = 0;
  Time last{};
  std::optional<Client> client;
  // As a real worker: checkpoints are named at the pace that is reported, and a run ends when all of it has been.
  Reporter reporter(options.id, [&](Progress progress) { client->report(std::move(progress)); });
  Client::Hooks hooks;
  hooks.on_view = [&](const View& view) { reporter.on_view(view); };
  hooks.on_heard = [&](const HeartbeatAnswer& answer) { reporter.on_heard(answer); };
  hooks.on_turn = [&](Time at) { reporter.on_turn(at); };
  hooks.on_weights = [&](const Weights& weights) {
    if (weights.version.value > 0 && weights.version.value <= timed_after) {
      reporter.on_timing(now(), {weights.version, 0, 0});
    }
    if (weights.version.value == timed_after) {
      if (observes) {
        usage_before = usage_of(options.run_dir);
      }
      began_unix = static_cast<double>(unix_microseconds()) * 1e-6;
      last = now();
    } else if (weights.version.value > timed_after) {
      const Time at = now();
      seconds.push_back(ringps::seconds(at - last));
      last = at;
      reporter.on_timing(at, {weights.version, seconds.back(), seconds.back()});
      if (observes && weights.version == job->spec.iterations) {
        usage = usage_of(options.run_dir);
      }
    }
  };
  // Of a table the configuration says how many rows and ids there are, in keys that nothing else uses here.
  const std::uint64_t rows = job->config.seed;
  const std::uint64_t ids = job->config.data.train_samples;
  hooks.choose_rows = [=](Iteration iteration, SliceId) -> std::vector<std::vector<std::uint64_t>> {
    if (iteration.value > timed_after) {
      return {random_ids(iteration.value, rows, ids)};
    }
    std::vector<std::uint64_t> all;
    for (std::uint64_t n = iteration.value - 1; n < rows; n += timed_after) {
      all.push_back(row_id(n));
    }
    return {all};
  };
  client.emplace(job->spec, Client::Options{options.coordinator, {options.id}, job->digest}, std::move(hooks));
  const auto gradient = std::make_shared<const Floats>(flat_offsets(job->spec.tensors).back(), 1e-6F);
  std::shared_ptr<const Floats> row_gradient;
  while (const auto task = client->next()) {
    if (task->rows && (!row_gradient || row_gradient->size() != task->rows->offsets().back())) {
      row_gradient = std::make_shared<const Floats>(task->rows->offsets().back(), 1e-6F);
    }
    client->contribute(*task, gradient, row_gradient);
  }
  reporter.on_end(now());
  json times{{"began", began_unix}, {"seconds", seconds}, {"usage", json::object()}};
  for (const auto& [id, used] : usage) {
    const Usage& before = usage_before[id];
    times["usage"][id] = {{"cpu_seconds", used.cpu_seconds - before.cpu_seconds},
                          {"page_faults", used.page_faults - before.page_faults},
                          {"bytes_max", used.bytes_max}};
  }
  std::ofstream(times_file(options.run_dir, options.id)) << times;
  return exit_code(*client->ended());
}

}  // namespace ringps::bench
