#include "services/psctl/lives.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/psctl/lives_support.hpp"

namespace ringps {
namespace {

TEST_CASE("two lives of one process are told apart by when they began") {
  const auto first = killed(life(Role::server, "server0", 100), 1000, 200);
  const auto second = life(Role::server, "server0", 300);
  const std::vector<Life> lives = {first, second};
  CHECK(life_of(lives, "server0", Incarnation{110}) == &lives[0]);
  CHECK(life_of(lives, "server0", Incarnation{310}) == &lives[1]);
  CHECK(life_of(lives, "server0", Incarnation{250}) == nullptr);
  CHECK(life_of(lives, "server1", Incarnation{310}) == nullptr);
}

TEST_CASE("a life that was killed for another reason leaves its own kill to the next one") {
  auto self = killed(life(Role::server, "server0", 100), 1000, 200);
  self.kill_at = 20;
  auto here = killed(life(Role::server, "server0", 300), 2000, 400);
  here.kill_at = 40;
  here.killed_here = true;
  CHECK(self_kills_fired({self, here}, "server0") == 1);
  CHECK(self_kills_fired({self, here}, "server1") == 0);
}

TEST_CASE("with restart: needed, a dead process comes back only when no other of its role lives") {
  using Restart = ClusterConfig::Restart;
  const auto dead = killed(life(Role::server, "server0", 100), 1000, 200);
  const auto worker = life(Role::worker, "worker0", 100);
  const auto server = life(Role::server, "server1", 100);
  CHECK(is_needed(Restart::needed, dead, {dead, worker}));
  CHECK_FALSE(is_needed(Restart::needed, dead, {dead, worker, server}));
  CHECK(is_needed(Restart::always, dead, {dead, worker, server}));
  CHECK_FALSE(is_needed(Restart::never, dead, {dead, worker}));
}

TEST_CASE("a process is started again ten times within ten seconds, and no more") {
  RestartBudget budget;
  for (int i = 0; i < 10; ++i) {
    CHECK(budget.take(at_ms(i)));
  }
  CHECK_FALSE(budget.take(at_ms(9000)));
  CHECK(budget.take(at_ms(10'005)));
}

TEST_CASE("processes.json has the newest life of each process, with what the coordinator knows of it") {
  std::vector<Life> lives = {killed(life(Role::server, "server0", 100), 1000, 200), life(Role::server, "server0", 300)};
  Status status;
  status.processes.push_back({Role::server, "server0", Incarnation{310}, "tcp://127.0.0.1:4000", 300, true, {}, 0, ""});
  CHECK(learn(lives, status));
  CHECK_FALSE(learn(lives, status));
  const auto json = processes_json(lives);
  REQUIRE(json.size() == 1);
  CHECK(json[0]["pid"] == 300);
  CHECK(json[0]["endpoint"] == "tcp://127.0.0.1:4000");
  CHECK(json[0]["incarnation"] == 310);
  CHECK(json[0]["role"] == "server");
}

}  // namespace
}  // namespace ringps
