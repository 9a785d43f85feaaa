// The files in configs/ are what newcomers start with.
#include <filesystem>

#include "tests/unit/config/config_test_support.hpp"

namespace ringps {

namespace {

const std::filesystem::path configs_folder = std::filesystem::path(RINGPS_SOURCE_DIR) / "configs";

Config file(const std::string& name, const Overrides& overrides = {}) {
  const auto config = load_config(configs_folder / name, overrides);
  INFO((config.ok() ? "" : config.error()));
  REQUIRE(config.ok());
  return *config;
}

}  // namespace

TEST_CASE("every file in configs loads, and no two have the same name") {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(configs_folder)) {
    if (entry.is_regular_file()) {
      INFO(entry.path());
      CHECK(entry.path().extension() == ".yaml");
      names.push_back(file(std::filesystem::relative(entry.path(), configs_folder)).name);
    }
  }
  CHECK(names.size() >= 8);
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("the quick start needs no data, kills a server half-way and compares with the run without") {
  const Config config = file("quickstart.yaml");
  CHECK(config.data.kind == DataConfig::Kind::synthetic);
  CHECK(config.faults.size() == 1);
  CHECK(config.faults[0].at_iteration == config.train.iterations / 2);
  CHECK(config.verify.fault_free);
}

TEST_CASE("the rehearsal of faults shows kinds of all sorts and needs no data") {
  const Config config = file("faults.yaml");
  CHECK(config.data.kind == DataConfig::Kind::synthetic);
  CHECK(config.faults.size() >= 10);
  CHECK(config.random_faults.any());
  CHECK(config.verify.fault_free);
}

TEST_CASE("the optimum of a9a is of the mean loss with the prior's share, and its stream is five passes under faults") {
  const Config optimum = file("a9a.yaml");
  CHECK(optimum.train.batch == 0);
  CHECK(optimum.train.optimizer.weight_decay * 32561 == Approx(1).epsilon(1e-12));
  const Config stream = file("a9a_ftrl.yaml");
  CHECK(stream.train.iterations * stream.train.slices * stream.train.batch == 5 * 32561 + 11);
  CHECK(stream.faults.size() == 2);
  CHECK(stream.cluster.replicas == 2);
  CHECK(stream.verify.fault_free);
}

TEST_CASE("the rows of figure 3 come from overrides") {
  CHECK(file("figures/figure3.yaml", {"cluster.servers=4", "cluster.workers=3"}).train.slices == 12);
}

TEST_CASE("the curves of figure 4 come from overrides") {
  CHECK(file("figures/figure4.yaml", {"faults=[{at_iteration: 40, kill: server4}]"}).faults.size() == 1);
}

TEST_CASE("the live demo is figure 4 with a failure") {
  Config demo = file("live_demo.yaml");
  CHECK(demo.faults == std::vector{kill_at(60, "server4")});
  demo.faults.clear();
  const Config figure = file("figures/figure4.yaml");
  demo.name = figure.name;
  demo.train.iterations = figure.train.iterations;  // the figure's best accuracies are of longer runs
  CHECK(demo == figure);
}

}  // namespace ringps
