// The configuration of a run: every key of a configuration file with its default, its range and its meaning.
// The structs hold the defaults; the table below each of them declares its keys (schema.hpp). To add a key, add a
// member and a line here: nothing else lists them, and so this header is longer than others. What keys must satisfy
// together is in rules.cpp. Reading: load.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "libps/config/fault_config.hpp"
#include "libps/config/schema.hpp"
#include "libps/core/job.hpp"
#include "libps/data/libsvm.hpp"
#include "libps/model/model.hpp"
#include "libps/optim/optimizer.hpp"

namespace ringps {

inline constexpr std::uint64_t iterations_max = 1'000'000'000'000;
inline constexpr std::uint64_t samples_max = 10'000'000;

/// A tensor of a model that only the worker's program knows.
struct TensorConfig {
  std::string name;
  std::vector<std::uint64_t> shape;
  double low = 0.0;
  double high = 0.0;

  static constexpr auto fields() {
    using S = TensorConfig;
    return std::tuple{
        schema::shared("name", &S::name, "1 to 64 of A-Z a-z 0-9 _ . -"),
        schema::shared("shape", &S::shape, {1, 1U << 30U}, "extents, row-major; at most 2^30 elements in all"),
        schema::shared("low", &S::low, {-1e6, 1e6}, "first values are uniform in [low, high)"),
        schema::shared("high", &S::high, {-1e6, 1e6}, "equal to low: constant"),
    };
  }
  friend bool operator==(const TensorConfig&, const TensorConfig&) = default;
};

/// A table of a model that only the worker's program knows.
struct TableConfig {
  std::string name;
  std::uint32_t width = 1;
  double low = 0.0;
  double high = 0.0;

  static constexpr auto fields() {
    using S = TableConfig;
    return std::tuple{
        schema::shared("name", &S::name, "1 to 64 of A-Z a-z 0-9 _ . -"),
        schema::shared("width", &S::width, {1, 65536}, "floats of a row"),
        schema::shared("low", &S::low, {-1e6, 1e6}, "a row's first values are uniform in [low, high)"),
        schema::shared("high", &S::high, {-1e6, 1e6}, "equal to low: constant"),
    };
  }
  friend bool operator==(const TableConfig&, const TableConfig&) = default;
};

struct ModelConfig {
  using Kind = ModelKind;
  using Initial = ringps::Initial;

  Kind kind = Kind::logistic_regression;
  std::vector<std::uint32_t> hidden;
  std::optional<Initial> initial;  ///< always set in a configuration that has been loaded
  std::uint32_t factors = 8;
  std::vector<TensorConfig> tensors;
  std::vector<TableConfig> tables;

  static constexpr auto fields() {
    using S = ModelConfig;
    return std::tuple{
        schema::shared("kind", &S::kind,
                       "logistic_regression learns odd or even, softmax_regression and mlp the ten digits, "
                       "sparse_logistic_regression the two classes of libsvm data, factorization_machine the same or "
                       "clicks, over a table, matrix_factorization ratings, custom what cluster.worker_program says"),
        schema::shared("hidden", &S::hidden, {1, 65536}, "widths of the 1 to 8 hidden layers; mlp only, default [256]"),
        schema::shared("initial", &S::initial,
                       "first weights; default: uniform in [0, 1) for logistic_regression, zeros for "
                       "softmax_regression, glorot for mlp"),
        schema::shared(
            "factors", &S::factors, {0, 1024},
            "of a row; factorization_machine, where 0 makes a logistic regression, and matrix_factorization"),
        schema::shared("tensors", &S::tensors, "of a custom model: [{name: w, shape: [10, 3], low: 0, high: 1}]"),
        schema::shared("tables", &S::tables, "of a custom model: [{name: users, width: 16, low: -0.1, high: 0.1}]"),
    };
  }
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// What holds for every table.
struct TablesConfig {
  std::uint32_t buckets = 256;
  std::uint64_t rows_per_server = 200'000'000;
  std::uint32_t expire_after = 0;

  static constexpr auto fields() {
    using S = TablesConfig;
    return std::tuple{
        schema::shared("buckets", &S::buckets, {1, 65536},
                       "blocks of a table: they are placed, replicated and moved one by one"),
        schema::shared("rows_per_server", &S::rows_per_server, {1, 1ULL << 40U},
                       "a server that holds more rows of a table ends the run with an error"),
        schema::shared("expire_after", &S::expire_after, {0, 1U << 30U},
                       "iterations in which nobody has touched a row, after which it begins anew; 0: never"),
    };
  }
  friend bool operator==(const TablesConfig&, const TablesConfig&) = default;
};

struct DataConfig {
  enum class Kind : std::uint8_t { synthetic, mnist, libsvm, clicks, ratings };

  Kind kind = Kind::synthetic;
  std::string path;
  std::string test_path;
  std::uint32_t features = 0;
  std::uint32_t fields_per_sample = 10;
  std::uint64_t users = 1000;
  std::uint64_t items = 1000;
  std::uint32_t rank = 0;
  double noise = 0.1;
  std::uint64_t train_samples = 0;
  std::uint64_t test_samples = 0;

  static constexpr auto fields() {
    using S = DataConfig;
    return std::tuple{
        schema::shared("kind", &S::kind,
                       "synthetic digits, clicks and ratings are computed from the seed and need no files"),
        schema::local("path", &S::path,
                      "folder of the data, or the training file of libsvm; empty: mnist in $RINGPS_DATA, then in "
                      "~/.cache/ringps; there a libsvm path is looked for as well"),
        schema::local("test_path", &S::test_path, "the test file of libsvm; empty: the training file's name with .t"),
        schema::shared("features", &S::features, {0, 4'000'000'000U},
                       "of libsvm data, 0: the largest index in the files, which psctl run fills in; of clicks, 0: a "
                       "million"),
        schema::shared("fields", &S::fields_per_sample, {1, 1000}, "features of a sample; clicks only"),
        schema::shared("users", &S::users, {1, 1ULL << 40U}, "who rates; ratings only"),
        schema::shared("items", &S::items, {1, 1ULL << 40U}, "what is rated; ratings only"),
        schema::shared("rank", &S::rank, {0, 1024},
                       "factors of the truth that clicks and ratings are drawn from; 0: as many as the model has"),
        schema::shared("noise", &S::noise, {0.0, 1e6}, "of a rating, at most; ratings only"),
        schema::shared("train_samples", &S::train_samples, {0, samples_max},
                       "0: all; of synthetic digits 10000, of clicks and ratings 100000"),
        schema::shared("test_samples", &S::test_samples, {0, samples_max},
                       "0: all; of synthetic digits 2000, of clicks and ratings 10000"),
    };
  }
  friend bool operator==(const DataConfig&, const DataConfig&) = default;
};

struct TimeoutConfig {
  std::uint32_t heartbeat_interval_ms = 50;
  std::uint32_t failure_timeout_ms = 2000;
  std::uint32_t probe_timeout_ms = 150;
  std::uint32_t request_timeout_ms = 500;
  std::uint32_t form_timeout_ms = 30'000;
  std::uint32_t run_timeout_ms = 0;

  static constexpr auto fields() {
    using S = TimeoutConfig;
    constexpr std::uint32_t hour = 3'600'000;
    return std::tuple{
        schema::shared("heartbeat_interval_ms", &S::heartbeat_interval_ms, {1, hour},
                       "from a member to the coordinator; where there are many of them, each beats less often"),
        schema::shared("failure_timeout_ms", &S::failure_timeout_ms, {1, hour}, "silence that removes a member"),
        schema::shared("probe_timeout_ms", &S::probe_timeout_ms, {1, hour},
                       "the same for a member whose connection broke"),
        schema::shared("request_timeout_ms", &S::request_timeout_ms, {1, hour}, "silence after which to ask again"),
        schema::shared("form_timeout_ms", &S::form_timeout_ms, {1, hour}, "for all first members to join"),
        schema::local("run_timeout_ms", &S::run_timeout_ms, {0, 168 * hour},
                      "for the whole run, which then exits with 4; 0: none"),
    };
  }
  friend bool operator==(const TimeoutConfig&, const TimeoutConfig&) = default;
};

struct ClusterConfig {
  enum class Transport : std::uint8_t { automatic, tcp, ipc };
  enum class Restart : std::uint8_t { needed, always, never };
  enum class OnDataLoss : std::uint8_t { rollback, stop };

  std::uint32_t servers = 1;
  std::uint32_t workers = 1;
  std::uint32_t min_workers = 1;
  WorkerScope worker_scope = WorkerScope::all;
  std::uint32_t virtual_nodes = 100;
  std::uint32_t block_elements = 262144;
  std::uint32_t replicas = 1;
  OnDataLoss on_data_loss = OnDataLoss::rollback;
  Transport transport = Transport::automatic;
  bool shared_memory = true;
  std::string host = "127.0.0.1";
  Restart restart = Restart::needed;
  std::string worker_program;
  std::uint32_t message_bytes = 1U << 20U;
  TimeoutConfig timeouts;

  /// All workers of the run, whichever way `workers` counts them.
  std::uint32_t total_workers() const { return worker_scope == WorkerScope::server ? servers * workers : workers; }

  static constexpr auto fields() {
    using S = ClusterConfig;
    return std::tuple{
        schema::shared("servers", &S::servers, {1, 1024}, "server0, server1 …: they hold the model"),
        schema::shared("workers", &S::workers, {1, 4096}, "worker0, worker1 …; with worker_scope server: per server"),
        schema::shared("min_workers", &S::min_workers, {1, 4096}, "training waits while fewer of them are there"),
        schema::shared("worker_scope", &S::worker_scope,
                       "all: each worker's gradient goes to all servers and is averaged; server: a worker belongs to "
                       "one server, and gradients are summed"),
        schema::shared("virtual_nodes", &S::virtual_nodes, {1, 10'000}, "points of a server on the hash ring"),
        schema::shared(
            "block_elements", &S::block_elements, {1, 1U << 20U},
            "consecutive elements of a tensor that are placed together: a MiB of them travels without being copied"),
        schema::shared("replicas", &S::replicas, {1, 5}, "servers that hold each block"),
        schema::shared("on_data_loss", &S::on_data_loss,
                       "when no replica of a block is left: go back to the last checkpoint, or stop with exit code 5"),
        schema::local("transport", &S::transport,
                      "between the processes; auto: tcp, and UNIX sockets where both are on one host"),
        schema::local(
            "shared_memory", &S::shared_memory,
            "between processes of one host that are connected by UNIX sockets: gradients and weights are read "
            "where they lie, and not sent"),
        schema::local("host", &S::host, "address that the processes bind"),
        schema::local("restart", &S::restart,
                      "when to start a dead process again; needed: when no other of its role is left"),
        schema::local("worker_program", &S::worker_program,
                      "what psctl starts as a worker, for a model of your own; empty: ps-worker"),
        schema::shared("message_bytes", &S::message_bytes, {64U << 10U, 32U << 20U},
                       "largest payload of one message, in bytes"),
        schema::section("timeouts", &S::timeouts, "in milliseconds"),
    };
  }
  friend bool operator==(const ClusterConfig&, const ClusterConfig&) = default;
};

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::sgd;
  double learning_rate = 0.1;
  double momentum = 0.9;
  double weight_decay = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double l1 = 0.0;
  double l2 = 0.0;
  double beta = 1.0;
  RateSchedule schedule = RateSchedule::constant;
  std::uint64_t warmup = 0;
  std::uint64_t decay_every = 1000;
  double decay_factor = 0.1;
  double final_factor = 0.0;
  double clip_norm = 0.0;

  static constexpr auto fields() {
    using S = OptimizerConfig;
    return std::tuple{
        schema::shared("kind", &S::kind, "the rule of a step; formulas and sources: libps/optim/optimizer.hpp"),
        schema::shared("learning_rate", &S::learning_rate, {1e-12, 1e6}, "length of a step"),
        schema::shared("momentum", &S::momentum, {0.0, 1.0},
                       "part of the last step that is kept; momentum and nesterov only"),
        schema::shared("weight_decay", &S::weight_decay, {0.0, 1e6},
                       "times the weights, added to the gradient (adamw: taken from the weights); not for ftrl"),
        schema::shared("beta1", &S::beta1, {0.0, 0.999999}, "memory of the gradient's mean; adam and adamw only"),
        schema::shared("beta2", &S::beta2, {0.0, 0.999999}, "memory of its square's mean; adam, adamw and rmsprop"),
        schema::shared("epsilon", &S::epsilon, {1e-30, 1.0},
                       "keeps a quotient finite; adagrad, rmsprop, adam and adamw"),
        schema::shared("l1", &S::l1, {0.0, 1e6}, "weights whose evidence is below this are zero; ftrl only"),
        schema::shared("l2", &S::l2, {0.0, 1e6}, "draws weights to zero; ftrl only"),
        schema::shared("beta", &S::beta, {0.0, 1e6}, "flattens the first steps; ftrl only"),
        schema::shared("schedule", &S::schedule, "how the learning rate changes"),
        schema::shared("warmup", &S::warmup, {0, iterations_max}, "iterations in which the rate rises to its value"),
        schema::shared("decay_every", &S::decay_every, {1, iterations_max}, "iterations; schedule step only"),
        schema::shared("decay_factor", &S::decay_factor, {0.0, 1.0}, "of the rate at each step; schedule step only"),
        schema::shared("final_factor", &S::final_factor, {0.0, 1.0}, "of the rate at the end; schedule cosine only"),
        schema::shared("clip_norm", &S::clip_norm, {0.0, 1e9},
                       "a slice's gradient that is longer is shortened to this; 0: none is"),
    };
  }
  friend bool operator==(const OptimizerConfig&, const OptimizerConfig&) = default;
};

struct CompressionConfig {
  enum class Gradients : std::uint8_t { float32, float16, bfloat16, top_k };
  enum class Weights : std::uint8_t { float32, float16, bfloat16 };

  Gradients gradients = Gradients::float32;
  double keep = 0.01;
  Weights weights = Weights::float32;
  bool lz4 = false;

  /// Whether training takes another course with it than without.
  bool is_lossy() const { return gradients != Gradients::float32 || weights != Weights::float32; }

  static constexpr auto fields() {
    using S = CompressionConfig;
    return std::tuple{
        schema::shared(
            "gradients", &S::gradients,
            "how workers send them; top_k: of each block the largest elements, and what is not sent is added "
            "to the next gradient; with consistency ssp or asp only"),
        schema::shared("keep", &S::keep, {1e-6, 1.0}, "of each block's elements, the share that is sent; top_k only"),
        schema::shared("weights", &S::weights, "how servers send them"),
        schema::shared("lz4", &S::lz4, "whether both are packed as well, which changes no bit of the result"),
    };
  }
  friend bool operator==(const CompressionConfig&, const CompressionConfig&) = default;
};

struct TrainConfig {
  using Consistency = ringps::Consistency;

  std::uint64_t iterations = 1000;
  std::uint32_t slices = 0;  ///< at least 1 in a configuration that has been loaded
  std::uint32_t batch = 128;
  OptimizerConfig optimizer;
  Consistency consistency = Consistency::bsp;
  std::uint64_t staleness = 0;
  std::uint64_t refresh_interval = 1;
  bool speculate = false;
  CompressionConfig compression;

  static constexpr auto fields() {
    using S = TrainConfig;
    return std::tuple{
        schema::shared("iterations", &S::iterations, {1, iterations_max}, "training steps"),
        schema::shared("slices", &S::slices, {0, 1U << 22U}, "parts of the global batch; 0: one for each first worker"),
        schema::shared("batch", &S::batch, {0, 1'000'000},
                       "samples per slice; 0: all of its share, so that an iteration is a pass over the data"),
        schema::section("optimizer", &S::optimizer, "from a gradient to the next weights"),
        schema::shared(
            "consistency", &S::consistency,
            "bsp: an iteration is applied when all slices are there, and every run ends in the same bits; ssp, "
            "asp: each slice's gradient when it comes, and slices wait for each other within a bound, or never"),
        schema::shared(
            "staleness", &S::staleness, {0, 1'000'000},
            "the bound: iterations of any slice that may be missing in the weights under a gradient; ssp only"),
        schema::shared("refresh_interval", &S::refresh_interval, {1, iterations_max},
                       "iterations between two moments at which workers take new weights"),
        schema::shared("speculate", &S::speculate,
                       "whether a worker that has nothing to do computes a slow one's slice as well"),
        schema::section("compression", &S::compression,
                        "of what workers and servers send each other of tensors; servers hold float32 all the same"),
    };
  }
  friend bool operator==(const TrainConfig&, const TrainConfig&) = default;
};

struct EvaluateConfig {
  std::uint64_t interval = 5;
  std::uint64_t samples = 1152;

  static constexpr auto fields() {
    using S = EvaluateConfig;
    return std::tuple{
        schema::shared("interval", &S::interval, {0, iterations_max},
                       "iterations; 0: never; models with tables: at checkpoints, at least so far apart"),
        schema::shared("samples", &S::samples, {0, samples_max}, "the first of the test set that are used; 0: all"),
    };
  }
  friend bool operator==(const EvaluateConfig&, const EvaluateConfig&) = default;
};

struct CheckpointConfig {
  std::uint64_t interval = 100;
  std::uint32_t min_gap_ms = 200;
  std::uint32_t keep = 2;
  bool wait = false;
  std::string resume;

  static constexpr auto fields() {
    using S = CheckpointConfig;
    return std::tuple{
        schema::shared("interval", &S::interval, {0, iterations_max},
                       "iterations; 0: only the last version is written"),
        schema::shared("min_gap_ms", &S::min_gap_ms, {0, 3'600'000},
                       "where iterations are fast: at least this long between two checkpoints; without wait only"),
        schema::local("keep", &S::keep, {1, 1'000'000}, "checkpoints that are kept"),
        schema::shared("wait", &S::wait, "whether training waits until each one is committed"),
        schema::local("resume", &S::resume,
                      "folder of a checkpoint or of a run to go on from; latest: the newest of the run's own folder, "
                      "without --run-dir of all runs/<name>-<n>; empty: none"),
    };
  }
  friend bool operator==(const CheckpointConfig&, const CheckpointConfig&) = default;
};

struct VerifyConfig {
  bool fault_free = false;
  bool uncompressed = false;

  static constexpr auto fields() {
    return std::tuple{schema::local("fault_free", &VerifyConfig::fault_free,
                                    "run again without the faults and compare the weights bit for bit"),
                      schema::local("uncompressed", &VerifyConfig::uncompressed,
                                    "where train.compression is lossy: run again without it and without the faults, "
                                    "and say what it costs in accuracy")};
  }
  friend bool operator==(const VerifyConfig&, const VerifyConfig&) = default;
};

struct OutputConfig {
  std::string results;
  std::string run_dir;
  bool curve = true;

  static constexpr auto fields() {
    using S = OutputConfig;
    return std::tuple{
        schema::local("results", &S::results, "JSON file for times and accuracies; empty: none"),
        schema::local("run_dir", &S::run_dir, "folder for all that the run writes; empty: runs/<name>-<n>"),
        schema::local("curve", &S::curve, "whether to draw the accuracy curve at the end"),
    };
  }
  friend bool operator==(const OutputConfig&, const OutputConfig&) = default;
};

struct Config {
  std::string name = "ringps";
  std::uint64_t seed = 0;
  ModelConfig model;
  TablesConfig tables;
  DataConfig data;
  ClusterConfig cluster;
  TrainConfig train;
  EvaluateConfig evaluate;
  CheckpointConfig checkpoint;
  std::vector<FaultConfig> faults;
  RandomFaultConfig random_faults;
  VerifyConfig verify;
  OutputConfig output;

  static constexpr auto fields() {
    using S = Config;
    return std::tuple{
        schema::shared("name", &S::name, "of the cluster and the run: 1 to 64 of a-z 0-9 _ -"),
        schema::shared("seed", &S::seed, "of everything random: the same seed gives the same weights, bit for bit"),
        schema::section("model", &S::model, "what is trained"),
        schema::section("tables", &S::tables, "where its rows are, if it has tables"),
        schema::section("data", &S::data, "what it learns from"),
        schema::section("cluster", &S::cluster, "the processes"),
        schema::section("train", &S::train, "how it learns"),
        schema::section("evaluate", &S::evaluate, "how often accuracy is measured, and on what"),
        schema::section("checkpoint", &S::checkpoint, "how often the model is written to disk"),
        schema::local(
            "faults", &S::faults,
            "what is done to the cluster on purpose: [{at_iteration: 60, kill: server4}]; configs/faults.yaml "
            "shows all kinds"),
        schema::section("random_faults", &S::random_faults, "the same at random moments, from a seed"),
        schema::section("verify", &S::verify, "what is checked after the run"),
        schema::section("output", &S::output, "what the run leaves behind"),
    };
  }
  friend bool operator==(const Config&, const Config&) = default;
};

constexpr auto names(ModelKind) {
  using enum ModelKind;
  return schema::Names<ModelKind, 7>{{{"logistic_regression", logistic_regression},
                                      {"softmax_regression", softmax_regression},
                                      {"mlp", mlp},
                                      {"sparse_logistic_regression", sparse_logistic_regression},
                                      {"factorization_machine", factorization_machine},
                                      {"matrix_factorization", matrix_factorization},
                                      {"custom", custom}}};
}
constexpr auto names(Initial) {
  using enum Initial;
  return schema::Names<Initial, 3>{{{"zeros", zeros}, {"uniform", uniform}, {"glorot", glorot}}};
}
constexpr auto names(DataConfig::Kind) {
  using enum DataConfig::Kind;
  return schema::Names<DataConfig::Kind, 5>{
      {{"synthetic", synthetic}, {"mnist", mnist}, {"libsvm", libsvm}, {"clicks", clicks}, {"ratings", ratings}}};
}
constexpr auto names(WorkerScope) {
  return schema::Names<WorkerScope, 2>{{{"all", WorkerScope::all}, {"server", WorkerScope::server}}};
}
constexpr auto names(ClusterConfig::Transport) {
  using enum ClusterConfig::Transport;
  return schema::Names<ClusterConfig::Transport, 3>{{{"auto", automatic}, {"tcp", tcp}, {"ipc", ipc}}};
}
constexpr auto names(ClusterConfig::Restart) {
  using enum ClusterConfig::Restart;
  return schema::Names<ClusterConfig::Restart, 3>{{{"needed", needed}, {"always", always}, {"never", never}}};
}
constexpr auto names(ClusterConfig::OnDataLoss) {
  using enum ClusterConfig::OnDataLoss;
  return schema::Names<ClusterConfig::OnDataLoss, 2>{{{"rollback", rollback}, {"stop", stop}}};
}
constexpr auto names(CompressionConfig::Gradients) {
  using enum CompressionConfig::Gradients;
  return schema::Names<CompressionConfig::Gradients, 4>{
      {{"float32", float32}, {"float16", float16}, {"bfloat16", bfloat16}, {"top_k", top_k}}};
}
constexpr auto names(CompressionConfig::Weights) {
  using enum CompressionConfig::Weights;
  return schema::Names<CompressionConfig::Weights, 3>{
      {{"float32", float32}, {"float16", float16}, {"bfloat16", bfloat16}}};
}
constexpr auto names(OptimizerKind) {
  using enum OptimizerKind;
  return schema::Names<OptimizerKind, 8>{{{"sgd", sgd},
                                          {"momentum", momentum},
                                          {"nesterov", nesterov},
                                          {"adagrad", adagrad},
                                          {"rmsprop", rmsprop},
                                          {"adam", adam},
                                          {"adamw", adamw},
                                          {"ftrl", ftrl}}};
}
constexpr auto names(RateSchedule) {
  using enum RateSchedule;
  return schema::Names<RateSchedule, 3>{{{"constant", constant}, {"step", step}, {"cosine", cosine}}};
}
constexpr auto names(TrainConfig::Consistency) {
  using enum ringps::Consistency;
  return schema::Names<TrainConfig::Consistency, 3>{{{"bsp", bsp}, {"ssp", ssp}, {"asp", asp}}};
}

}  // namespace ringps
