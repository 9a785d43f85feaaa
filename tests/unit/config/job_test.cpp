#include "libps/config/job.hpp"

#include <fstream>
#include <map>

#include "tests/support/temp_dir.hpp"
#include "tests/unit/config/config_test_support.hpp"

namespace ringps {

TEST_CASE("a job holds what the configuration says") {
  const JobSpec job = make_job(loaded(R"(
name: demo
seed: 7
cluster:
  {servers: 5, workers: 2, worker_scope: server, virtual_nodes: 9, block_elements: 3, message_bytes: 70000,
   timeouts: {heartbeat_interval_ms: 1, failure_timeout_ms: 20, probe_timeout_ms: 3, request_timeout_ms: 4,
              form_timeout_ms: 5}}
train: {iterations: 11, optimizer: {kind: momentum, learning_rate: 0.25, momentum: 0.5, weight_decay: 0.125},
        refresh_interval: 5}
evaluate: {interval: 6}
checkpoint: {interval: 8, keep: 4, wait: true}
)"),
                               {TensorSpec{"w", {3, 2}, {}}});
  CHECK(job.cluster == "demo");
  CHECK(job.seed == 7);
  CHECK(job.tensors == std::vector{TensorSpec{"w", {3, 2}, {}}});
  CHECK(job.block_elements == 3);
  CHECK(job.virtual_nodes == 9);
  CHECK(job.replicas == 1);
  CHECK(job.servers == 5);
  CHECK(job.workers == 10);
  CHECK(job.slices == 10);
  CHECK(job.slices_per_server() == 2);
  CHECK(job.worker_scope == WorkerScope::server);
  CHECK(job.refresh_interval == 5);
  CHECK(job.iterations == Iteration{11});
  CHECK(job.optimizer.kind == OptimizerKind::momentum);
  CHECK(job.optimizer.learning_rate == 0.25F);
  CHECK(job.optimizer.momentum == 0.5F);
  CHECK(job.optimizer.weight_decay == 0.125F);
  CHECK(job.checkpoint.interval == 8);
  CHECK(job.checkpoint.keep == 4);
  CHECK(job.checkpoint.wait);
  CHECK(job.evaluate_interval == 6);
  CHECK(job.message_bytes == 70000);
  CHECK(job.timeouts.heartbeat_interval == std::chrono::milliseconds(1));
  CHECK(job.timeouts.failure_timeout == std::chrono::milliseconds(20));
  CHECK(job.timeouts.probe_timeout == std::chrono::milliseconds(3));
  CHECK(job.timeouts.request_timeout == std::chrono::milliseconds(4));
  CHECK(job.timeouts.form_timeout == std::chrono::milliseconds(5));
}

TEST_CASE("a job knows how many replicas and workers it needs, and what to do without them") {
  const JobSpec job = make_job(loaded("cluster: {servers: 3, replicas: 2, workers: 4, min_workers: 3, on_data_loss: "
                                      "stop}\ntrain: {speculate: true}"),
                               {});
  CHECK(job.replicas == 2);
  CHECK(job.min_workers == 3);
  CHECK(job.stop_on_data_loss);
  CHECK(job.speculate);
}

TEST_CASE("the defaults of the configuration are those of the job") {
  const JobSpec job = make_job(loaded(""), {});
  const JobSpec plain;
  CHECK(job.block_elements == plain.block_elements);
  CHECK(job.virtual_nodes == plain.virtual_nodes);
  CHECK(job.optimizer.learning_rate == plain.optimizer.learning_rate);
  CHECK(job.timeouts.failure_timeout == plain.timeouts.failure_timeout);
  CHECK(job.message_bytes == plain.message_bytes);
  CHECK(job.replicas == plain.replicas);
  CHECK(job.min_workers == plain.min_workers);
  CHECK(job.stop_on_data_loss == plain.stop_on_data_loss);
  CHECK(job.speculate == plain.speculate);
}

TEST_CASE("MNIST is looked for in data.path, or else in RINGPS_DATA and in the home folder") {
  const TempDir folder;
  const auto put = [&](const std::string& below, const std::string& file) {
    std::filesystem::create_directories(folder / below);
    std::ofstream(folder / below / file) << "x";
  };
  std::map<std::string, std::string> variables{{"HOME", folder / "home"}, {"RINGPS_DATA", folder / "data"}};
  const Environment environment = [&](const char* name) {
    const auto variable = variables.find(name);
    return variable == variables.end() ? nullptr : variable->second.c_str();
  };
  DataConfig data;
  data.kind = DataConfig::Kind::mnist;

  CHECK_THAT(find_mnist(data, environment).error(), Catch::Contains("psctl data fetch mnist") &&
                                                        Catch::Contains(folder / "data/mnist") &&
                                                        Catch::Contains(folder / "home/.cache/ringps/mnist"));
  put("home/.cache/ringps/mnist", "train-images-idx3-ubyte");
  CHECK(find_mnist(data, environment).value() == folder / "home/.cache/ringps/mnist");
  put("data/mnist", "train-images-idx3-ubyte.gz");
  CHECK(find_mnist(data, environment).value() == folder / "data/mnist");
  data.path = folder / "elsewhere";
  CHECK_THAT(find_mnist(data, environment).error(), Catch::Contains(folder / "elsewhere"));
  put("elsewhere", "train-images-idx3-ubyte");
  CHECK(find_mnist(data, environment).value() == folder / "elsewhere");

  data.path.clear();
  variables.clear();
  CHECK_THAT(find_mnist(data, environment).error(), Catch::Contains("RINGPS_DATA and HOME are not set"));
}

TEST_CASE("LIBSVM files are looked for where data.path says, in RINGPS_DATA and in the home folder") {
  const TempDir folder;
  const auto put = [&](const std::string& file) {
    const auto path = folder / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "x";
  };
  std::map<std::string, std::string> variables{{"HOME", folder / "home"}, {"RINGPS_DATA", folder / "data"}};
  const Environment environment = [&](const char* name) {
    const auto variable = variables.find(name);
    return variable == variables.end() ? nullptr : variable->second.c_str();
  };
  const auto found = [&](const std::string& path, const std::string& test_path = "") {
    DataConfig data;
    data.kind = DataConfig::Kind::libsvm;
    data.path = path;
    data.test_path = test_path;
    const auto files = find_libsvm(data, environment);
    return files ? files->train.string() + " and " + files->test.string() : files.error();
  };
  const auto both = [&](const std::string& train, const std::string& test) {
    return (folder / train).string() + " and " + (folder / test).string();
  };

  CHECK_THAT(found("nowhere"), Catch::Contains("nowhere or " + (folder / "data/nowhere").string() + " or " +
                                               (folder / "home/.cache/ringps/nowhere").string()));
  put("home/.cache/ringps/b/b");
  CHECK_THAT(found("b"), Catch::Contains("b.t") && Catch::Contains("set data.test_path"));
  put("home/.cache/ringps/b/b.t.gz");
  CHECK(found("b") == both("home/.cache/ringps/b/b", "home/.cache/ringps/b/b.t.gz"));
  put("data/b/b.gz");
  put("data/b/b.t");
  CHECK(found("b") == both("data/b/b.gz", "data/b/b.t"));
  CHECK(found("b/b") == both("data/b/b.gz", "data/b/b.t"));
  CHECK(found(folder / "data/b/") == both("data/b/b.gz", "data/b/b.t"));
  put("data/b/held-out");
  CHECK(found("b", "held-out") == both("data/b/b.gz", "data/b/held-out"));
  CHECK(found("b", folder / "home/.cache/ringps/b/b") == both("data/b/b.gz", "home/.cache/ringps/b/b"));
}

TEST_CASE("the tensors of a model are those of its kind, its features, or its list") {
  CHECK(model_tensors(loaded("")).value()[0].shape == std::vector<std::uint64_t>{784});
  const std::string sparse = "model: {kind: sparse_logistic_regression}\ndata: {kind: libsvm, path: x, features: ";
  CHECK(model_tensors(loaded(sparse + "9}")).value() ==
        std::vector<TensorSpec>{{"weights", {9}, {}}, {"bias", {1}, {}}});
  CHECK_THAT(model_tensors(loaded(sparse + "0}")).error(), Catch::StartsWith("data.features is 0"));
  CHECK(model_tensors(loaded("model: {kind: custom, tensors: [{name: w, shape: [2, 3], low: -1, high: 1}]}")).value() ==
        std::vector<TensorSpec>{{"w", {2, 3}, {-1.0F, 1.0F}}});
}

}  // namespace ringps
