#include "tests/unit/core/coordinator_support.hpp"

namespace ringps {
namespace {

TEST_CASE("a worker that is silent for failure_timeout is removed without a rollback, and its slices go to others") {
  CoordinatorTest t(two_servers());
  t.form();
  t.wait(t.job.timeouts.failure_timeout - milliseconds(50), {"server0", "server1", "worker0"});
  CHECK(t.epoch() == Epoch{1});
  t.wait(milliseconds(200), {"server0", "server1", "worker0"});
  CHECK(t.epoch() == Epoch{2});
  CHECK_FALSE(t.has_worker("worker1"));
  CHECK(t.coordinator.view().restore.epoch == Epoch{1});
  CHECK(t.coordinator.view().slice_worker == std::vector<std::uint32_t>{0, 0});
  CHECK_THAT(t.coordinator.view().cause, Catch::Contains("worker1 removed: no heartbeat for 2.0"));
}

TEST_CASE("a server that is silent is removed, and everybody goes back to the last checkpoint") {
  CoordinatorTest t(two_servers());
  t.form();
  t.written("server0", 5);
  t.written("server1", 5);
  t.committed(5);
  t.wait(t.job.timeouts.failure_timeout + milliseconds(100), {"server0", "worker0", "worker1"});
  CHECK_FALSE(t.has_server("server1"));
  CHECK(t.coordinator.view().restore == Restore{t.epoch(), Iteration{5}, "folder 5"});
  t.say("worker0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("worker0").at(0).next_checkpoint == Iteration{10});
}

TEST_CASE("a silent member is probed before it is given up") {
  CoordinatorTest t(two_servers());
  t.form();
  t.wait(milliseconds(200), {"server0", "worker0", "worker1"});
  CHECK_FALSE(t.told<Probe>("server1").empty());
  CHECK(t.told<Probe>("server0").empty());
}

TEST_CASE("of many members none is probed before its heartbeat is late") {
  JobSpec job = two_servers();
  job.workers = job.slices = 78;
  CoordinatorTest t(job);
  t.form();
  for (std::uint32_t w = 0; w < job.workers; ++w) {
    t.say("worker" + std::to_string(w), t.beat(0));
  }
  t.wait(milliseconds(90), {"server0", "server1"});
  CHECK(t.told<Probe>("worker7").empty());
  t.wait(milliseconds(60), {"server0", "server1"});
  CHECK_FALSE(t.told<Probe>("worker7").empty());
}

TEST_CASE("a member whose connection is gone is removed after probe_timeout") {
  CoordinatorTest t(two_servers());
  t.form();
  t.coordinator.on_unreachable(t.now, t.route_of("server1"));
  t.wait(t.job.timeouts.probe_timeout + milliseconds(50), {"server0", "worker0", "worker1"});
  CHECK_FALSE(t.has_server("server1"));
}

TEST_CASE("a member that answers the probe after a worker's suspicion stays") {
  CoordinatorTest t(two_servers());
  t.form();
  t.say("worker0", Suspect{{"server1"}, Incarnation{1}});
  CHECK(t.told<Probe>("server1").size() == 1);
  t.say("server1", Heartbeat{});
  t.wait(t.job.timeouts.probe_timeout * 2, {"server0", "server1", "worker0", "worker1"});
  CHECK(t.epoch() == Epoch{1});
}

TEST_CASE("a suspicion of a life that is over harms nobody") {
  CoordinatorTest t(two_servers());
  t.form();
  t.say("worker0", Suspect{{"server1"}, Incarnation{7}});
  CHECK(t.told<Probe>("server1").empty());
}

TEST_CASE("a server whose data loop stands still is removed although its heartbeats go on") {
  CoordinatorTest t(two_servers());
  t.form();
  for (int second = 0; second < 31; ++second) {
    t.say("server1", t.beat(0, 5));
    t.wait(std::chrono::seconds(1), {"server0", "worker0", "worker1"});
  }
  CHECK_FALSE(t.has_server("server1"));
}

TEST_CASE("a removed member that comes back as it was is told so, whatever it says") {
  CoordinatorTest t(two_servers());
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, {"server0", "server1", "worker0"});
  t.say("worker1", Heartbeat{});
  CHECK(t.told<Refused>("worker1").at(0).reason == RefusalReason::removed);
  t.join("worker1");
  CHECK(t.told<Refused>("worker1").at(0).reason == RefusalReason::removed);
  CHECK(t.effects.size() == 1);
}

TEST_CASE("a new worker is taken in at once") {
  CoordinatorTest t(two_servers());
  t.form();
  t.join("worker2");
  CHECK(t.has_worker("worker2"));
  CHECK(t.coordinator.view().restore.epoch == Epoch{1});
}

TEST_CASE("with slices of its own, a new incarnation of a server is taken in at the next restore, not before") {
  JobSpec job = two_servers();
  job.worker_scope = WorkerScope::server;
  CoordinatorTest t(job);
  t.form();
  t.lives["server1"] = 2;
  t.join("server1");
  CHECK_FALSE(t.has_server("server1"));
  const Epoch without = t.epoch();
  t.wait(milliseconds(500), {"server0", "server1", "worker0"});
  CHECK(t.epoch() == without);
  t.wait(t.job.timeouts.failure_timeout * 2, {"server1", "worker0"});
  CHECK(t.has_server("server1"));
  CHECK_FALSE(t.has_server("server0"));
  CHECK(t.coordinator.view().servers[0].incarnation == Incarnation{2});
}

TEST_CASE("when no server is left, the view waits for one to join") {
  CoordinatorTest t(two_servers());
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, {"worker0", "worker1"});
  CHECK(t.epoch() == Epoch{1});
  CHECK(t.effects_of<Coordinator::PersistView>().empty());
  t.wait(t.job.timeouts.failure_timeout * 2, {"worker0"});  // meanwhile a worker goes as well
  t.lives["server1"] = 2;
  t.join("server1");
  CHECK(t.epoch() == Epoch{2});
  CHECK(t.coordinator.view().servers.size() == 1);
  CHECK(t.coordinator.view().workers.size() == 1);
  CHECK(t.coordinator.view().restore.epoch == Epoch{2});
  CHECK_THAT(t.coordinator.view().cause, Catch::Contains("server0 removed"));
}

TEST_CASE("a member that leaves is no failure") {
  CoordinatorTest t(two_servers());
  t.form();
  t.say("worker1", Leave{});
  CHECK_FALSE(t.has_worker("worker1"));
  t.say("psctl", GetStatus{});
  CHECK(t.told<Status>("psctl").at(0).failures.empty());
}

TEST_CASE("a failure is kept with what was lost by it, and when work went on") {
  CoordinatorTest t(two_servers());
  t.form();
  t.written("server0", 5);
  t.written("server1", 5);
  t.committed(5);
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {{Iteration{7}, 1, 1}}, {}});
  t.wait(t.job.timeouts.failure_timeout * 2, {"server0", "worker0", "worker1"}, 7);
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {{Iteration{8}, 1, 1}}, {}});  // late word of the lineage that ended
  t.say("psctl", GetStatus{});
  FailureStatus failure = t.told<Status>("psctl").at(0).failures.at(0);
  CHECK(failure.id == "server1");
  CHECK(failure.iteration == Iteration{8});
  CHECK(failure.iterations_replayed == 3);
  CHECK(failure.recovered_age < 0);
  t.say("worker0", Progress{t.epoch(), t.epoch(), {{Iteration{6}, 1, 1}}, {}});
  t.say("psctl", GetStatus{});
  failure = t.told<Status>("psctl").at(0).failures.at(0);
  CHECK(failure.recovered_age >= 0);
}

TEST_CASE("a heartbeat that tells of the time before a rollback says nothing about the iteration") {
  CoordinatorTest t(two_servers());
  t.form();
  const Heartbeat old = t.beat(9);
  t.wait(t.job.timeouts.failure_timeout * 2, {"server0", "worker0", "worker1"});
  t.say("worker0", old);  // its control side knows the new view, its data side does not
  t.say("psctl", GetStatus{});
  CHECK(t.told<Status>("psctl").at(0).iteration == Iteration{0});
}

// ---- slices by server -----------------------------------------------------------------------------------------------

JobSpec by_server() {
  JobSpec job = two_servers();
  job.worker_scope = WorkerScope::server;
  return job;
}

TEST_CASE("by server, workers go with their server, and it is not their failure") {
  CoordinatorTest t(by_server());
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, {"server0", "worker0", "worker1"});
  CHECK_FALSE(t.has_worker("worker1"));
  CHECK(t.has_worker("worker0"));
  CHECK(t.coordinator.view().slice_worker == std::vector<std::uint32_t>{0, no_worker});
  t.say("psctl", GetStatus{});
  CHECK(t.told<Status>("psctl").at(0).failures.size() == 1);
  t.lives["worker1"] = 2;
  t.join("worker1");
  CHECK(t.told<Refused>("worker1").at(0).reason == RefusalReason::not_expected);
}

TEST_CASE("by server, the workers of a server that waits for the next restore may come") {
  CoordinatorTest t(by_server());
  t.form();
  t.lives["server1"] = 2;
  t.join("server1");
  CHECK_FALSE(t.has_server("server1"));
  t.lives["worker1"] = 2;
  t.join("worker1");
  CHECK(t.has_worker("worker1"));
}

TEST_CASE("by server, a worker that has joined may say so again when the server that it waits for has gone") {
  CoordinatorTest t(by_server());
  t.form();
  t.lives["server1"] = 2;
  t.join("server1");
  t.lives["worker1"] = 2;
  t.join("worker1");
  t.wait(t.job.timeouts.failure_timeout * 2, {"server0", "worker0", "worker1"});
  t.join("worker1");
  CHECK(t.told<Refused>("worker1").empty());
}

TEST_CASE("by server, a worker that came while no server was left goes on waiting when another one's server comes") {
  CoordinatorTest t(by_server());
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 2, {"worker0"});  // who goes with its server
  t.lives = {{"server1", 2}, {"worker0", 2}, {"worker1", 2}};
  t.join("worker0");
  t.join("worker1");
  t.join("server1");
  CHECK(t.epoch() == Epoch{2});
  CHECK(t.has_worker("worker1"));
  CHECK_FALSE(t.has_worker("worker0"));
}

// ---- refresh_interval -----------------------------------------------------------------------------------------------

TEST_CASE("with a refresh interval a slice changes hands only by a rollback") {
  JobSpec job = two_servers();
  job.refresh_interval = 5;
  CoordinatorTest t(job);
  t.form();
  t.join("worker2");  // two slices, three workers: nothing to do for the newcomer
  CHECK(t.coordinator.view().restore.epoch == Epoch{1});
  t.say("worker1", Leave{});
  CHECK(t.coordinator.view().restore.epoch == t.epoch());
}

// ---- a coordinator that is started again ----------------------------------------------------------------------------

TEST_CASE("a restarted coordinator goes on from the journal and gives everybody a full failure_timeout") {
  CoordinatorTest first(two_servers());
  first.form();
  CoordinatorTest t(two_servers(), {},
                    Coordinator::Recovered{first.coordinator.view(), Iteration{5}, "folder 5", {}, {}});
  CHECK(t.coordinator.state() == RunState::running);
  CHECK(t.coordinator.view() == first.coordinator.view());
  CHECK(t.coordinator.committed() == Iteration{5});
  t.wait(t.job.timeouts.failure_timeout - milliseconds(50), {});
  CHECK(t.epoch() == Epoch{1});
  CHECK(t.effects.empty());
  t.say("worker0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("worker0").size() == 1);
  t.wait(t.job.timeouts.failure_timeout - milliseconds(50), {"worker0", "server0"});  // counted from the first word
  CHECK(t.epoch() == Epoch{1});
  t.wait(milliseconds(200), {"worker0", "server0"});
  CHECK(t.coordinator.view().servers.size() == 1);
  CHECK(t.coordinator.view().workers.size() == 1);
}

TEST_CASE("a restarted coordinator knows which lives of the settled ring's servers are over") {
  JobSpec job = two_servers();
  job.replicas = 2;
  job.servers = 3;
  CoordinatorTest first(job);
  first.form();
  first.wait(first.job.timeouts.failure_timeout * 2, {"server0", "server2", "worker0", "worker1"});
  REQUIRE_FALSE(first.has_server("server1"));
  REQUIRE(first.coordinator.view().settled_ring.size() == 3);  // its replicas have not been made up yet

  CoordinatorTest t(job, {}, Coordinator::Recovered{first.coordinator.view(), {}, "", {}, {}});
  t.join("server1");  // paused all the while, it has missed everything
  CHECK(t.told<Refused>("server1").at(0).reason == RefusalReason::removed);
  CHECK_FALSE(t.has_server("server1"));
  t.lives["server1"] = 2;
  t.join("server1");
  CHECK(t.has_server("server1"));
}

TEST_CASE("a worker's suspicion of a server that a restarted coordinator has not heard yet is no proof") {
  CoordinatorTest first(two_servers());
  first.form();
  CoordinatorTest t(two_servers(), {}, Coordinator::Recovered{first.coordinator.view(), {}, "", {}, {}});
  t.say("worker0", Suspect{{"server1"}, Incarnation{1}});
  t.coordinator.on_unreachable(t.now, "");
  t.wait(t.job.timeouts.probe_timeout * 2, {"server0", "worker0", "worker1"});
  CHECK(t.has_server("server1"));
}

TEST_CASE("a coordinator that is started again after the last checkpoint ends the run") {
  CoordinatorTest first(two_servers());
  first.form();
  CoordinatorTest t(two_servers(), {},
                    Coordinator::Recovered{first.coordinator.view(), Iteration{10}, "folder 10", Iteration{10}, {}});
  t.wait(milliseconds(100), {});
  CHECK(t.coordinator.state() == RunState::completed);
}

TEST_CASE("when everybody falls silent at once, it is the coordinator that is cut off, and nobody is removed") {
  CoordinatorTest t(two_servers());
  t.form();
  t.wait(t.job.timeouts.failure_timeout * 5, {});
  CHECK(t.epoch() == Epoch{1});
  t.wait(t.job.timeouts.failure_timeout / 2, {"worker0"});  // the first one is back, the others are on their way
  CHECK(t.epoch() == Epoch{1});
  t.wait(t.job.timeouts.failure_timeout * 2, {"server0", "server1", "worker0"});
  CHECK(t.has_server("server0"));
  CHECK(t.has_server("server1"));
  CHECK_FALSE(t.has_worker("worker1"));  // it has never come back
}

TEST_CASE("time in which the coordinator itself stood still is nobody's silence") {
  CoordinatorTest t(two_servers());
  t.form();
  t.wait(milliseconds(100), {"server0", "server1", "worker0", "worker1"});
  t.effects.clear();
  t.now += t.job.timeouts.failure_timeout * 3;
  t.coordinator.on_tick(t.now, t.effects);
  CHECK(t.has_server("server0"));
  t.wait(t.job.timeouts.failure_timeout * 2, {"server1", "worker0", "worker1"});  // but silence afterwards is
  CHECK_FALSE(t.has_server("server0"));
  CHECK(t.has_server("server1"));
}

}  // namespace
}  // namespace ringps
