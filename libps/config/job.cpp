#include "libps/config/job.hpp"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/model/factorization_machine.hpp"
#include "libps/model/matrix_factorization.hpp"
#include "libps/model/sparse_logistic_regression.hpp"

namespace ringps {

ModelSpec model_spec(const Config& config) {
  return {config.model.kind, config.model.hidden, config.model.initial.value_or(Initial::zeros)};
}

Result<std::vector<TensorSpec>> model_tensors(const Config& config) {
  switch (config.model.kind) {
    case ModelKind::sparse_logistic_regression:
      if (config.data.features == 0) {
        return Error{
            "data.features is 0, and all processes have to agree on it: set it to the largest index in the files "
            "(psctl run does that by itself)"};
      }
      return sparse_logistic_regression_tensors(config.data.features);
    case ModelKind::custom: {
      std::vector<TensorSpec> tensors;
      for (const TensorConfig& tensor : config.model.tensors) {
        tensors.push_back(
            {tensor.name, tensor.shape, {static_cast<float>(tensor.low), static_cast<float>(tensor.high)}});
      }
      return tensors;
    }
    case ModelKind::factorization_machine:
      return factorization_machine_tensors();
    case ModelKind::matrix_factorization:
      return std::vector<TensorSpec>{};
    default:
      return make_model(model_spec(config))->tensors();
  }
}

std::vector<TableSpec> model_tables(const Config& config) {
  std::vector<TableSpec> tables;
  if (config.model.kind == ModelKind::factorization_machine) {
    tables = factorization_machine_tables(config.model.factors);
  } else if (config.model.kind == ModelKind::matrix_factorization) {
    tables = matrix_factorization_tables(config.model.factors);
  }
  for (const TableConfig& table : config.model.tables) {
    TableSpec& spec = tables.emplace_back();
    spec.name = table.name;
    spec.width = table.width;
    spec.initialiser = {static_cast<float>(table.low), static_cast<float>(table.high)};
  }
  for (TableSpec& table : tables) {
    table.buckets = config.tables.buckets;
    table.rows_per_server = config.tables.rows_per_server;
    table.expire_after = config.tables.expire_after;
  }
  return tables;
}

ClickSpec click_spec(const Config& config) {
  return {.seed = config.seed,
          .features = config.data.features,
          .fields = config.data.fields_per_sample,
          .factors = config.data.rank,
          .weight = 1.0,
          .train_samples = config.data.train_samples,
          .test_samples = config.data.test_samples};
}

RatingSpec rating_spec(const Config& config) {
  return {.seed = config.seed,
          .users = config.data.users,
          .items = config.data.items,
          .rank = config.data.rank,
          .noise = config.data.noise,
          .train_samples = config.data.train_samples,
          .test_samples = config.data.test_samples};
}

namespace {

Compression compression_of(const CompressionConfig& config) {
  using Gradients = CompressionConfig::Gradients;
  using Weights = CompressionConfig::Weights;
  Compression compression;
  compression.gradients = config.gradients == Gradients::float16    ? Encoding::float16
                          : config.gradients == Gradients::bfloat16 ? Encoding::bfloat16
                          : config.gradients == Gradients::top_k    ? Encoding::top_k
                                                                    : Encoding::float32;
  compression.weights = config.weights == Weights::float16    ? Encoding::float16
                        : config.weights == Weights::bfloat16 ? Encoding::bfloat16
                                                              : Encoding::float32;
  compression.keep = config.keep;
  compression.lz4 = config.lz4;
  return compression;
}

}  // namespace

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
      .tables = model_tables(config),
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
      .consistency = config.train.consistency,
      .staleness = config.train.staleness,
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
      .compression = compression_of(config.train.compression),
      .checkpoint = {.interval = config.checkpoint.interval,
                     .min_gap = milliseconds(config.checkpoint.min_gap_ms),
                     .wait = config.checkpoint.wait,
                     .keep = config.checkpoint.keep},
      .evaluate_interval = model_tables(config).empty() ? config.evaluate.interval : 0,
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

namespace {

/// The file, plain or gzipped.
std::optional<std::filesystem::path> plain_or_gzipped(const std::filesystem::path& file) {
  for (const auto& path : {file, std::filesystem::path(file.string() + ".gz")}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path, ignored)) {
      return path;
    }
  }
  return std::nullopt;
}

/// The training file at `path`, or in it.
std::optional<std::filesystem::path> training_file(std::filesystem::path path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return plain_or_gzipped(path);
  }
  path = std::filesystem::absolute(path).lexically_normal();
  const auto name = path.has_filename() ? path.filename() : path.parent_path().filename();
  return plain_or_gzipped(path / name);
}

Result<std::filesystem::path> find_training_file(const DataConfig& data, const Environment& environment) {
  std::vector<std::filesystem::path> candidates{data.path};
  if (candidates[0].is_relative()) {
    for (const auto& [variable, below] : {std::pair("RINGPS_DATA", ""), std::pair("HOME", ".cache/ringps")}) {
      if (const char* value = environment(variable); value != nullptr && *value != '\0') {
        candidates.push_back(std::filesystem::path(value) / below / data.path);
      }
    }
  }
  std::string searched;
  for (const auto& candidate : candidates) {
    if (const auto found = training_file(candidate)) {
      return *found;
    }
    searched += fmt::format("{}{}", searched.empty() ? "" : " or ", candidate.string());
  }
  return Error{fmt::format(
      "the training file that data.path names is not at {} (expected the file, or a folder with one of its own "
      "name, plain or with .gz): set data.path, or RINGPS_DATA to the folder that it is in",
      searched)};
}

}  // namespace

Result<LibsvmFiles> find_libsvm(const DataConfig& data, const Environment& environment) {
  const auto train = find_training_file(data, environment);
  if (!train) {
    return train.failure();
  }
  std::filesystem::path plain = *train;
  if (plain.extension() == ".gz") {
    plain.replace_extension();
  }
  const std::filesystem::path wanted = data.test_path.empty() ? plain.string() + ".t" : data.test_path;
  auto test = plain_or_gzipped(wanted);
  if (!test && wanted.is_relative()) {
    test = plain_or_gzipped(train->parent_path() / wanted);
  }
  if (!test) {
    return Error{
        fmt::format("{}: the test file that belongs to {} is not there, nor the same with .gz: set data.test_path",
                    wanted.string(), train->string())};
  }
  return LibsvmFiles{*train, *test};
}

Result<SparseDataset> load_libsvm(const Config& config) {
  const DataConfig& data = config.data;
  const auto files = find_libsvm(data, [](const char* name) -> const char* { return std::getenv(name); });
  if (!files) {
    return files.failure();
  }
  LibsvmOptions options;
  if (data.features != 0) {
    options.features_max = data.features;
  }
  auto dataset = load_libsvm(*files, options);
  if (dataset && data.train_samples != 0) {
    keep_first(dataset->train, static_cast<std::size_t>(data.train_samples));
  }
  if (dataset && data.test_samples != 0) {
    keep_first(dataset->test, static_cast<std::size_t>(data.test_samples));
  }
  return dataset;
}

}  // namespace ringps
