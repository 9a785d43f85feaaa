// Logistic regression on sparse data: the optimum that others have computed, and the same bits under faults.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

bool has_a9a() {
  const char* folder = std::getenv("RINGPS_DATA");
  if (folder != nullptr && fs::exists(fs::path(folder) / "a9a" / "a9a")) {
    return true;
  }
  WARN("skipped: set RINGPS_DATA to a folder that has a9a/a9a and a9a/a9a.t");
  return false;
}

TEST_CASE("a synchronous run comes to the optimum of a9a, with and without faults, on any number of workers") {
  if (!has_a9a()) {
    return;
  }
  const auto [faults, workers, slices] = GENERATE(table<std::string, std::string, std::string>(
      {{"[]", "2", "2"},
       {"[{at_iteration: 700, kill: server0}, {at_iteration: 1400, kill: worker1}]", "2", "2"},
       {"[]", "1", "3"}}));
  CAPTURE(faults, workers, slices);
  const Bench bench;
  const Run run(bench, "run", configs_folder / "a9a.yaml",
                {"faults=" + faults, "cluster.workers=" + workers, "train.slices=" + slices, "output.curve=false"});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  CHECK(run.results["final"]["objective"].get<double>() == Approx(10529.311404).epsilon(1e-7).scale(0));
  CHECK(run.results["config"]["data"]["features"] == 123);
  if (slices == "2") {
    static const std::string first_hash = run.hash();
    CHECK(run.hash() == first_hash);
  }
}

TEST_CASE("five passes over a9a predict its test set, and a killed server and worker change no bit") {
  if (!has_a9a()) {
    return;
  }
  const std::string optimizer =
      GENERATE("{kind: ftrl, learning_rate: 0.3, beta: 1}", "{kind: adagrad, learning_rate: 0.1}");
  CAPTURE(optimizer);
  const Bench bench;
  const Run run(bench, "run", configs_folder / "a9a_ftrl.yaml", {"train.optimizer=" + optimizer, "output.curve=false"});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  CHECK(run.results["faults"].size() >= 2);
  CHECK(run.results["equals_fault_free"] == true);
  CHECK(run.results["final"]["test_accuracy"] >= 0.848);
  CHECK(run.results["final"]["test_auc"] >= 0.900);
  CHECK(run.results["final"]["test_loss"] <= 0.327);
  CHECK(run.output.find("AUC 0.90") != std::string::npos);
}

/// Four samples that two features tell apart; the third is named by the test set only, by an explicit zero.
class Toy {
 public:
  explicit Toy(const Bench& bench) : folder_(bench / "toy") {
    fs::create_directory(folder_);
    put("toy", "+1 1:1\n-1 2:1\n+1 1:2\n-1 2:0.5\n");
    put("toy.t", "+1 1:1\n-1 2:1 3:0\n");
    std::ofstream(config()) << "name: small\n"
                               "model: {kind: sparse_logistic_regression}\n"
                               "data: {kind: libsvm, path: "
                            << folder_.string()
                            << "}\ncluster: {servers: 2, workers: 2, timeouts: {run_timeout_ms: 50000}}\n"
                               "train: {iterations: 50, slices: 3, batch: 0}\n"
                               "output: {curve: false}\n";
  }
  fs::path config() const { return folder_ / "toy.yaml"; }
  void put(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }

 private:
  fs::path folder_;
};

TEST_CASE("the number of features is found in both files, explicit zeros included") {
  const Bench bench;
  const Toy toy(bench);
  const Run run(bench, "run", toy.config(), {});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  CHECK(run.results["config"]["data"]["features"] == 3);
  CHECK(run.results["final"]["test_accuracy"] == 1.0);
  CHECK(run.results["final"]["test_auc"] == 1.0);
  CHECK(run.results["final"]["train_loss"].get<double>() < 0.5);
}

TEST_CASE("a line that is wrong stops the run before it begins, and is named") {
  const Bench bench;
  const Toy toy(bench);
  toy.put("toy.t", "+1 1:1\n-1 2:1 2:1\n");
  const Run run(bench, "run", toy.config(), {});
  CHECK(run.exit == ProcessExit{false, 2});
  CHECK(run.output.find("toy.t:2: the index in '2:1' comes after 2") != std::string::npos);
}

TEST_CASE("data with more features than the configuration says is refused") {
  const Bench bench;
  const Toy toy(bench);
  const Run run(bench, "run", toy.config(), {"data.features=2"});
  CHECK(run.exit == ProcessExit{false, 2});
  CHECK(run.output.find("toy.t:2: the index in '3:0' is above") != std::string::npos);
}

}  // namespace
}  // namespace ringps
