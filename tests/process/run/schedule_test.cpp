// Faults of all kinds, from a schedule or from a seed: the same final weights, bit for bit, and a record of each.
#include <catch2/catch.hpp>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

/// Long enough for a pause to be noticed in the middle of it.
const std::vector<std::string> longer = {"train.iterations=3000", "cluster.timeouts.failure_timeout_ms=300",
                                         "checkpoint.interval=100"};

Run run_with(const Bench& bench, const std::string& name, std::vector<std::string> overrides) {
  overrides.insert(overrides.begin(), longer.begin(), longer.end());
  return {bench, name, std::move(overrides)};
}

/// The weights of the longer experiment without faults, computed once.
const std::string& longer_hash() {
  static const std::string hash = [] {
    const Bench bench;
    return run_with(bench, "reference", {}).hash();
  }();
  return hash;
}

/// Runs with these faults, and expects the weights of the run without. Returns the records of those that were
/// scheduled: where the machine is busy, somebody may be silent for too long by itself.
nlohmann::json faults_of(std::vector<std::string> overrides) {
  const std::string& expected = longer_hash();
  const Bench bench;
  const Run run = run_with(bench, "run", std::move(overrides));
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.hash() == expected);
  auto scheduled = nlohmann::json::array();
  for (const auto& fault : run.results["faults"]) {
    CHECK(fault["updates_lost"] == 0);
    if (fault["scheduled"] == true) {
      scheduled.push_back(fault);
    }
  }
  return scheduled;
}

TEST_CASE("a server that is paused for long is removed, and comes back as another incarnation") {
  const auto faults = faults_of({"faults=[{at_iteration: 300, pause: server1, for_seconds: 0.8}]"});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0]["what"] == "pause");
  CHECK(faults[0]["whom"] == "server1");
  CHECK(faults[0]["iteration"] == 300);
  CHECK(faults[0]["scheduled"] == true);
  CHECK(faults[0]["took_place"] == true);
  CHECK(faults[0]["detected_after"].is_number());
  CHECK(faults[0]["longest_stall"].is_number());
}

TEST_CASE("a pause that nobody has to notice stalls training for as long as it lasts") {
  const auto faults = faults_of({"faults=[{at_iteration: 300, pause: server1}, {at_seconds: 1.2, resume: server1}]",
                                 "cluster.timeouts.failure_timeout_ms=20000"});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0]["detected_after"].is_null());
  CHECK(faults[0]["longest_stall"] >= 0.1);
  CHECK(faults[0]["recovered_after"] >= 0.1);
}

TEST_CASE("the coordinator is killed and paused by the schedule, and training does not mind") {
  const auto faults = faults_of(
      {"faults=[{at_iteration: 500, kill: coordinator}, {at_iteration: 1500, pause: coordinator, for_seconds: 0.3}]"});
  REQUIRE(faults.size() == 2);
  CHECK(faults[0]["what"] == "kill");
  CHECK(faults[0]["recovered_after"].is_number());
  CHECK(faults[1]["what"] == "pause");
}

TEST_CASE("cuts and slow links, one way and both, change nothing") {
  const std::string faults = GENERATE(
      as<std::string>{},
      "{at_iteration: 200, cut: [server1, workers], for_seconds: 0.2}, "
      "{at_iteration: 900, slow: [workers, servers], delay_ms: 3, bytes_per_second: 2000000, for_seconds: 0.3}",
      "{at_iteration: 200, cut: [server0, coordinator], one_way: true}, "
      "{at_iteration: 1500, heal: [server0, coordinator]}",
      // The coordinator last: while nobody hears it, nobody knows when the next fault is due.
      "{at_iteration: 200, cut: [worker0, server2], one_way: true, for_seconds: 0.3}, "
      "{at_iteration: 900, cut: [coordinator, all], for_seconds: 0.8}");
  CAPTURE(faults);
  for (const auto& fault : faults_of({"faults=[" + faults + "]"})) {
    INFO(fault.dump());
    CHECK(fault["took_place"] == true);
  }
}

TEST_CASE("a one-way cut from a server to the coordinator removes the server, though it hears everything") {
  const auto faults =
      faults_of({"faults=[{at_iteration: 200, cut: [server0, coordinator], one_way: true, for_seconds: 0.8}]"});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0]["whom"] == "server0 → coordinator");
  CHECK(faults[0]["detected_after"] >= 0.2);
}

TEST_CASE("a worker that is added takes part, under a name that nobody has had") {
  const auto faults =
      faults_of({"faults=[{at_iteration: 300, add: worker, count: 2}, {at_seconds: 0.1, kill: worker0}]"});
  REQUIRE(faults.size() == 2);
  const auto& added = faults[0]["what"] == "add" ? faults[0] : faults[1];
  CHECK(added["whom"] == "worker2, worker3");
  CHECK(added["recovered_after"].is_number());
}

TEST_CASE("a server without blocks comes to no iteration, and is killed at it all the same") {
  // Of these five, server1 holds the weights and server4 the bias.
  const auto faults =
      faults_of({"cluster.servers=5", "cluster.block_elements=65536", "faults=[{at_iteration: 300, kill: server2}]"});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0]["took_place"] == true);
  CHECK(faults[0]["detected_after"].is_number());
}

TEST_CASE("what did not take place says why") {
  const auto faults = faults_of(
      {"faults=[{at_iteration: 500, kill: server2}, {at_iteration: 900, kill: server2}, {at_seconds: 3000, kill: "
       "worker0}, {at_iteration: 1000, resume: server0}]"});
  REQUIRE(faults.size() == 4);
  CHECK(faults[0]["took_place"] == true);
  for (std::size_t i = 1; i < 4; ++i) {
    CHECK(faults[i]["took_place"] == false);
    CHECK(faults[i]["why_not"].is_string());
  }
}

TEST_CASE("faults at random moments change nothing, and the fault-free twin has none of them") {
  const std::string seed = GENERATE("1", "2");
  const Bench bench;
  const Run run = run_with(bench, "run",
                           {"cluster.restart=always", "random_faults.seed=" + seed, "random_faults.kills_per_minute=60",
                            "random_faults.pauses_per_minute=60", "random_faults.cuts_per_minute=60",
                            "random_faults.slowdowns_per_minute=60", "random_faults.adds_per_minute=30",
                            "random_faults.for_seconds=0.3", "verify.fault_free=true"});
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.hash() == longer_hash());
  CHECK(run.results["equals_fault_free"] == true);
  CHECK_FALSE(run.results["faults"].empty());
  CHECK(run.output.find("without faults: fault") == std::string::npos);
}

TEST_CASE("after a loss of power the same command goes on from the last committed checkpoint") {
  const Bench bench;
  const std::vector<std::string> command = {"run",
                                            bench.config().string(),
                                            "--run-dir",
                                            (bench / "run").string(),
                                            "checkpoint.wait=true",
                                            "checkpoint.interval=1",
                                            "checkpoint.resume=latest",
                                            "train.iterations=4000"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return more;
  };
  const Run reference(bench, "reference", {"train.iterations=4000"});
  const Run start(bench, "run", {"train.iterations=5"});
  REQUIRE(start.exit == ProcessExit{false, 0});
  for (const std::uint64_t reached : {15U, 60U}) {  // everything dies at once, with whatever was half-way
    Psctl psctl(bench, with({}));
    psctl.wait_for_iteration(bench / "run", reached);
    psctl.send_signal(SIGKILL);
    CHECK(psctl.wait() == ProcessExit{true, SIGKILL});
    CHECK(bench.alive(5000).empty());
  }
  Psctl last(bench, with({"cluster.servers=2", "cluster.workers=3", "checkpoint.interval=500"}));
  CHECK(last.wait() == ProcessExit{false, 0});
  UNSCOPED_INFO(last.output());
  const auto results = read_json(bench / "run" / "results.json");
  CHECK(results["final_weights_sha256"] == reference.hash());
  CHECK(results["total_time"].size() <= 3940);
  Psctl other_slices(bench, with({"train.slices=5"}));
  CHECK(other_slices.wait() == ProcessExit{false, 2});
  CHECK(other_slices.output().find("set train.slices=4") != std::string::npos);
}

}  // namespace
}  // namespace ringps
