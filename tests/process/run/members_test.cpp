// Members that come and go while a cluster trains, from the command line and from a schedule.
#include <catch2/catch.hpp>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

/// Runs a psctl command against the run in bench / "run"; its exit code and what it says.
std::pair<int, std::string> ask(const Bench& bench, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--run-dir", (bench / "run").string()});
  Psctl asking(bench, arguments);
  const int code = asking.wait().code;
  return {code, asking.output()};
}

/// The status, once it is as asked for.
void wait_for(const Psctl& psctl, const Bench& bench, const std::function<bool(const nlohmann::json&)>& holds) {
  psctl.wait_until([&] {
    const auto status = nlohmann::json::parse(ask(bench, {"status", "--json"}).second, nullptr, false);
    return status.is_object() && holds(status);
  });
}

bool is_member(const nlohmann::json& status, const std::string& id) {
  for (const auto& process : status["processes"]) {
    if (process["id"] == id) {
      return process["member"];
    }
  }
  return false;
}

/// What the launcher knows of a process: "running", or how it ended.
std::string end_of(const Bench& bench, const std::string& id) {
  for (const auto& process : read_json(bench / "run" / "processes.json")) {
    if (process["id"] == id) {
      return process["state"];
    }
  }
  return "unknown";
}

TEST_CASE("members are added, drained and killed from the command line while the cluster trains") {
  const Bench bench;
  Psctl psctl(bench, {"run", bench.config().string(), "--run-dir", (bench / "run").string(), "cluster.replicas=2",
                      "train.iterations=1000000000"});
  psctl.wait_for_iteration(bench / "run", 5);

  CHECK(ask(bench, {"servers", "add"}).first == 0);
  wait_for(psctl, bench, [](const auto& status) { return is_member(status, "server3") && status["settled"]; });
  CHECK(ask(bench, {"workers", "add", "--count", "2"}).first == 0);
  wait_for(psctl, bench, [](const auto& s) { return is_member(s, "worker2") && is_member(s, "worker3"); });

  CHECK(ask(bench, {"servers", "drain", "server0"}).first == 0);
  wait_for(psctl, bench, [](const auto& s) { return !is_member(s, "server0") && s["settled"]; });
  CHECK(ask(bench, {"workers", "drain", "worker0"}).first == 0);
  wait_for(psctl, bench, [](const auto& s) { return !is_member(s, "worker0"); });

  const pid_t victim = pid_of(bench / "run", "server1");
  REQUIRE(victim > 0);
  CHECK(ask(bench, {"servers", "kill", "server1"}).first == 0);
  wait_for(psctl, bench, [](const auto& s) { return !is_member(s, "server1") && s["settled"]; });

  for (const char* drained : {"server0", "worker0"}) {
    psctl.wait_until([&] { return end_of(bench, drained) == "exited with code 0"; });
  }
  const auto [code, text] = ask(bench, {"servers", "drain", "server77"});
  CHECK(code == 2);
  CHECK(text.find("server77") != std::string::npos);
  CHECK(ask(bench, {"stop"}).first == 0);
  CHECK(psctl.wait() == ProcessExit{false, 130});

  const auto results = read_json(bench / "run" / "results.json");
  bool killed = false;
  for (const auto& fault : results["faults"]) {
    INFO(fault.dump());
    killed = killed || (fault["whom"] == "server1" && fault["what"] == "kill");
    CHECK(fault["scheduled"] == false);
    CHECK(fault["whom"] != "server0");  // who is drained does not fail
    CHECK(fault["whom"] != "worker0");
    CHECK(fault["iterations_replayed"] == 0);
  }
  CHECK(killed);
}

TEST_CASE("with two replicas members come, go, die and are paused by the schedule, and nothing is replayed") {
  const Bench bench;
  const Run reference(bench, "reference", {"train.iterations=4000"});
  const Run run(bench, "run",
                {"train.iterations=4000", "cluster.replicas=2",
                 "faults=[{at_iteration: 300, add: server}, {at_iteration: 800, drain: server0}, "
                 "{at_iteration: 1300, add: worker}, {at_iteration: 1800, drain: worker0}, "
                 "{at_iteration: 2300, kill: server1}, {at_iteration: 2800, kill: worker1}]"});
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.hash() == reference.hash());
  CHECK(run.results["faults"].size() >= 6);
  for (const auto& fault : run.results["faults"]) {
    INFO(fault.dump());
    CHECK(fault["took_place"] == true);
    CHECK(fault["iterations_replayed"] == 0);
    CHECK(fault["updates_lost"] == 0);
    CHECK(fault["recovered_after"].is_number());
  }
}

}  // namespace
}  // namespace ringps
