// Whatever is killed, and whoever does the work: the same final weights, bit for bit.
#include <catch2/catch.hpp>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

/// The weights of the bench's experiment without faults, computed once.
const std::string& fault_free_hash() {
  static const std::string hash = [] {
    const Bench bench;
    const Run run(bench, "reference", {});
    REQUIRE(run.exit == ProcessExit{false, 0});
    return run.hash();
  }();
  return hash;
}

/// Runs with these overrides, and expects the weights of the fault-free run.
Run check_same_weights(std::vector<std::string> overrides) {
  const std::string& expected = fault_free_hash();
  const Bench bench;
  Run run(bench, "run", std::move(overrides));
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.hash() == expected);
  return run;
}

TEST_CASE("the number of servers and workers and the transport do not change the weights") {
  const auto [servers, workers, transport] = GENERATE(table<std::string, std::string, std::string>(
      {{"1", "1", "tcp"}, {"2", "4", "ipc"}, {"3", "1", "ipc"}, {"5", "2", "tcp"}, {"5", "4", "ipc"}}));
  CAPTURE(servers, workers, transport);
  check_same_weights({"cluster.servers=" + servers, "cluster.workers=" + workers, "cluster.transport=" + transport});
}

TEST_CASE(
    "a server killed before, at or after the version of a checkpoint is rolled back and replayed to the same weights") {
  const auto [servers, workers, iteration, transport] =
      GENERATE(table<std::string, std::string, std::string, std::string>({{"2", "1", "29", "tcp"},
                                                                          {"3", "2", "30", "ipc"},
                                                                          {"5", "4", "31", "tcp"},
                                                                          {"5", "1", "30", "ipc"},
                                                                          {"2", "4", "1", "tcp"}}));
  CAPTURE(servers, workers, iteration, transport);
  const auto run =
      check_same_weights({"cluster.servers=" + servers, "cluster.workers=" + workers, "cluster.transport=" + transport,
                          "faults=[{at_iteration: " + iteration + ", kill: server1}]"});
  REQUIRE(run.results["faults"].size() == 1);
  const auto& fault = run.results["faults"][0];
  CHECK(fault["what"] == "kill");
  CHECK(fault["whom"] == "server1");
  CHECK(fault["iteration"] == std::stoi(iteration));
  CHECK(fault["scheduled"] == true);
  CHECK(fault["detected_after"].is_number());
}

TEST_CASE("a server killed while checkpoints are written all the time changes nothing") {
  const std::string iteration = GENERATE("17", "18");
  CAPTURE(iteration);
  check_same_weights(
      {"checkpoint.interval=1", "checkpoint.wait=true", "faults=[{at_iteration: " + iteration + ", kill: server0}]"});
}

TEST_CASE("a worker that is killed is replaced by others, and nothing is rolled back") {
  const std::string workers = GENERATE("2", "4");
  const auto run = check_same_weights({"cluster.workers=" + workers, "faults=[{at_iteration: 25, kill: worker1}]"});
  REQUIRE(run.results["faults"].size() == 1);
  CHECK(run.results["faults"][0]["iterations_replayed"] == 0);
}

TEST_CASE("the only worker and the only server are started again when they are killed") {
  const auto run =
      check_same_weights({"cluster.servers=1", "cluster.workers=1",
                          "faults=[{at_iteration: 15, kill: worker0}, {at_iteration: 35, kill: server0}]"});
  CHECK(run.results["faults"].size() == 2);
}

TEST_CASE("a server and a worker killed in one run change nothing") {
  check_same_weights({"cluster.workers=4", "cluster.transport=ipc",
                      "faults=[{at_iteration: 33, kill: server2}, {at_iteration: 33, kill: worker0}]"});
}

TEST_CASE("two servers killed one after the other change nothing") {
  const auto run =
      check_same_weights({"faults=[{at_iteration: 22, kill: server0}, {at_iteration: 47, kill: server2}]"});
  CHECK(run.results["faults"].size() == 2);
}

TEST_CASE("one server killed twice, in two lives, changes nothing") {
  const auto run =
      check_same_weights({"cluster.servers=1", "cluster.workers=4",
                          "faults=[{at_iteration: 22, kill: server0}, {at_iteration: 47, kill: server0}]"});
  CHECK(run.results["faults"].size() == 2);
}

TEST_CASE("a server that is always started again joins at the next restore") {
  check_same_weights(
      {"cluster.restart=always", "faults=[{at_iteration: 22, kill: server0}, {at_iteration: 47, kill: server1}]"});
}

TEST_CASE(
    "a coordinator killed from outside is started again, and the run goes on from its journal to the same weights") {
  const std::string& expected = fault_free_hash();
  const Bench bench;
  // Waiting for every checkpoint makes the run long enough to be met half-way.
  Psctl psctl(bench, {"run", bench.config().string(), "--run-dir", (bench / "run").string(), "checkpoint.interval=1",
                      "checkpoint.wait=true"});
  psctl.wait_for_iteration(bench / "run", 3);
  const pid_t coordinator = pid_of(bench / "run", "coordinator");
  REQUIRE(coordinator > 0);
  kill(coordinator, SIGKILL);
  CHECK(psctl.wait() == ProcessExit{false, 0});
  INFO(psctl.output());
  CHECK(read_json(bench / "run" / "results.json")["final_weights_sha256"] == expected);
}

TEST_CASE("a run resumes a checkpoint onto another number of servers and ends in the same weights") {
  const std::string& expected = fault_free_hash();
  const Bench bench;
  const Run first(bench, "first", {"train.iterations=30", "cluster.servers=3"});
  INFO(first.output);
  REQUIRE(first.exit == ProcessExit{false, 0});
  const std::string servers = GENERATE("1", "2", "5");
  const Run second(bench, "second-" + servers,
                   {"cluster.servers=" + servers, "checkpoint.resume=" + (bench / "first").string()});
  INFO(second.output);
  CHECK(second.exit == ProcessExit{false, 0});
  CHECK(second.hash() == expected);
  CHECK(second.results["total_time"].size() == 30);
}

TEST_CASE("the fault-free twin of a run has the same weights, and psctl says so") {
  const Bench bench;
  const Run run(bench, "run", {"verify.fault_free=true", "faults=[{at_iteration: 25, kill: server0}]"});
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.results["equals_fault_free"] == true);
  CHECK(run.output.find("bit for bit") != std::string::npos);
}

TEST_CASE("with worker_scope: server, a server that is killed takes its workers along and the run goes on") {
  const Bench bench;
  const Run run(bench, "run",
                {"cluster.worker_scope=server", "train.slices=0", "cluster.workers=2", "checkpoint.wait=true",
                 "faults=[{at_iteration: 25, kill: server2}]"});
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.results["iterations_completed"] == 60);
}

}  // namespace
}  // namespace ringps
