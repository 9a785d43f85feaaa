// Models with tables, whose truth is known: it is found, and the same bits come out whatever fails.
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

TEST_CASE(
    "the factors of ratings are found down to their noise, with the same bits when servers and workers come and go") {
  const Bench bench;
  const std::string faults =
      "faults=[{at_iteration: 500, kill: server1}, {at_iteration: 1000, kill: worker0}, "
      "{at_iteration: 1500, add: server}, {at_iteration: 2200, drain: server0}]";
  const Run run(
      bench, "run", configs_folder / "ratings.yaml",
      {"cluster.servers=3", "tables.expire_after=1000", "output.curve=false", "verify.fault_free=true", faults});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  CHECK(run.results["equals_fault_free"] == true);
  CHECK(run.results["final"]["rows"] == 3000);
  CHECK(run.results["final"]["test_error"].get<double>() < 1.1 * run.results["final"]["truth_error"].get<double>());
  for (const auto& fault : run.results["faults"]) {
    CHECK(fault["updates_lost"] == 0);
    CHECK(fault["iterations_replayed"] == 0);
  }
}

TEST_CASE("a run over tables goes on from a checkpoint on other servers to the same bits") {
  const Bench bench;
  const std::vector<std::string> smaller{"train.iterations=600", "checkpoint.interval=200", "checkpoint.wait=true",
                                         "output.curve=false", "data.train_samples=20000"};
  const Run whole(bench, "whole", configs_folder / "ratings.yaml", smaller);
  INFO(whole.output);
  REQUIRE(whole.exit == ProcessExit{false, 0});
  std::vector<std::string> resumed = smaller;
  resumed.emplace_back("cluster.servers=4");
  resumed.emplace_back("cluster.replicas=1");
  resumed.push_back("checkpoint.resume=" + (bench / "whole" / "checkpoints" / "iteration-0000000400").string());
  const Run again(bench, "again", configs_folder / "ratings.yaml", resumed);
  INFO(again.output);
  REQUIRE(again.exit == ProcessExit{false, 0});
  CHECK(again.hash() == whole.hash());
  CHECK(whole.results["evaluation_iterations"].back() == 600);
  CHECK(again.results["evaluation_iterations"] == nlohmann::json{600});  // and not the one that it began with
  CHECK(again.results["loss"].back() == whole.results["loss"].back());
}

TEST_CASE("a server that would hold more rows than it may ends the run, and says what to do") {
  const Bench bench;
  const Run run(bench, "run", configs_folder / "ratings.yaml",
                {"tables.rows_per_server=100", "train.iterations=50", "output.curve=false"});
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 1});
  CHECK(run.output.find("tables.rows_per_server allows 100") != std::string::npos);
}

TEST_CASE("a factorisation machine learns clicks better than their mean does") {
  const Bench bench;
  const Run run(bench, "run", configs_folder / "clicks.yaml",
                {"data.features=2000", "model.factors=0", "data.train_samples=50000", "data.test_samples=5000",
                 "train.iterations=800", "evaluate.samples=0", "cluster.replicas=1", "output.curve=false"});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  const auto final = run.results["final"];
  CHECK(final["test_auc"].get<double>() > 0.75);
  CHECK(final["test_loss"].get<double>() < 1.15 * final["truth_loss"].get<double>());
  CHECK(run.results["evaluation_iterations"].back() == 800);
  CHECK(run.results["accuracy"].back() == 100 * final["test_accuracy"].get<double>());
  CHECK(run.results["loss"].back() == final["test_loss"]);
}

}  // namespace
}  // namespace ringps
