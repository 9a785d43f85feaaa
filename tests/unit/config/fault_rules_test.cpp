#include "libps/config/write.hpp"
#include "tests/unit/config/config_test_support.hpp"

namespace ringps {
namespace {

const std::string cluster = "cluster: {servers: 3, workers: 2}\n";

/// What is wrong with the one entry of `faults`, without where.
std::string problem_of(const std::string& entry) {
  return problems(cluster + "faults: [" + entry + "]");
}

}  // namespace

TEST_CASE("every kind of fault is read, and is written back as it was given") {
  const std::string entry =
      GENERATE(as<std::string>{}, "{at_iteration: 60, kill: \"coordinator\"}", "{at_seconds: 2.5, kill: \"worker1\"}",
               "{at_iteration: 60, pause: \"server1\", for_seconds: 3.0}", "{at_seconds: 3.0, resume: \"server1\"}",
               "{at_iteration: 60, cut: [\"server0\", \"servers\"], for_seconds: 2.0, one_way: true}",
               "{at_iteration: 70, heal: [\"all\", \"all\"]}",
               "{at_iteration: 60, slow: [\"workers\", \"server2\"], delay_ms: 20, bytes_per_second: 1000000}",
               "{at_iteration: 60, add: server}", "{at_iteration: 60, add: worker, count: 2}",
               "{at_iteration: 90, drain: \"server0\"}");
  CHECK_THAT(to_yaml(loaded(cluster + "faults: [" + entry + "]")), Catch::Contains("\nfaults: [" + entry + "]"));
}

TEST_CASE("a fault is one action at one moment") {
  CHECK_THAT(problem_of("{at_iteration: 1}"),
             Catch::EndsWith("expected exactly one of kill, pause, resume, cut, heal, slow, add, drain; found none"));
  CHECK_THAT(problem_of("{at_iteration: 1, kill: server0, pause: server1}"), Catch::EndsWith("found kill and pause"));
  CHECK_THAT(problem_of("{at_iteration: 1, at_seconds: 2, kill: server0}"),
             Catch::Contains("t.yaml:2:40: faults[0].at_seconds: expected either at_iteration or at_seconds"));
  CHECK_THAT(problem_of("{at_seconds: -1, kill: server0}"), Catch::Contains("expected a number from 0 to 1000000"));
}

TEST_CASE("what says more of an action stands with that action only") {
  CHECK_THAT(problem_of("{at_iteration: 1, kill: server0, for_seconds: 3}"),
             Catch::EndsWith("faults[0].for_seconds: expected only with pause, cut, slow; found with kill"));
  CHECK_THAT(problem_of("{at_iteration: 1, pause: server0, one_way: true}"), Catch::Contains("only with cut, slow"));
  CHECK_THAT(problem_of("{at_iteration: 1, cut: [all, all], delay_ms: 5}"), Catch::Contains("only with slow"));
  CHECK_THAT(problem_of("{at_iteration: 1, drain: server0, count: 2}"), Catch::Contains("only with add"));
  CHECK_THAT(problem_of("{at_iteration: 1, slow: [all, all]}"), Catch::EndsWith("or both with it; found neither"));
}

TEST_CASE("a cut is between two names that have a connection") {
  CHECK_THAT(problem_of("{at_iteration: 1, cut: [server0]}"),
             Catch::EndsWith("expected two names, as in [server0, workers]; found 1"));
  CHECK_THAT(
      problem_of("{at_iteration: 1, cut: [server0, sevrers]}"),
      Catch::Contains("faults[0].cut[1]: expected one of coordinator, servers, workers, all, server0 … server2") &&
          Catch::EndsWith("found 'sevrers' (did you mean 'servers'?)"));
  const std::string pair =
      GENERATE(as<std::string>{}, "workers, worker1", "server0, server0", "coordinator, coordinator");
  CHECK_THAT(problem_of("{at_iteration: 1, slow: [" + pair + "], delay_ms: 1}"),
             Catch::Contains("there is no connection between"));
  loaded(cluster +
         "faults: [{at_iteration: 1, cut: [servers, servers]}, {at_iteration: 1, cut: [worker1, coordinator]}]");
}

TEST_CASE("all that is wrong with faults is said at once") {
  const std::string text =
      problem_of("{at_iteration: 1, kill: server9}, {at_seconds: x, drain: coordinator}, {add: srever}");
  CHECK_THAT(text, Catch::Contains("faults[0].kill: ") && Catch::Contains("faults[1].at_seconds: ") &&
                       Catch::Contains("faults[1].drain: expected one of server0 … server2, worker0") &&
                       Catch::Contains("faults[2].add: expected one of server, worker; found 'srever' (did you mean"));
}

TEST_CASE("a process that is added can be meant by other faults") {
  loaded(cluster + "faults: [{at_iteration: 5, add: server, count: 2}, {at_iteration: 9, kill: server4}]");
  CHECK_THAT(problem_of("{at_iteration: 5, add: server}, {at_iteration: 9, kill: server4}"),
             Catch::Contains("server0 … server3"));
}

TEST_CASE("cuts and slowness need tcp, and members change only where slices are nobody's own") {
  const std::string ipc = "cluster: {transport: ipc}\n";
  CHECK_THAT(problems(ipc + "faults: [{at_iteration: 1, cut: [all, all]}]"),
             Catch::Contains("cluster.transport: auto or tcp"));
  CHECK_THAT(problems(ipc + "random_faults: {slowdowns_per_minute: 1}"),
             Catch::Contains("random_faults.slowdowns_per_minute: needs"));
  const std::string scope = "cluster: {worker_scope: server}\n";
  CHECK_THAT(problems(scope + "faults: [{at_iteration: 1, add: worker}]"),
             Catch::Contains("faults[0].add: not possible"));
  CHECK_THAT(problems(scope + "random_faults: {drains_per_minute: 1}"),
             Catch::Contains("random_faults.drains_per_minute: not possible"));
}

TEST_CASE("a fault names a process that exists and an iteration that is reached") {
  const std::string fifty = "cluster: {servers: 3, workers: 2}\ntrain: {iterations: 50}\n";
  loaded(fifty + "faults: [{at_iteration: 50, kill: server2}, {at_iteration: 1, kill: worker1}]");
  const auto [name, hint] = GENERATE(table<std::string, std::string>({{"server3", ""},
                                                                      {"worker2", ""},
                                                                      {"server", ""},
                                                                      {"server01", ""},
                                                                      {"Server1", " (did you mean 'server1'?)"},
                                                                      {"wroker0", " (did you mean 'worker0'?)"},
                                                                      {"3", ""},
                                                                      {"server1x", ""},
                                                                      {"server18446744073709551616", ""}}));
  CHECK(problems(fifty + "faults: [{at_iteration: 50, kill: " + name + "}]") ==
        "t.yaml:3:35: faults[0].kill: expected one of coordinator, server0 … server2, worker0 … worker1; found '" +
            name + "'" + hint);
  CHECK_THAT(problems(fifty + "faults: [{at_iteration: 51, kill: server0}]"),
             Catch::Contains("t.yaml:3:25: faults[0].at_iteration: expected an iteration from 1 to the last one, 50"));
  CHECK_THAT(problems(fifty + "faults: [{kill: server0}]"),
             Catch::EndsWith("the last one, 50, or at_seconds; found none"));
}

TEST_CASE("workers of all servers exist with worker_scope: server") {
  loaded("cluster: {servers: 3, workers: 2, worker_scope: server}\nfaults: [{at_iteration: 1, kill: worker5}]");
}

TEST_CASE("with restart: never somebody has to be left") {
  const std::string faults = "faults: [{at_iteration: 1, kill: server0}, {at_iteration: 2, kill: server1}]\n";
  CHECK_THAT(problems(faults + "cluster: {servers: 2, restart: never}"), Catch::Contains("every server is killed"));
  loaded(faults + "cluster: {servers: 3, restart: never}");
  loaded(faults + "cluster: {servers: 2, restart: needed}");
  CHECK_THAT(problems("faults: [{at_iteration: 1, kill: worker0}]\ncluster: {restart: never}"),
             Catch::Contains("every worker is killed"));
}

}  // namespace ringps
