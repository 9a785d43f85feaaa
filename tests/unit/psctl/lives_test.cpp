#include "services/psctl/lives.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>

namespace ringps {
namespace {

using std::chrono::milliseconds;

Time at_ms(int ms) {
  return Time{} + milliseconds(ms);
}

Life life(Role role, const std::string& id, std::uint64_t started_unix_us) {
  Life life;
  life.role = role;
  life.id = id;
  life.pid = started_unix_us;
  life.started_unix_us = started_unix_us;
  return life;
}

Life killed(Life life, int died_ms, std::uint64_t died_unix_us) {
  life.end = Life::End{{true, SIGKILL}, at_ms(died_ms), died_unix_us, false};
  return life;
}

FailureStatus failure(const std::string& id, std::uint64_t incarnation, double removed_age, double recovered_age) {
  FailureStatus failure;
  failure.id = id;
  failure.incarnation = Incarnation{incarnation};
  failure.iteration = Iteration{77};
  failure.iterations_replayed = 7;
  failure.last_heard_age = removed_age + 2;
  failure.removed_age = removed_age;
  failure.recovered_age = recovered_age;
  return failure;
}

StatusSample sample(int ms, std::vector<FailureStatus> failures) {
  StatusSample sample{{}, at_ms(ms)};
  sample.status.failures = std::move(failures);
  return sample;
}

TEST_CASE("a death and the coordinator's failure of the same life make one record, with times from the death") {
  auto victim = killed(life(Role::server, "server1", 100), 1000, 200);
  victim.kill_at = 60;
  const auto records = fault_records({victim}, sample(3000, {failure("server1", 101, 1.9, 1.5)}));
  REQUIRE(records.size() == 1);
  CHECK(records[0].what == "kill");
  CHECK(records[0].whom == "server1");
  CHECK(records[0].scheduled);
  CHECK(records[0].iteration == 60);
  CHECK(*records[0].detected_after_s == Approx(0.1));
  CHECK(*records[0].recovered_after_s == Approx(0.5));
  CHECK(records[0].iterations_replayed == 7);
}

TEST_CASE("two lives of one process are told apart by when they began") {
  const auto first = killed(life(Role::server, "server0", 100), 1000, 200);
  const auto second = killed(life(Role::server, "server0", 300), 2000, 400);
  const auto records = fault_records(
      {first, second}, sample(3000, {failure("server0", 310, 0.5, -1), failure("server0", 110, 1.9, 1.8)}));
  REQUIRE(records.size() == 2);
  CHECK(*records[0].detected_after_s == Approx(0.1));
  CHECK(records[0].recovered_after_s.has_value());
  CHECK(*records[1].detected_after_s == Approx(0.5));
  CHECK(!records[1].recovered_after_s.has_value());
}

TEST_CASE("a process that was removed while it lived is a fault of silence, from outside") {
  const auto records =
      fault_records({life(Role::worker, "worker0", 100)}, sample(3000, {failure("worker0", 110, 0.5, 0.1)}));
  REQUIRE(records.size() == 1);
  CHECK(records[0].what == "silence");
  CHECK(!records[0].scheduled);
  CHECK(records[0].iteration == 77);
  CHECK(*records[0].detected_after_s == Approx(2));
}

TEST_CASE("a process that was told to end is no fault, and a death that nobody noticed has no times") {
  auto asked = killed(life(Role::worker, "worker0", 100), 1000, 200);
  asked.end->asked = true;
  const auto records = fault_records({asked, killed(life(Role::worker, "worker1", 100), 1000, 200)}, std::nullopt);
  REQUIRE(records.size() == 1);
  CHECK(records[0].whom == "worker1");
  CHECK(!records[0].detected_after_s.has_value());
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
