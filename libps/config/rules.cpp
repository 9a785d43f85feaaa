#include "libps/config/rules.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string>

#include "libps/config/fault_rules.hpp"
#include "libps/config/text.hpp"
#include "libps/core/clocks.hpp"

namespace ringps::config_detail {

namespace {

constexpr std::size_t hidden_layers_max = 8;
constexpr std::uint32_t hidden_default = 256;
constexpr std::uint64_t synthetic_train_samples = 10'000;
constexpr std::uint64_t synthetic_test_samples = 2'000;
constexpr std::uint64_t drawn_train_samples = 100'000;
constexpr std::uint64_t drawn_test_samples = 10'000;
constexpr std::uint32_t click_features = 1'000'000;

/// Whether a rule about these values makes sense: after a wrong value, only that one is worth reporting.
bool all_sound(const Report& report, std::initializer_list<const char*> paths) {
  return std::all_of(paths.begin(), paths.end(), [&](const char* path) { return report.sound(path); });
}

void check_text(const Config& config, Report& report) {
  constexpr std::size_t name_bytes_max = 64;
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  const auto& name = config.name;
  const bool good_name =
      !name.empty() && name.size() <= name_bytes_max && std::all_of(name.begin(), name.end(), allowed);
  if (report.sound("name") && !good_name) {
    report.problem("name",
                   fmt::format("expected 1 to 64 of the characters a-z 0-9 _ -, found {}", single_quoted(name)));
  }
  if (report.sound("cluster.host") && config.cluster.host.empty()) {
    report.problem("cluster.host", "expected an address to bind, such as 127.0.0.1; found none");
  }
}

void check_model(const ModelConfig& model, Report& report) {
  if (!all_sound(report, {"model.kind", "model.hidden"})) {
    return;
  }
  const std::size_t layers = model.hidden.size();
  const bool is_mlp = model.kind == ModelKind::mlp;
  if (!is_mlp && layers > 0) {
    report.problem("model.hidden",
                   fmt::format("only an mlp has hidden layers: remove them, or change model.kind, which "
                               "is {}, to mlp",
                               schema::name_of(model.kind)));
  }
  if (is_mlp && (layers > hidden_layers_max || (layers == 0 && report.was_given("model.hidden")))) {
    report.problem("model.hidden",
                   fmt::format("expected 1 to {} hidden layers, as in [256]; found {}", hidden_layers_max, layers));
  }
}

/// Keys that would change nothing. Those that are as they are by themselves may stand: psctl writes all of them.
void check_useless(const Config& config, Report& report) {
  if (!all_sound(report, {"model.kind", "data.kind"})) {
    return;
  }
  using Kind = DataConfig::Kind;
  const ModelKind model = config.model.kind;
  const Kind data = config.data.kind;
  const auto expect = [&](bool useful, const char* key, bool is_default, const char* whose) {
    if (!useful && !is_default && report.sound(key)) {
      report.problem(key, fmt::format("only {}: remove it", whose));
    }
  };
  const bool factors = model == ModelKind::factorization_machine || model == ModelKind::matrix_factorization;
  expect(factors, "model.factors", config.model.factors == ModelConfig{}.factors,
         "a factorization_machine and a matrix_factorization have factors");
  const bool tables = factors || !config.model.tables.empty();
  const TablesConfig none;
  const char* with_tables = "models with tables have rows";
  expect(tables, "tables.buckets", config.tables.buckets == none.buckets, with_tables);
  expect(tables, "tables.rows_per_server", config.tables.rows_per_server == none.rows_per_server, with_tables);
  expect(tables, "tables.expire_after", config.tables.expire_after == none.expire_after, with_tables);
  if (model == ModelKind::custom) {
    return;  // its program makes of the data's keys what it likes
  }
  expect(data == Kind::mnist || data == Kind::libsvm, "data.path", config.data.path.empty(),
         "mnist and libsvm data come from files");
  const DataConfig plain;
  expect(data == Kind::clicks, "data.fields", config.data.fields_per_sample == plain.fields_per_sample,
         "clicks have fields");
  const bool ratings = data == Kind::ratings;
  expect(ratings, "data.users", config.data.users == plain.users, "ratings have users");
  expect(ratings, "data.items", config.data.items == plain.items, "ratings have items");
  expect(ratings || data == Kind::clicks, "data.rank", config.data.rank == plain.rank,
         "clicks and ratings are drawn from factors");
  expect(ratings, "data.noise", config.data.noise == plain.noise, "ratings have noise");
}

void check_data(const Config& config, Report& report) {
  const DataConfig& data = config.data;
  if (!all_sound(report, {"model.kind", "data.kind"})) {
    return;
  }
  const ModelKind model = config.model.kind;
  const bool sparse_data = data.kind == DataConfig::Kind::libsvm;
  const bool clicks = data.kind == DataConfig::Kind::clicks;
  const bool ratings = data.kind == DataConfig::Kind::ratings;
  const auto expect = [&](bool fits, const char* data_kinds) {
    if (!fits) {
      report.problem("data.kind", fmt::format("{} learns from other data; expected {}, found {}",
                                              schema::name_of(model), data_kinds, schema::name_of(data.kind)));
    }
  };
  switch (model) {
    case ModelKind::custom:
      break;
    case ModelKind::sparse_logistic_regression:
      expect(sparse_data, "libsvm");
      break;
    case ModelKind::factorization_machine:
      expect(sparse_data || clicks, "libsvm or clicks");
      break;
    case ModelKind::matrix_factorization:
      expect(ratings, "ratings");
      break;
    default:
      expect(!sparse_data && !clicks && !ratings, "synthetic or mnist, which are images");
  }
  if (sparse_data && data.path.empty() && report.sound("data.path")) {
    report.problem("data.path", "expected the training file of libsvm data, or the folder that it lies in; found none");
  }
  if (!sparse_data && !data.test_path.empty()) {
    report.problem("data.test_path", "only libsvm data has a test file of its own: remove it");
  }
  if (!sparse_data && !clicks && report.sound("data.features") && data.features != 0) {
    report.problem("data.features", "only for libsvm data and clicks: remove it");
  }
  if (sparse_data && report.sound("data.features") && data.features > features_max) {
    report.problem("data.features",
                   fmt::format("libsvm files have at most {} features; found {}", features_max, data.features));
  }
  if (clicks && all_sound(report, {"data.features", "data.fields"}) && data.features != 0 &&
      data.features < data.fields_per_sample) {
    report.problem("data.features", fmt::format("expected at least one for each of the {} data.fields; found {}",
                                                data.fields_per_sample, data.features));
  }
}

/// Of a tensor or table of a custom model.
template <class Parameter>
void check_parameter(const Parameter& tensor, const std::string& path, Report& report) {
  constexpr std::size_t name_bytes_max = 64;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  const std::string& name = tensor.name;
  if (name.empty() || name.size() > name_bytes_max || !std::all_of(name.begin(), name.end(), allowed)) {
    report.problem(path + ".name",
                   fmt::format("expected 1 to 64 of the characters A-Z a-z 0-9 _ . -, found {}", single_quoted(name)));
  }
  if (report.sound(path + ".low") && report.sound(path + ".high") && tensor.low > tensor.high) {
    report.problem(path + ".high",
                   fmt::format("expected at least low, which is {}; found {}", tensor.low, tensor.high));
  }
}

void check_shape(const TensorConfig& tensor, const std::string& path, Report& report) {
  constexpr std::uint64_t elements_max = 1U << 30U;
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : tensor.shape) {
    elements = extent == 0 || elements > elements_max / extent ? elements_max + 1 : elements * extent;
  }
  if (report.sound(path + ".shape") && (tensor.shape.empty() || elements > elements_max)) {
    report.problem(path + ".shape",
                   fmt::format("expected a list of extents, as in [10, 3], with at most {} elements in all, found [{}]",
                               elements_max, fmt::join(tensor.shape, ", ")));
  }
}

void check_tensors(const ModelConfig& model, Report& report) {
  if (!all_sound(report, {"model.kind", "model.tensors", "model.tables"})) {
    return;
  }
  const bool custom = model.kind == ModelKind::custom;
  if (custom && model.tensors.empty() && model.tables.empty()) {
    report.problem("model.tensors",
                   "expected the tensors or tables of the custom model, as in [{name: w, shape: [10]}]; found none");
  }
  for (const auto& [path, given] :
       {std::pair("model.tensors", !model.tensors.empty()), std::pair("model.tables", !model.tables.empty())}) {
    if (!custom && given) {
      report.problem(path, fmt::format("only a custom model lists them: remove them, or change model.kind, which is {}",
                                       schema::name_of(model.kind)));
    }
  }
  std::set<std::string> names;
  const auto check_one = [&](const auto& parameter, const std::string& path) {
    check_parameter(parameter, path, report);
    if (!names.insert(parameter.name).second) {
      report.problem(path + ".name", fmt::format("another one is called {} already", single_quoted(parameter.name)));
    }
  };
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const std::string path = fmt::format("model.tensors[{}]", i);
    check_one(model.tensors[i], path);
    check_shape(model.tensors[i], path, report);
  }
  for (std::size_t i = 0; i < model.tables.size(); ++i) {
    check_one(model.tables[i], fmt::format("model.tables[{}]", i));
  }
  if (model.kind == ModelKind::matrix_factorization && report.sound("model.factors") && model.factors == 0) {
    report.problem("model.factors", "expected at least 1 for matrix_factorization, found 0");
  }
}

/// What is not possible with tables.
void check_tables(const Config& config, Report& report) {
  const bool has_tables = config.model.kind == ModelKind::factorization_machine ||
                          config.model.kind == ModelKind::matrix_factorization || !config.model.tables.empty();
  if (!has_tables) {
    return;
  }
  const auto refuse = [&](const char* path, bool wrong, const std::string& why) {
    if (report.sound(path) && wrong) {
      report.problem(path, "not possible for a model with tables: " + why);
    }
  };
  refuse("cluster.worker_scope", config.cluster.worker_scope != WorkerScope::all, "expected all");
  refuse("train.refresh_interval", config.train.refresh_interval != 1, "expected 1");
  refuse("train.speculate", config.train.speculate, "expected false");
}

void check_consistency(const Config& config, Report& report) {
  if (!all_sound(report, {"train.consistency", "train.staleness"})) {
    return;
  }
  const TrainConfig& train = config.train;
  const std::string mode(schema::name_of(train.consistency));
  if (train.consistency != Consistency::ssp && train.staleness != 0) {
    report.problem(
        "train.staleness",
        fmt::format("only ssp has a bound: remove it, or change train.consistency, which is {}, to ssp", mode));
  }
  if (train.consistency == Consistency::bsp) {
    return;
  }
  const auto expect = [&](const char* path, bool good, const std::string& what) {
    if (report.sound(path) && !good) {
      report.problem(path, fmt::format("not possible with train.consistency: {}, {}", mode, what));
    }
  };
  expect("cluster.worker_scope", config.cluster.worker_scope == WorkerScope::all,
         "where every slice contributes to every block; expected all");
  expect("train.refresh_interval", train.refresh_interval == 1,
         "where workers take new weights with every answer; expected 1");
  expect("train.speculate", !train.speculate, "where nobody waits for a slow worker's slice; expected false");
  expect("train.slices", train.slices <= asynchronous_slices_max,
         fmt::format("where each block has a clock for every slice; expected at most {}, found {}",
                     asynchronous_slices_max, train.slices));
  expect("checkpoint.wait", !config.checkpoint.wait, "where slices are at different iterations; expected false");
  expect("verify.fault_free", !config.verify.fault_free,
         "where the order in which gradients come is part of the result, and no two runs end in the same bits; "
         "expected false");
}

void check_timeouts(const TimeoutConfig& timeouts, Report& report) {
  const std::string probe_path = "cluster.timeouts.probe_timeout_ms";
  const std::string failure_path = "cluster.timeouts.failure_timeout_ms";
  if (report.sound("cluster.timeouts.heartbeat_interval_ms") && report.sound(probe_path) &&
      timeouts.probe_timeout_ms <= timeouts.heartbeat_interval_ms) {
    report.problem(probe_path, fmt::format("{} would remove members that are well; expected more than "
                                           "heartbeat_interval_ms, which is {}",
                                           timeouts.probe_timeout_ms, timeouts.heartbeat_interval_ms));
  }
  if (report.sound(failure_path) && report.sound(probe_path) &&
      timeouts.failure_timeout_ms < timeouts.probe_timeout_ms) {
    report.problem(failure_path, fmt::format("expected at least probe_timeout_ms, which is {}; found {}",
                                             timeouts.probe_timeout_ms, timeouts.failure_timeout_ms));
  }
}

void check_min_workers(const ClusterConfig& cluster, Report& report) {
  if (all_sound(report, {"cluster.min_workers", "cluster.workers", "cluster.servers", "cluster.worker_scope"}) &&
      cluster.min_workers > cluster.total_workers()) {
    report.problem("cluster.min_workers", fmt::format("training would never begin; expected at most the number of "
                                                      "workers, which is {}, found {}",
                                                      cluster.total_workers(), cluster.min_workers));
  }
}

void check_optimizer(const OptimizerConfig& optimizer, Report& report) {
  if (all_sound(report, {"train.optimizer.kind", "train.optimizer.weight_decay"}) &&
      optimizer.kind == OptimizerKind::ftrl && optimizer.weight_decay != 0.0) {
    report.problem(
        "train.optimizer.weight_decay",
        fmt::format("ftrl draws weights to zero by its own l1 and l2; expected 0, found {}", optimizer.weight_decay));
  }
}

void check_speculation(const TrainConfig& train, Report& report) {
  if (all_sound(report, {"train.speculate", "train.refresh_interval"}) && train.speculate &&
      train.refresh_interval > 1) {
    report.problem("train.speculate",
                   fmt::format("not possible with train.refresh_interval {}: an idle worker has not got the older "
                               "weights that the others compute from; expected false, or a refresh_interval of 1",
                               train.refresh_interval));
  }
}

void check_compression(const Config& config, Report& report) {
  const CompressionConfig& compression = config.train.compression;
  const bool top_k = compression.gradients == CompressionConfig::Gradients::top_k;
  if (all_sound(report, {"train.compression.gradients", "train.consistency"}) && top_k &&
      config.train.consistency == Consistency::bsp) {
    report.problem("train.compression.gradients",
                   "not possible with train.consistency: bsp, which promises the same bits whatever fails: top_k "
                   "depends on what a worker has not sent yet, and that is lost with it; use train.consistency: ssp "
                   "(staleness 0 waits for all slices as well), or another encoding");
  }
  if (all_sound(report, {"train.compression.gradients", "train.compression.keep"}) && !top_k &&
      compression.keep != CompressionConfig{}.keep) {
    report.problem("train.compression.keep",
                   fmt::format("only top_k leaves elements out: remove it, or change train.compression.gradients, "
                               "which is {}, to top_k",
                               schema::name_of(compression.gradients)));
  }
  if (all_sound(report, {"train.compression.gradients", "train.compression.weights"}) && config.verify.uncompressed &&
      !compression.is_lossy()) {
    report.problem("verify.uncompressed",
                   "nothing is lost with train.compression as it is, so there is nothing to compare: remove it, or set "
                   "train.compression.gradients or weights");
  }
  const ModelConfig& model = config.model;
  const bool only_tables = model.kind == ModelKind::factorization_machine ||
                           model.kind == ModelKind::matrix_factorization ||
                           (model.kind == ModelKind::custom && model.tensors.empty() && !model.tables.empty());
  if (report.sound("model.kind") && only_tables && (compression.is_lossy() || compression.lz4)) {
    report.problem("train.compression",
                   fmt::format("what a model.kind of {} learns lies in tables, whose rows are sent as they are; "
                               "compression is for tensors: remove it",
                               schema::name_of(model.kind)));
  }
}

void check_worker_scope(const Config& config, Report& report) {
  if (!report.sound("cluster.worker_scope") || config.cluster.worker_scope != WorkerScope::server) {
    return;
  }
  if (report.sound("cluster.replicas") && config.cluster.replicas > 1) {
    report.problem("cluster.replicas",
                   fmt::format("with cluster.worker_scope: server a block leaves with its server and its workers, and "
                               "comes back from the last checkpoint; expected 1, found {}",
                               config.cluster.replicas));
  }
  if (report.sound("train.speculate") && config.train.speculate) {
    report.problem(
        "train.speculate",
        "not possible with cluster.worker_scope: server, where a slice belongs to one worker; expected false");
  }
  const std::uint32_t workers = config.cluster.total_workers();
  const std::uint32_t slices = config.train.slices;
  if (all_sound(report, {"train.slices", "cluster.servers", "cluster.workers"}) && slices != 0 && slices != workers) {
    report.problem("train.slices",
                   fmt::format("with cluster.worker_scope: server each worker has one slice; expected 0 "
                               "or servers * workers = {}, found {}",
                               workers, slices));
  }
  if (config.verify.fault_free) {
    report.problem(
        "verify.fault_free",
        "not possible with cluster.worker_scope: server, because a server that is removed takes its workers' "
        "contributions with it; use worker_scope: all");
  }
}

}  // namespace

void check_rules(const Config& config, Report& report) {
  check_text(config, report);
  check_model(config.model, report);
  check_tensors(config.model, report);
  check_tables(config, report);
  check_data(config, report);
  check_useless(config, report);
  check_consistency(config, report);
  check_timeouts(config.cluster.timeouts, report);
  check_min_workers(config.cluster, report);
  check_optimizer(config.train.optimizer, report);
  check_speculation(config.train, report);
  check_compression(config, report);
  check_worker_scope(config, report);
  check_faults(config, report);
}

void resolve_defaults(Config& config) {
  auto& model = config.model;
  if (model.kind == ModelKind::mlp && model.hidden.empty()) {
    model.hidden = {hidden_default};
  }
  if (!model.initial) {
    model.initial = model.kind == ModelKind::logistic_regression ? Initial::uniform
                    : model.kind == ModelKind::mlp               ? Initial::glorot
                                                                 : Initial::zeros;
  }
  auto& data = config.data;
  if (data.kind == DataConfig::Kind::synthetic) {
    data.train_samples = data.train_samples == 0 ? synthetic_train_samples : data.train_samples;
    data.test_samples = data.test_samples == 0 ? synthetic_test_samples : data.test_samples;
  }
  if (data.kind == DataConfig::Kind::clicks || data.kind == DataConfig::Kind::ratings) {
    data.train_samples = data.train_samples == 0 ? drawn_train_samples : data.train_samples;
    data.test_samples = data.test_samples == 0 ? drawn_test_samples : data.test_samples;
    data.rank = data.rank == 0 ? model.factors : data.rank;
  }
  if (data.kind == DataConfig::Kind::clicks && data.features == 0) {
    data.features = click_features;
  }
  if (config.train.slices == 0) {
    config.train.slices = config.cluster.total_workers();
  }
}

}  // namespace ringps::config_detail
