#include "tests/bench/ps_bench/cluster.hpp"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "libps/client/client.hpp"
#include "libps/config/job.hpp"
#include "libps/config/load.hpp"
#include "libps/config/write.hpp"
#include "libps/net/clock.hpp"
#include "libps/storage/file.hpp"
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

/// What a process has used, while it can still be asked.
struct Usage {
  double cpu_seconds = 0;
  std::uint64_t bytes_max = 0;
};

Usage usage_of(std::int64_t pid) {
  Usage usage;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  if (const auto behind_name = text.rfind(')'); behind_name != std::string::npos) {
    std::istringstream fields(text.substr(behind_name + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) {
      fields >> skipped;
    }
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
  return usage;
}

/// Looks at the processes of a run from time to time, until it is told to stop.
class UsageSampler {
 public:
  explicit UsageSampler(fs::path processes) : processes_(std::move(processes)), thread_([this] { run(); }) {}
  ~UsageSampler() { stop(); }

  std::map<std::string, Usage> stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
      thread_.join();
    }
    return usage_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(50), [this] { return stopped_; })) {
      std::ifstream in(processes_);
      const json document = json::parse(in, nullptr, false);
      if (!document.is_array()) {
        continue;
      }
      for (const json& process : document) {
        if (!process.contains("pid") || !process["pid"].is_number()) {
          continue;
        }
        const Usage now = usage_of(process["pid"]);
        Usage& kept = usage_[process.value("id", "")];
        kept.cpu_seconds = std::max(kept.cpu_seconds, now.cpu_seconds);
        kept.bytes_max = std::max(kept.bytes_max, now.bytes_max);
      }
    }
  }

  const fs::path processes_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::map<std::string, Usage> usage_;
  std::thread thread_;
};

fs::path times_file(const fs::path& run_dir, const std::string& worker) {
  return run_dir / ("times-" + worker + ".json");
}

}  // namespace

Result<ClusterResult> run_cluster(const ClusterCase& wanted, const fs::path& scratch) {
  std::vector<std::string> overrides = model_of(wanted.floats);
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
  const auto config = load_config_text("{}", "the benchmark", overrides);
  if (!config) {
    return Error{config.error()};
  }
  auto programs = find_programs();
  if (!programs) {
    return Error{programs.error()};
  }
  programs->worker = fs::read_symlink("/proc/self/exe");
  auto run_dir = RunDir::create(scratch / "run", config->name);
  if (!run_dir) {
    return Error{run_dir.error()};
  }
  if (auto written = write_text(run_dir->config(), to_yaml(*config)); !written) {
    return Error{written.error()};
  }
  const fs::path sockets = scratch / "sockets";
  fs::create_directories(sockets);
  const CommandLines commands(*config, *programs, run_dir->config(), run_dir->path(), sockets, "");
  SignalDescriptor signals;
  ProgressReporter reporter(ProgressReporter::Style::quiet, stdout, "bench");
  UsageSampler sampler(run_dir->processes());
  const Outcome outcome = Launcher(*config, *run_dir, commands, reporter, signals).run();
  const auto usage = sampler.stop();
  if (outcome.code != exit_done) {
    return Error{outcome.text};
  }
  ClusterResult result;
  result.floats = flat_offsets(make_model(model_spec(*config))->tensors()).back();
  for (std::uint32_t w = 0; w < wanted.workers; ++w) {
    std::ifstream in(times_file(run_dir->path(), fmt::format("worker{}", w)));
    const json times = json::parse(in, nullptr, false);
    if (!times.is_array()) {
      return Error{fmt::format("worker{} has left no times", w)};
    }
    result.seconds.push_back(times.get<std::vector<double>>());
  }
  for (const auto& [id, used] : usage) {
    if (id.starts_with("server")) {
      result.server_cpu_seconds += used.cpu_seconds;
      result.server_bytes_max = std::max(result.server_bytes_max, used.bytes_max);
    } else if (id.starts_with("worker")) {
      result.worker_cpu_seconds += used.cpu_seconds;
    }
  }
  fs::remove_all(run_dir->path());
  return result;
}

Result<double> run_training(std::uint32_t servers, std::uint32_t workers, std::uint64_t iterations,
                            const std::vector<std::string>& overrides, const fs::path& scratch) {
  std::vector<std::string> all{fmt::format("cluster.servers={}", servers),
                               fmt::format("cluster.workers={}", workers),
                               fmt::format("train.iterations={}", iterations),
                               "model.kind=logistic_regression",
                               "evaluate.interval=0",
                               "checkpoint.interval=0",
                               "output.curve=false",
                               "name=bench"};
  if (const char* data = std::getenv("RINGPS_DATA"); data != nullptr && fs::exists(fs::path(data) / "mnist")) {
    all.emplace_back("data.kind=mnist");
  }
  all.insert(all.end(), overrides.begin(), overrides.end());
  const auto config = load_config_text("{}", "the benchmark", all);
  if (!config) {
    return Error{config.error()};
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
  std::vector<double> seconds;
  Time last{};
  Client::Hooks hooks;
  hooks.on_weights = [&](const Weights& weights) {
    const Time at = now();
    if (weights.version.value > 2) {  // the first ones warm up
      seconds.push_back(ringps::seconds(at - last));
    }
    last = at;
  };
  Client client(job->spec, {options.coordinator, {options.id}, job->digest}, std::move(hooks));
  const auto gradient = std::make_shared<const Floats>(flat_offsets(job->spec.tensors).back(), 1e-6F);
  while (const auto task = client.next()) {
    client.contribute(*task, gradient);
  }
  std::ofstream(times_file(options.run_dir, options.id)) << json(seconds);
  return exit_code(*client.ended());
}

}  // namespace ringps::bench
