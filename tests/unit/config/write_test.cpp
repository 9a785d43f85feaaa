#include "libps/config/write.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "libps/config/schema.hpp"
#include "tests/unit/config/config_test_support.hpp"

namespace ringps {

namespace {

template <class T>
T any_name() {
  const auto all = names(T{});
  return all[*rc::gen::inRange<std::size_t>(0, all.size())].second;
}

/// Up to 20 characters that are hard on writers of YAML.
std::string any_path() {
  return *rc::gen::container<std::string>(
      rc::gen::elementOf(std::string(" :#-?!&*[]{}'\"\\,~|>%@`/=.0123456789aeEnNtTyY_")));
}

template <class T>
void randomise(std::optional<T>& value, const schema::Range<T>& range);
template <class T>
void randomise(std::vector<T>& list, const schema::Range<T>& range);

/// A value of each field within its range, whatever the field is.
template <class T>
void randomise(T& value, const schema::Range<T>& range) {
  if constexpr (schema::Section<T>) {
    schema::for_each_field<T>([&](const auto& field) { randomise(value.*field.member, field.range); });
  } else if constexpr (std::is_enum_v<T>) {
    value = any_name<T>();
  } else if constexpr (std::is_same_v<T, bool>) {
    value = *rc::gen::arbitrary<bool>();
  } else if constexpr (std::is_floating_point_v<T>) {
    value = range.low + (range.high - range.low) * (*rc::gen::inRange(0, 1 << 30) / static_cast<double>(1 << 30));
  } else if constexpr (std::is_integral_v<T>) {
    value = range.high == std::numeric_limits<T>::max() ? *rc::gen::arbitrary<T>()
                                                        : *rc::gen::inRange<T>(range.low, range.high + 1);
  } else {
    value = any_path();
  }
}
template <class T>
void randomise(std::optional<T>& value, const schema::Range<T>& range) {
  randomise(value.emplace(), range);
}
template <class T>
void randomise(std::vector<T>& list, const schema::Range<T>& range) {
  list.resize(*rc::gen::inRange<std::size_t>(1, 9));
  for (auto& entry : list) {
    randomise(entry, range);
  }
}

/// One of its actions.
FaultConfig any_fault(const Config& config) {
  FaultConfig fault;
  if (*rc::gen::arbitrary<bool>()) {
    fault.at_iteration = *rc::gen::inRange<std::uint64_t>(1, config.train.iterations + 1);
  } else {
    fault.at_seconds = *rc::gen::inRange(0, 4000) / 8.0;
  }
  switch (*rc::gen::inRange(0, 5)) {
    case 0:
      fault.kill = "server0";
      break;
    case 1:
      fault.pause = "worker0";
      fault.for_seconds = *rc::gen::inRange(1, 80) / 8.0;
      break;
    case 2:
      fault.cut = {"all", "coordinator"};
      fault.one_way = *rc::gen::arbitrary<bool>();
      break;
    case 3:
      fault.slow = {"workers", "servers"};
      fault.bytes_per_second = *rc::gen::inRange<std::uint64_t>(1, 1'000'000);
      break;
    default:
      fault.add = any_name<FaultConfig::Added>();
      fault.count = *rc::gen::inRange<std::uint32_t>(1, 9);
      break;
  }
  return fault;
}

/// What would change nothing may be given as it is by itself only.
void reset_useless(Config& config) {
  const bool factors =
      config.model.kind == ModelKind::factorization_machine || config.model.kind == ModelKind::matrix_factorization;
  config.model.factors = factors ? config.model.factors : ModelConfig{}.factors;
  config.tables = factors || !config.model.tables.empty() ? config.tables : TablesConfig{};
  DataConfig& data = config.data;
  const DataConfig plain;
  if (data.kind != DataConfig::Kind::mnist && data.kind != DataConfig::Kind::libsvm) {
    data.path = plain.path;
  }
  if (data.kind != DataConfig::Kind::clicks) {
    data.fields_per_sample = plain.fields_per_sample;
  }
  if (data.kind != DataConfig::Kind::ratings) {
    data.users = plain.users;
    data.items = plain.items;
    data.noise = plain.noise;
  }
}

/// Data and tensors that suit the kind of the model.
void suit_model(Config& config) {
  auto& model = config.model;
  auto& data = config.data;
  if (model.kind != ModelKind::mlp) {
    model.hidden.clear();
  }
  model.tensors.resize(model.kind == ModelKind::custom ? *rc::gen::inRange<std::size_t>(1, 4) : 0);
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    model.tensors[i] = {"layer." + std::to_string(i), {1 + i, 2}, -0.5, 0.25};
  }
  model.tables.resize(model.kind == ModelKind::custom ? *rc::gen::inRange<std::size_t>(0, 3) : 0);
  for (std::size_t i = 0; i < model.tables.size(); ++i) {
    model.tables[i] = {i == 0 ? "users" : "items", static_cast<std::uint32_t>(1 + i), -0.5, 0.25};
  }
  switch (model.kind) {
    case ModelKind::sparse_logistic_regression:
      data.kind = DataConfig::Kind::libsvm;
      break;
    case ModelKind::factorization_machine:
      data.kind = DataConfig::Kind::clicks;
      break;
    case ModelKind::matrix_factorization:
      data.kind = DataConfig::Kind::ratings;
      model.factors = std::max(model.factors, 1U);
      break;
    case ModelKind::custom:
      break;
    default:
      data.kind = DataConfig::Kind::mnist;
  }
  if (model.kind == ModelKind::factorization_machine || model.kind == ModelKind::matrix_factorization ||
      !model.tables.empty()) {
    config.cluster.worker_scope = WorkerScope::all;
    config.train.refresh_interval = 1;
    config.train.speculate = false;
    config.train.compression = {};
  }
  if (data.kind == DataConfig::Kind::libsvm) {
    data.path += "a9a";
    data.features %= features_max + 1;
  } else {
    data.test_path.clear();
    data.features = data.kind == DataConfig::Kind::clicks ? std::max(data.features, data.fields_per_sample) : 0;
  }
  const bool drawn = data.kind == DataConfig::Kind::clicks || data.kind == DataConfig::Kind::ratings;
  data.rank = drawn ? std::max(data.rank, 1U) : 0;
  reset_useless(config);
}

/// Any configuration that keeps the rules of several keys.
Config any_config() {
  Config config;
  randomise(config, {});
  config.name = "any";
  config.cluster.host = "::1";
  config.cluster.worker_scope = WorkerScope::all;
  config.cluster.transport = ClusterConfig::Transport::tcp;
  config.cluster.min_workers = std::min(config.cluster.min_workers, config.cluster.workers);
  config.cluster.restart = ClusterConfig::Restart::needed;
  config.cluster.timeouts.heartbeat_interval_ms = 1;
  config.cluster.timeouts.probe_timeout_ms = 2;
  config.cluster.timeouts.failure_timeout_ms += 1;
  config.cluster.timeouts.failure_timeout_ms %= 3'600'000;
  config.cluster.timeouts.failure_timeout_ms += 2;
  config.train.consistency = Consistency::bsp;
  config.train.staleness = 0;
  CompressionConfig& compression = config.train.compression;
  if (compression.gradients == CompressionConfig::Gradients::top_k) {
    compression.gradients = CompressionConfig::Gradients::bfloat16;
  }
  compression.keep = CompressionConfig{}.keep;
  config.train.speculate = config.train.speculate && config.train.refresh_interval == 1;
  config.train.slices += config.train.slices == 0 ? 1 : 0;
  config.data.train_samples += config.data.train_samples == 0 ? 1 : 0;
  config.data.test_samples += config.data.test_samples == 0 ? 1 : 0;
  suit_model(config);
  config.verify.uncompressed = config.verify.uncompressed && compression.is_lossy();
  if (config.train.optimizer.kind == OptimizerKind::ftrl) {
    config.train.optimizer.weight_decay = 0.0;
  }
  for (auto& fault : config.faults) {
    fault = any_fault(config);
  }
  return config;
}

}  // namespace

TEST_CASE("any configuration reads back from its YAML as it was") {
  CHECK(rc::check([] {
    const Config config = any_config();
    const auto again = load_config_text(to_yaml(config), "again.yaml");
    if (!again) {
      RC_FAIL(again.error());
    }
    RC_ASSERT(*again == config);
  }));
}

TEST_CASE("the defaults can be written before they are resolved, and load as an empty file does") {
  CHECK(loaded(to_yaml(Config{})) == loaded(""));
}

TEST_CASE("the written YAML says what each key means") {
  CHECK_THAT(to_yaml(Config{}),
             Catch::Contains("\n  servers: 1  # server0, server1 …: they hold the model (from 1 to 1024)\n"));
}

TEST_CASE("the JSON has the same values in the same order") {
  const auto json = to_json(loaded("model: {kind: mlp}\nfaults: [{at_iteration: 6, kill: server0}]"));
  CHECK(json["train"]["optimizer"]["learning_rate"].dump() == "0.1");
  CHECK(json["model"].dump() ==
        R"({"kind":"mlp","hidden":[256],"initial":"glorot","factors":8,"tensors":[],"tables":[]})");
  const auto custom = to_json(loaded("model: {kind: custom, tensors: [{name: w, shape: [2, 3], high: 1}]}"));
  CHECK(custom["model"]["tensors"].dump() == R"([{"name":"w","shape":[2,3],"high":1.0}])");
  CHECK(json["faults"].dump() == R"([{"at_iteration":6,"kill":"server0"}])");
  CHECK(json.begin().key() == "name");
}

TEST_CASE("the canonical text changes with what must be the same everywhere, and with nothing else") {
  const std::string text = "model: {kind: mlp}\ncluster: {servers: 3}\n";
  const std::string base = canonical_text(loaded(text));
  const auto with = [&](const std::string& override_text) { return canonical_text(loaded(text, {override_text})); };
  for (const char* shared : {"name=x",
                             "seed=9",
                             "model.hidden=[8]",
                             "model.initial=zeros",
                             "data.kind=mnist",
                             "data.train_samples=5",
                             "cluster.servers=4",
                             "cluster.virtual_nodes=7",
                             "cluster.block_elements=7",
                             "cluster.worker_scope=server",
                             "cluster.timeouts.failure_timeout_ms=3000",
                             "train.batch=1",
                             "train.optimizer.learning_rate=0.2",
                             "train.slices=9",
                             "train.compression.gradients=float16",
                             "train.compression.weights=bfloat16",
                             "train.compression.lz4=true",
                             "evaluate.interval=1",
                             "checkpoint.interval=7",
                             "checkpoint.wait=true"}) {
    INFO(shared);
    CHECK(with(shared) != base);
  }
  for (const char* local :
       {"cluster.worker_program=/x", "cluster.transport=ipc", "cluster.host=0.0.0.0", "cluster.restart=never",
        "checkpoint.keep=3", "checkpoint.resume=latest", "verify.fault_free=true", "output.results=x",
        "output.run_dir=y", "faults=[{at_iteration: 1, kill: server0}]", "random_faults.seed=4"}) {
    INFO(local);
    CHECK(with(local) == base);
  }
  CHECK(canonical_text(loaded(text, {"data.kind=mnist", "data.path=/x"})) == with("data.kind=mnist"));
  const Overrides lossy{"train.compression.weights=float16", "verify.uncompressed=true"};
  CHECK(canonical_text(loaded(text, lossy)) == with(lossy.front()));
  CHECK_THAT(base, Catch::StartsWith("name=\"ringps\"\nseed=0\nmodel.kind=\"mlp\"\nmodel.hidden=[256]\n"));
}

}  // namespace ringps
