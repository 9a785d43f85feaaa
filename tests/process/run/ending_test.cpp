// How runs end that do not come to their end by themselves, and what psctl says of them.
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

/// A run that would take for ever.
std::vector<std::string> endless(const Bench& bench) {
  return {"run", bench.config().string(), "--run-dir", (bench / "run").string(), "train.iterations=1000000000"};
}

TEST_CASE("SIGINT and SIGTERM end a run in good order, with results and exit code 130") {
  const int signal = GENERATE(SIGINT, SIGTERM);
  const Bench bench;
  Psctl psctl(bench, endless(bench));
  psctl.wait_for_iteration(bench / "run", 20);
  psctl.send_signal(signal);
  CHECK(psctl.wait() == ProcessExit{false, 130});
  const auto results = read_json(bench / "run" / "results.json");
  CHECK(results["total_time"].size() >= 10);
  CHECK(results["final_weights_sha256"].is_null());
  CHECK(results["faults"].empty());
  CHECK(!fs::is_empty(bench / "run" / "checkpoints"));
}

TEST_CASE("a second SIGINT ends a run at once") {
  const Bench bench;
  Psctl psctl(bench, endless(bench));
  psctl.wait_for_iteration(bench / "run", 1);
  kill(pid_of(bench / "run", "coordinator"), SIGSTOP);  // nobody is there to end it in good order
  psctl.send_signal(SIGINT);
  psctl.wait_for_output("SIGINT");
  psctl.send_signal(SIGINT);
  CHECK(psctl.wait() == ProcessExit{false, 130});
}

TEST_CASE("a launcher that is killed takes everything with it") {
  const Bench bench;
  Psctl psctl(bench, endless(bench));
  psctl.wait_for_iteration(bench / "run", 5);
  CHECK(!bench.alive(0).empty());
  psctl.send_signal(SIGKILL);
  CHECK(psctl.wait() == ProcessExit{true, SIGKILL});
  CHECK(bench.alive(5000).empty());
}

TEST_CASE("a run that takes longer than it may ends with exit code 4") {
  const Bench bench;
  const Run run(bench, "run", {"train.iterations=1000000000", "cluster.timeouts.run_timeout_ms=1500"});
  CHECK(run.exit == ProcessExit{false, 4});
  CHECK(run.output.find("run_timeout_ms") != std::string::npos);
}

TEST_CASE("weights that grow beyond all numbers end the run with an error that names iteration, slice and tensor") {
  const Bench bench;
  const Run run(bench, "run", {"train.optimizer.learning_rate=1e6", "train.optimizer.weight_decay=1e6"});
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 1});
  for (const char* word : {"iteration", "slice", "fc_weights"}) {
    CHECK(run.output.find(word) != std::string::npos);
  }
}

TEST_CASE("a run without anybody left, and nobody to be started again, is unreachable") {
  const Bench bench;
  auto arguments = endless(bench);
  arguments.insert(arguments.end(), {"cluster.restart=never", "cluster.servers=1"});
  Psctl psctl(bench, arguments);
  psctl.wait_for_iteration(bench / "run", 1);
  kill(pid_of(bench / "run", "server0"), SIGKILL);
  CHECK(psctl.wait() == ProcessExit{false, 3});
  CHECK(psctl.output().find("no server is left") != std::string::npos);
}

TEST_CASE("mistakes of usage and configuration have exit code 2 and say where they are") {
  const Bench bench;
  const Run unknown(bench, "run", {"train.iteratons=5"});
  CHECK(unknown.exit == ProcessExit{false, 2});
  CHECK(unknown.output.find("did you mean") != std::string::npos);
  CHECK(!fs::exists(bench / "run"));
  const Run no_data(bench, "run", {"data.kind=mnist", "data.path=/nonexistent"});
  CHECK(no_data.exit == ProcessExit{false, 2});
  CHECK(no_data.output.find("psctl data fetch mnist") != std::string::npos);
  Psctl flag(bench, {"run", "--no-such-flag"});
  CHECK(flag.wait() == ProcessExit{false, 2});
}

TEST_CASE("status, health and stop speak with a running cluster, and say when there is none") {
  const Bench bench;
  Psctl psctl(bench, endless(bench));
  const Status status = psctl.wait_for_iteration(bench / "run", 5);
  CHECK(status.processes.size() == 5);
  const std::string run_dir = (bench / "run").string();
  const auto ask = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--run-dir", run_dir});
    Psctl asking(bench, arguments);
    const auto exit = asking.wait();
    return std::pair(exit.code, asking.output());
  };
  CHECK(ask({"status"}).second.find("worker1") != std::string::npos);
  const auto json = nlohmann::json::parse(ask({"status", "--json"}).second);
  CHECK(json["state"] == "running");
  CHECK(json["settled"] == true);
  CHECK(json["waiting"].is_array());
  REQUIRE(json["servers"].size() == 3);
  CHECK(json["servers"][0]["stays"] == true);
  CHECK(ask({"health"}).first == 0);
  CHECK(ask({"health", "--id", "server2"}).first == 0);
  CHECK(ask({"health", "--id", "server9"}).first == 3);
  CHECK(ask({"servers", "drain", "worker0"}).first == 2);
  Psctl watching(bench, {"status", "--watch", "--run-dir", run_dir});
  watching.wait_for_output("worker1");
  CHECK(ask({"stop"}).first == 0);
  CHECK(watching.wait() == ProcessExit{false, 0});
  CHECK(watching.output().find("interrupted: iteration") != std::string::npos);
  CHECK(psctl.wait() == ProcessExit{false, 130});
  const auto [code, text] = ask({"status"});  // its last word
  CHECK(code == 0);
  CHECK(text.starts_with("interrupted: iteration"));
  CHECK(ask({"health"}).first == 3);
  Psctl again(bench, endless(bench));
  CHECK(again.wait() == ProcessExit{false, 2});
  CHECK(again.output().find("--overwrite") != std::string::npos);
}

TEST_CASE("a server and a worker that are told to end leave, and the run goes on without them") {
  const Bench bench;
  Psctl psctl(bench, endless(bench));
  psctl.wait_for_iteration(bench / "run", 5);
  for (const char* member : {"server1", "worker0"}) {
    kill(pid_of(bench / "run", member), SIGTERM);
    psctl.wait_for_output(std::string(member) + " (pid");
    const auto reached = psctl.wait_for_iteration(bench / "run", 5).iteration.value;
    psctl.wait_for_iteration(bench / "run", reached + 20);
  }
  psctl.send_signal(SIGINT);
  CHECK(psctl.wait() == ProcessExit{false, 130});
  CHECK(psctl.output().find("exited with code 130") != std::string::npos);
}

TEST_CASE("a sweep runs all combinations and ends with a table of them") {
  const Bench bench;
  Psctl psctl(bench, {"run", bench.config().string(), "--run-dir", (bench / "sweep").string(), "-m",
                      "train.iterations=20", "cluster.servers=1,2"});
  CHECK(psctl.wait() == ProcessExit{false, 0});
  CHECK(psctl.output().find("iterations/s") != std::string::npos);
  const auto one = read_json(bench / "sweep" / "1" / "results.json");
  const auto two = read_json(bench / "sweep" / "2" / "results.json");
  CHECK(one["config"]["cluster"]["servers"] == 1);
  CHECK(two["config"]["cluster"]["servers"] == 2);
  CHECK(one["final_weights_sha256"] == two["final_weights_sha256"]);
}

TEST_CASE("without --run-dir a run makes a new folder under runs") {
  const Bench bench;
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(bench.config().parent_path());
  Psctl psctl(bench, {"run", "small.yaml", "train.iterations=10"});
  std::filesystem::current_path(here);
  INFO(psctl.output());
  CHECK(psctl.wait() == ProcessExit{false, 0});
  CHECK(std::filesystem::exists(bench / "runs" / "small-1" / "results.json"));
}

TEST_CASE("--output copies the results, and the run's folder says who took part") {
  const Bench bench;
  const auto copy = bench / "copy.json";
  const Run run(bench, "run", {"--output", copy.string(), "--quiet"});
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.output.empty());
  CHECK(read_json(copy) == run.results);
  CHECK(run.results["total_time"].size() == 60);
  CHECK(run.results["evaluation_iterations"] == nlohmann::json({0, 20, 40, 60}));
  const auto processes = read_json(bench / "run" / "processes.json");
  REQUIRE(processes.size() == 6);
  CHECK(processes[0]["role"] == "coordinator");
  for (const auto& process : processes) {
    CHECK(process["pid"].get<int>() > 0);
    CHECK(process["incarnation"].get<std::uint64_t>() > 0);
  }
}

}  // namespace
}  // namespace ringps
