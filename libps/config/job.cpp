#include "libps/config/job.hpp"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <string>
#include <utility>

#include "libps/base/check.hpp"

namespace ringps {

JobSpec make_job(const Config& config, std::vector<TensorSpec> tensors) {
  using std::chrono::milliseconds;
  check(config.train.slices > 0, "make_job needs a configuration that has been loaded, which sets train.slices");
  const auto& cluster = config.cluster;
  const auto& optimizer = config.train.optimizer;
  const auto& timeouts = cluster.timeouts;
  return JobSpec{
      .cluster = config.name,
      .seed = config.seed,
      .tensors = std::move(tensors),
      .block_elements = cluster.block_elements,
      .virtual_nodes = cluster.virtual_nodes,
      .replicas = cluster.replicas,
      .servers = cluster.servers,
      .workers = cluster.total_workers(),
      .min_workers = cluster.min_workers,
      .slices = config.train.slices,
      .worker_scope = cluster.worker_scope,
      .stop_on_data_loss = cluster.on_data_loss == ClusterConfig::OnDataLoss::stop,
      .speculate = config.train.speculate,
      .refresh_interval = config.train.refresh_interval,
      .iterations = Iteration{config.train.iterations},
      .optimizer = {.kind = optimizer.kind,
                    .learning_rate = static_cast<float>(optimizer.learning_rate),
                    .momentum = static_cast<float>(optimizer.momentum),
                    .weight_decay = static_cast<float>(optimizer.weight_decay),
                    .beta1 = static_cast<float>(optimizer.beta1),
                    .beta2 = static_cast<float>(optimizer.beta2),
                    .epsilon = static_cast<float>(optimizer.epsilon),
                    .l1 = static_cast<float>(optimizer.l1),
                    .l2 = static_cast<float>(optimizer.l2),
                    .beta = static_cast<float>(optimizer.beta),
                    .schedule = optimizer.schedule,
                    .warmup = optimizer.warmup,
                    .decay_every = optimizer.decay_every,
                    .decay_factor = optimizer.decay_factor,
                    .final_factor = optimizer.final_factor,
                    .iterations = config.train.iterations},
      .checkpoint = {.interval = config.checkpoint.interval,
                     .min_gap = milliseconds(config.checkpoint.min_gap_ms),
                     .wait = config.checkpoint.wait,
                     .keep = config.checkpoint.keep},
      .evaluate_interval = config.evaluate.interval,
      .message_bytes = cluster.message_bytes,
      .timeouts = {.heartbeat_interval = milliseconds(timeouts.heartbeat_interval_ms),
                   .failure_timeout = milliseconds(timeouts.failure_timeout_ms),
                   .probe_timeout = milliseconds(timeouts.probe_timeout_ms),
                   .request_timeout = milliseconds(timeouts.request_timeout_ms),
                   .form_timeout = milliseconds(timeouts.form_timeout_ms)},
  };
}

namespace {

bool holds_mnist(const std::filesystem::path& folder) {
  const std::string images = (folder / "train-images-idx3-ubyte").string();
  std::error_code ignored;
  return std::filesystem::exists(images, ignored) || std::filesystem::exists(images + ".gz", ignored);
}

}  // namespace

Result<std::filesystem::path> find_mnist(const DataConfig& data, const Environment& environment) {
  std::vector<std::filesystem::path> candidates;
  const auto add_below = [&](const char* variable, const char* below) {
    if (const char* value = environment(variable); value != nullptr && *value != '\0') {
      candidates.push_back(std::filesystem::path(value) / below);
    }
  };
  if (!data.path.empty()) {
    candidates.emplace_back(data.path);
  } else {
    add_below("RINGPS_DATA", "mnist");
    add_below("HOME", ".cache/ringps/mnist");
  }
  std::string searched;
  for (const auto& candidate : candidates) {
    if (holds_mnist(candidate)) {
      return candidate;
    }
    searched += fmt::format("{}{}", searched.empty() ? "" : " or ", candidate.string());
  }
  if (searched.empty()) {
    searched = "$RINGPS_DATA/mnist or ~/.cache/ringps/mnist (RINGPS_DATA and HOME are not set)";
  }
  return Error{
      fmt::format("MNIST is not in {} (expected train-images-idx3-ubyte there, or the same with .gz): run `psctl "
                  "data fetch mnist`, or set data.path to the folder that holds it",
                  searched)};
}

}  // namespace ringps
