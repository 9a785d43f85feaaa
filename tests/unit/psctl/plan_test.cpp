#include "services/psctl/plan.hpp"

#include <catch2/catch.hpp>

#include "libps/config/load.hpp"
#include "services/psctl/completion.hpp"
#include "services/psctl/run_dir.hpp"
#include "tests/support/temp_dir.hpp"

namespace ringps {
namespace {

const Programs programs{"/bin/ps-coordinator", "/bin/ps-server", "/bin/ps-worker"};

Config config(const Overrides& overrides) {
  auto loaded = load_config_text("name: test\ncluster: {servers: 2, workers: 2}", "test", overrides);
  REQUIRE(loaded);
  return *loaded;
}

CommandLines command_lines(const Config& config) {
  return {config, programs, "/run/config.yaml", "/run", "/sockets", "/checkpoint"};
}

TEST_CASE("a server's command line has its id, its endpoint and the iteration at which it is to die") {
  const auto lines = command_lines(config({}));
  const std::vector<std::string> expected = {"/bin/ps-server",
                                             "--config",
                                             "/run/config.yaml",
                                             "--id",
                                             "server1",
                                             "--coordinator",
                                             "tcp://c:1",
                                             "--run-dir",
                                             "/run",
                                             "--bind",
                                             "tcp://127.0.0.1:0",
                                             "--kill-at",
                                             "60"};
  CHECK(lines.member({Role::server, "server1"}, "tcp://c:1", 60) == expected);
}

TEST_CASE("a coordinator that is started again listens where it did before") {
  const auto lines = command_lines(config({}));
  const std::vector<std::string> expected = {
      "/bin/ps-coordinator", "--config", "/run/config.yaml", "--bind",     "tcp://127.0.0.1:7", "--run-dir", "/run",
      "--ready-fd",          "3",        "--resume",         "/checkpoint"};
  CHECK(lines.coordinator("tcp://127.0.0.1:7", 3) == expected);
}

TEST_CASE("with transport ipc the sockets lie in their folder") {
  CHECK(command_lines(config({"cluster.transport=ipc"})).bind_endpoint("server0") == "ipc:///sockets/server0.sock");
}

TEST_CASE("faults of one process go to its lives in order of their iterations") {
  const auto with_faults = config({"train.iterations=100",
                                   "faults=[{at_iteration: 80, kill: server1}, {at_iteration: 50, kill: worker0}, "
                                   "{at_iteration: 20, kill: server1}]"});
  CHECK(kills_of(with_faults, "server1") == std::vector<std::uint64_t>{20, 80});
  CHECK(kills_of(with_faults, "worker0") == std::vector<std::uint64_t>{50});
  CHECK(kills_of(with_faults, "server0").empty());
}

TEST_CASE("with worker_scope: server, workers are numbered server by server") {
  const auto scoped = config({"cluster.worker_scope=server", "cluster.workers=3"});
  CHECK(members_of(scoped).size() == 2 + 6);
  CHECK(home_of(scoped, "worker2") == "server0");
  CHECK(home_of(scoped, "worker3") == "server1");
}

TEST_CASE("the loads of all servers together are the model") {
  std::uint64_t bytes = 0;
  for (const auto& load : server_loads(config({"cluster.block_elements=8"}))) {
    bytes += load.value_bytes;
    CHECK(load.model_bytes == 3 * load.value_bytes);
  }
  CHECK(bytes == 785 * 4);
}

TEST_CASE("the plan names every process and command") {
  const auto planned = config({});
  const auto text = describe_plan(planned, command_lines(planned));
  for (const char* word :
       {"server0", "server1", "worker0", "worker1", "/bin/ps-coordinator", "/bin/ps-worker", "CONTROL"}) {
    CHECK(text.find(word) != std::string::npos);
  }
}

TEST_CASE("a run's folder is made, is its own while the run goes on, and is emptied for the next one") {
  const TempDir temp;
  const auto path = temp / "run";
  {
    const auto first = RunDir::create(path, "test");
    REQUIRE(first);
    fs::create_directories(first->checkpoints());
    const auto second = RunDir::create(path, "test");
    REQUIRE(!second);
    CHECK(second.error().find("another run is going on") != std::string::npos);
  }
  const auto next = RunDir::create(path, "test");
  REQUIRE(next);
  CHECK(!fs::exists(next->checkpoints()));
  CHECK(fs::exists(path / "logs"));
}

TEST_CASE("a folder with other things in it is refused and left alone") {
  const TempDir temp;
  fs::create_directory(temp / "results.json");
  const auto run_dir = RunDir::create(temp.path(), "test");
  REQUIRE(!run_dir);
  CHECK(run_dir.error().find("no folder of a run") != std::string::npos);
  CHECK(fs::exists(temp / "results.json"));
}

TEST_CASE("the completion knows commands, options and the keys of a configuration") {
  CLI::App app;
  app.add_subcommand("run")->add_flag("--quiet");
  const auto script = bash_completion(app);
  for (const char* word :
       {"' run'", "--quiet", "train.optimizer.learning_rate=", "complete -o filenames -F _psctl psctl"}) {
    CHECK(script.find(word) != std::string::npos);
  }
}

}  // namespace
}  // namespace ringps
