// Values in shared memory: the same weights as by sockets, also when processes are killed that others read.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

/// With blocks and gradients that are large enough to be lent.
std::vector<std::string> large_model(std::vector<std::string> more) {
  std::vector<std::string> overrides{"model={kind: mlp, hidden: [128]}", "cluster.block_elements=8192",
                                     "cluster.message_bytes=131072"};
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

const std::string& hash_by_sockets() {
  static const std::string hash = [] {
    const Bench bench;
    const Run run(bench, "reference", large_model({"cluster.shared_memory=false"}));
    REQUIRE(run.exit == ProcessExit{false, 0});
    return run.hash();
  }();
  return hash;
}

void check_as_by_sockets(std::vector<std::string> overrides) {
  const std::string& expected = hash_by_sockets();
  const Bench bench;
  const Run run(bench, "run", large_model(std::move(overrides)));
  INFO(run.output);
  CHECK(run.exit == ProcessExit{false, 0});
  CHECK(run.hash() == expected);
}

/// Whether a process has another one's values mapped.
bool borrows(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:ringps-values") != std::string::npos && line.find(" r--s ") != std::string::npos) {
      return true;
    }
  }
  return false;
}

TEST_CASE("values in shared memory give the same weights as values that are sent") {
  const auto [servers, workers, transport] =
      GENERATE(table<std::string, std::string, std::string>({{"1", "1", "auto"}, {"3", "2", "ipc"}}));
  CAPTURE(servers, workers, transport);
  check_as_by_sockets({"cluster.servers=" + servers, "cluster.workers=" + workers, "cluster.transport=" + transport});
}

TEST_CASE("servers and workers that are killed while others read their values change nothing") {
  const std::string replicas = GENERATE("1", "2");
  CAPTURE(replicas);
  check_as_by_sockets({"cluster.replicas=" + replicas,
                       "faults=[{at_iteration: 11, kill: worker0}, {at_iteration: 23, kill: server1}, {at_iteration: "
                       "35, kill: worker1}, {at_iteration: 44, kill: server2}]"});
}

TEST_CASE("servers that come and go change nothing where values are in shared memory") {
  check_as_by_sockets(
      {"cluster.replicas=2",
       "faults=[{at_iteration: 10, add: server}, {at_iteration: 20, drain: server0}, {at_iteration: 30, "
       "add: worker}]"});
}

TEST_CASE("processes of one host read each other's values, unless they are told not to") {
  const std::string shared = GENERATE("true", "false");
  CAPTURE(shared);
  const Bench bench;
  Psctl run(bench,
            {"run", bench.config().string(), "--run-dir", (bench / "run").string(), "model={kind: mlp, hidden: [128]}",
             "cluster.replicas=2", "train.iterations=1000000", "cluster.shared_memory=" + shared});
  run.wait_for_iteration(bench / "run", 20);
  for (const char* id : {"server0", "server1", "worker0", "worker1"}) {
    CAPTURE(id);
    CHECK(borrows(pid_of(bench / "run", id)) == (shared == "true"));
  }
  CHECK_FALSE(borrows(pid_of(bench / "run", "coordinator")));  // it would keep the memory of the dead
  run.send_signal(SIGINT);
  run.wait();
}

}  // namespace
}  // namespace ringps
