// Servers that come, go and die under replication: settled rings, target rings, drains, and the launcher's orders.
#include <algorithm>

#include "tests/unit/core/coordinator_support.hpp"

namespace ringps {
namespace {

JobSpec replicated(std::uint32_t servers, std::uint32_t replicas = 2) {
  JobSpec job = two_servers();
  job.servers = servers;
  job.replicas = replicas;
  return job;
}

/// All servers of the view say that their replicas have caught up.
void ready(CoordinatorTest& t) {
  const Epoch epoch = t.epoch();
  for (const ServerMember& server : std::vector(t.coordinator.view().servers)) {
    t.say(server.id.value, ReplicasReady{epoch});
  }
}

std::vector<std::string> all_but(std::uint32_t servers, const std::string& one) {
  std::vector<std::string> alive{"worker0", "worker1"};
  for (std::uint32_t s = 0; s < servers; ++s) {
    alive.push_back("server" + std::to_string(s));
  }
  std::erase(alive, one);
  return alive;
}

TEST_CASE("with two replicas the loss of a server takes nothing back") {
  CoordinatorTest t(replicated(3));
  t.form();
  CHECK(t.coordinator.view().settled());
  t.wait(t.job.timeouts.failure_timeout * 2, all_but(3, "server1"));
  const View& view = t.coordinator.view();
  CHECK(view.epoch == Epoch{2});
  CHECK(view.restore.epoch == Epoch{1});
  CHECK_FALSE(view.settled());
  CHECK(view.settled_ring.size() == 3);
  CHECK(view.owned_since == Epoch{2});
  t.say("psctl", GetStatus{});
  CHECK_FALSE(t.told<Status>("psctl").at(0).failures.at(0).iterations_replayed > 0);
}

TEST_CASE("when everybody's replicas have caught up, the target ring becomes the settled one") {
  CoordinatorTest t(replicated(3));
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, all_but(3, "server1"));
  t.say("server0", ReplicasReady{Epoch{2}}, 7);
  CHECK(t.effects.empty());  // acknowledged when it has come to something
  t.say("server2", ReplicasReady{Epoch{1}});
  CHECK(t.told<Ack>("server2").size() == 1);
  CHECK(t.epoch() == Epoch{2});
  t.say("server2", ReplicasReady{Epoch{2}});
  CHECK(t.epoch() == Epoch{3});
  CHECK(t.coordinator.view().settled());
  CHECK(t.coordinator.view().restore.epoch == Epoch{1});
  t.say("server0", ReplicasReady{Epoch{2}}, 7);
  CHECK(t.told<Ack>("server0").size() == 1);
}

TEST_CASE("what was ready before another change of the view does not settle the next one") {
  CoordinatorTest t(replicated(3));
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, all_but(3, "server1"));
  t.say("server0", ReplicasReady{Epoch{2}});
  t.join("worker2");
  t.say("server2", ReplicasReady{Epoch{3}});
  CHECK_FALSE(t.coordinator.view().settled());
  t.say("server0", ReplicasReady{Epoch{3}});
  CHECK(t.coordinator.view().settled());
}

TEST_CASE("a second loss before the view has settled is measured by the last settled ring") {
  CoordinatorTest t(replicated(5));
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, all_but(5, "server1"));
  REQUIRE(t.coordinator.view().restore.epoch == Epoch{1});
  std::vector<std::string> rest = all_but(5, "server1");
  std::erase(rest, "server2");
  View without = t.coordinator.view();
  std::erase_if(without.servers, [](const ServerMember& s) { return s.id.value == "server2"; });
  const bool lost = Placement(without, BlockTable(t.job.tensors, t.job.block_elements), 100, 2).lost();
  t.wait(t.job.timeouts.failure_timeout * 2, rest);
  CHECK((t.coordinator.view().restore.epoch == Epoch{3}) == lost);
}

TEST_CASE("when every replica of a block is gone, all go back to the last checkpoint, on a settled ring") {
  CoordinatorTest t(replicated(2));
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, {"worker0", "worker1"});
  t.lives["server0"] = 2;
  t.join("server0");
  CHECK(t.coordinator.view().restore.epoch == t.epoch());
  CHECK(t.coordinator.view().settled());
}

TEST_CASE("where lost data is not to be replayed, the loss of every replica ends the run") {
  JobSpec job = replicated(3, 1);
  job.stop_on_data_loss = true;
  CoordinatorTest t(job);
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, all_but(3, "server1"));
  CHECK(t.coordinator.state() == RunState::data_lost);
  CHECK(t.epoch() == Epoch{1});
}

TEST_CASE("a server joins beside training, and belongs to the settled ring once it has caught up") {
  CoordinatorTest t(replicated(2, 1));
  t.form();
  t.join("server2");
  CHECK(t.has_server("server2"));
  CHECK_FALSE(t.coordinator.view().settled());
  CHECK(t.coordinator.view().settled_ring.size() == 2);
  CHECK(t.coordinator.view().restore.epoch == Epoch{1});
  CHECK(t.coordinator.view().owned_since == Epoch{1});
  ready(t);
  CHECK(t.coordinator.view().settled_ring.size() == 3);
  CHECK(t.coordinator.view().owned_since == t.epoch());
}

TEST_CASE("a server that comes back under a new incarnation holds nothing until it has caught up") {
  CoordinatorTest t(replicated(3));
  t.form();
  t.lives["server1"] = 2;
  t.join("server1");
  const View& view = t.coordinator.view();
  CHECK(view.restore.epoch == Epoch{1});
  const auto index = view.server_index("server1");
  REQUIRE(index);
  const Placement placement(view, BlockTable(t.job.tensors, t.job.block_elements), t.job.virtual_nodes, 2);
  for (std::uint32_t b = 0; b < 10; ++b) {
    const auto& holders = placement.holders(BlockId{b});
    CHECK(std::find(holders.begin(), holders.end(), *index) == holders.end());
  }
}

TEST_CASE("a drained server stays until others have what it held, and is then sent away for good") {
  CoordinatorTest t(replicated(3));
  t.form();
  t.say("psctl", Drain{"server1"});
  CHECK(t.told<Ack>("psctl").size() == 1);
  CHECK(t.has_server("server1"));
  CHECK_FALSE(t.coordinator.view().servers[1].stays);
  ready(t);
  CHECK_FALSE(t.has_server("server1"));
  CHECK(t.coordinator.view().settled());
  CHECK(t.coordinator.view().is_retired("server1"));
  t.say("server1", t.beat(1));
  CHECK(t.told<Refused>("server1").at(0).reason == RefusalReason::retired);
  t.lives["server1"] = 2;
  t.join("server1");
  CHECK(t.told<Refused>("server1").at(0).reason == RefusalReason::retired);
  t.say("psctl", Drain{"server1"});
  CHECK(t.told<Ack>("psctl").size() == 1);
}

TEST_CASE("the last server that stays is not drained, and when it dies the drain of the others is called off") {
  CoordinatorTest t(replicated(2));
  t.form();
  t.say("psctl", Drain{"server1"});
  t.say("psctl", Drain{"server0"});
  CHECK(t.told<Refused>("psctl").size() == 1);
  t.wait(t.job.timeouts.failure_timeout * 2, {"server1", "worker0", "worker1"});
  CHECK(t.coordinator.view().servers.at(0).stays);
  CHECK(t.coordinator.view().restore.epoch == Epoch{1});
}

TEST_CASE("a drained worker's slices are computed by others at once") {
  CoordinatorTest t(replicated(2));
  t.form();
  t.say("psctl", Drain{"worker0"});
  CHECK(t.coordinator.view().slices_of("worker1").size() == 2);
  CHECK(t.coordinator.view().is_retired("worker0"));
  t.say("psctl", Drain{"worker1"});
  CHECK_THAT(t.told<Refused>("psctl").at(0).text, Catch::Contains("min_workers"));
}

TEST_CASE("with fewer than min_workers nobody computes, and the status says why") {
  JobSpec job = replicated(2);
  job.min_workers = 2;
  CoordinatorTest t(job);
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, {"server0", "server1", "worker0"});
  CHECK(t.coordinator.view().slices_of("worker0").empty());
  t.say("psctl", GetStatus{});
  CHECK_THAT(t.told<Status>("psctl").at(0).waiting.at(0), Catch::Contains("1 of at least 2"));
  t.lives["worker1"] = 2;
  t.join("worker1");
  CHECK(t.coordinator.view().slices_of("worker0").size() == 1);
}

TEST_CASE("an order is kept until the launcher has carried it out, and counts once however often it is repeated") {
  CoordinatorTest t(replicated(2));
  t.form();
  t.lives["psctl"] = 5;
  t.say("psctl", AddProcesses{Role::server, 2});
  CHECK_THAT(t.told<Refused>("psctl").at(0).text, Catch::Contains("by hand"));
  t.say("psctl", GetStatus{true, 0});
  t.say("psctl", AddProcesses{Role::server, 2}, 1);
  t.say("psctl", AddProcesses{Role::server, 2}, 2);
  CHECK(t.effects.empty());
  t.lives["psctl"] = 6;
  t.say("psctl", KillProcess{"server0"}, 1);
  t.say("psctl", GetStatus{true, 0});
  const auto orders = t.told<Status>("psctl").at(0).orders;
  REQUIRE(orders.size() == 2);
  CHECK(orders[0].count == 2);
  CHECK(orders[1].id == "server0");
  CHECK(orders[1].number > orders[0].number);
  t.say("psctl", GetStatus{true, orders[1].number});
  CHECK(t.told<Status>("psctl").at(0).orders.empty());
  t.lives["psctl"] = 5;
  t.say("psctl", AddProcesses{Role::server, 2}, 3);
  CHECK(t.told<Ack>("psctl").size() == 1);
  t.say("psctl", GetStatus{true, orders[1].number});
  CHECK(t.told<Status>("psctl").at(0).orders.empty());
}

TEST_CASE("files of servers whose blocks have changed hands since do not get into a checkpoint") {
  CoordinatorTest t(replicated(3));
  t.form();
  t.written("server0", 5);
  const Epoch before = t.coordinator.view().owned_since;
  t.wait(t.job.timeouts.failure_timeout * 2, all_but(3, "server1"));
  t.say("server2", BlocksWritten{Iteration{5}, Epoch{1}, before, {{"old", false, 1, digest, {{0, 0, 10}}}}});
  CHECK(t.told<Ack>("server2").size() == 1);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().empty());
  t.written("server0", 5);
  t.written("server2", 5);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().size() == 1);
}

}  // namespace
}  // namespace ringps
