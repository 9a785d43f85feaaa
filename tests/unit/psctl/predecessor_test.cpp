#include "services/psctl/predecessor.hpp"

#include <catch2/catch.hpp>

#include "libps/config/load.hpp"

namespace ringps {
namespace {

Result<Config> config_of(const PredecessorFlags& flags) {
  return load_config_text(predecessor_config, "predecessor", overrides_of(flags));
}

TEST_CASE("without flags the predecessor's experiment has its own defaults") {
  const auto config = config_of({});
  REQUIRE(config);
  CHECK(config->train.iterations == 500);
  CHECK(config->checkpoint.interval == 1);
  CHECK(config->train.refresh_interval == 1);
  CHECK(config->evaluate.interval == 5);
  CHECK(config->evaluate.samples == 1152);
  CHECK(config->cluster.worker_scope == WorkerScope::server);
  CHECK(config->cluster.block_elements == 1);
  CHECK(config->cluster.virtual_nodes == 100);
  CHECK(config->faults.empty());
}

TEST_CASE("its flags mean what they meant") {
  PredecessorFlags flags;
  flags.num_servers = 5;
  flags.num_workers = 2;
  flags.num_iterations = 100;
  flags.checkpoint = 5;
  flags.do_failure_test = true;
  flags.eval_interval = 1;
  const auto config = config_of(flags);
  REQUIRE(config);
  CHECK(config->cluster.servers == 5);
  CHECK(config->cluster.total_workers() == 10);
  CHECK(config->train.iterations == 100);
  CHECK(config->checkpoint.interval == 5);
  CHECK(config->train.refresh_interval == 5);
  CHECK(config->checkpoint.wait);
  CHECK(config->evaluate.interval == 1);
  REQUIRE(config->faults.size() == 1);
  CHECK(config->faults[0].kill == "server4");
  CHECK(config->faults[0].at_iteration == 60);
}

TEST_CASE("a server and an iteration to fail mean nothing without the failure test") {
  PredecessorFlags flags;
  flags.server_to_fail = "server0";
  flags.iteration_to_fail = 10;
  CHECK(overrides_of(flags).empty());
  flags.do_failure_test = true;
  const auto config = config_of(flags);
  REQUIRE(config);
  REQUIRE(config->faults.size() == 1);
  CHECK(config->faults[0].kill == "server0");
  CHECK(config->faults[0].at_iteration == 10);
}

TEST_CASE("its short options of several letters are spelled out, and nothing else is touched") {
  const std::vector<std::string> given = {"run",     "-ns", "5",  "-nw=2", "-f_iter", "60",  "-fs", "server4",
                                          "-ev_int", "1",   "-c", "5",     "-i",      "100", "-o",  "-n"};
  const std::vector<std::string> expected = {"run",
                                             "--num-servers",
                                             "5",
                                             "--num-workers=2",
                                             "--iteration-to-fail",
                                             "60",
                                             "--server-to-fail",
                                             "server4",
                                             "--eval-interval",
                                             "1",
                                             "-c",
                                             "5",
                                             "-i",
                                             "100",
                                             "-o",
                                             "-n"};
  CHECK(spell_out_predecessor_flags(given) == expected);
}

}  // namespace
}  // namespace ringps
