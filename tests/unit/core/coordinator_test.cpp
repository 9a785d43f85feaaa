#include "tests/unit/core/coordinator_support.hpp"

namespace ringps {
namespace {

TEST_CASE("the first view forms when all members have joined, and is journaled before anybody is told") {
  CoordinatorTest t;
  t.join("server0");
  t.join("worker0");
  CHECK(t.coordinator.state() == RunState::forming);
  CHECK(t.told<Joined>("worker0").at(0).broadcast == "tcp://broadcast");
  t.join("worker1");
  CHECK(t.coordinator.state() == RunState::running);
  CHECK(t.epoch() == Epoch{1});
  CHECK(t.coordinator.view().restore.epoch == Epoch{1});
  std::size_t persisted = 99;
  std::size_t published = 0;
  for (std::size_t i = 0; i < t.effects.size(); ++i) {
    persisted = std::holds_alternative<Coordinator::PersistView>(t.effects[i]) ? i : persisted;
    published = std::holds_alternative<Coordinator::Publish>(t.effects[i]) ? i : published;
  }
  CHECK(persisted < published);
  CHECK(t.effects_of<Coordinator::PersistView>().at(0).view == t.told<ViewPublished>().at(0).view);
}

TEST_CASE("a run that does not form in time fails and says who is missing") {
  CoordinatorTest t;
  t.join("server0");
  t.wait(t.job.timeouts.form_timeout + milliseconds(100), {"server0"});
  CHECK(t.coordinator.state() == RunState::failed);
  CHECK_THAT(t.told<Stop>().at(0).cause, Catch::Contains("1 of 1 servers and 0 of 2 workers"));
}

TEST_CASE("members are listed as people order them, not as they have come") {
  JobSpec job = two_servers();
  job.servers = 11;
  job.workers = 1;
  CoordinatorTest t(job);
  for (const int number : {10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9}) {
    t.join("server" + std::to_string(number));
  }
  t.join("worker0");
  REQUIRE(t.coordinator.view().servers.size() == 11);
  CHECK(t.coordinator.view().servers[2].id.value == "server2");
  CHECK(t.coordinator.view().servers[10].id.value == "server10");
}

TEST_CASE("who has another configuration, another cluster or no proper name is turned away") {
  CoordinatorTest t;
  t.say("server0", Join{"tcp://here", std::string(64, 'x'), 1});
  CHECK(t.told<Refused>("server0").at(0).reason == RefusalReason::job_differs);
  t.say("server", Join{"tcp://here", digest, 1});
  CHECK(t.told<Refused>("server").at(0).reason == RefusalReason::not_expected);
  t.effects.clear();
  t.coordinator.on_message(t.now, t.route_of("worker0"),
                           {{"other", Role::worker, "worker0", Incarnation{1}, {}, {}}, Join{"", digest, 1}, {}},
                           t.effects);
  CHECK_THAT(t.told<Refused>("worker0").at(0).text, Catch::Contains("'test', not of 'other'"));
}

TEST_CASE("by server, a server without slices of its own has no place") {
  JobSpec job = two_servers();
  job.worker_scope = WorkerScope::server;
  CoordinatorTest t(job);
  t.join("server2");
  CHECK(t.told<Refused>("server2").at(0).reason == RefusalReason::not_expected);
}

TEST_CASE("two processes with one id are told apart by their incarnations") {
  CoordinatorTest t;
  t.form();
  t.lives["worker0"] = 2;
  t.join("worker0");
  CHECK(t.coordinator.view().workers[0].incarnation == Incarnation{2});
  t.lives["worker0"] = 1;
  t.join("worker0");
  CHECK(t.told<Refused>("worker0").at(0).reason == RefusalReason::removed);
}

TEST_CASE("a join that is repeated is answered and changes nothing") {
  CoordinatorTest t;
  t.form();
  t.join("worker0");
  CHECK(t.told<Joined>("worker0").size() == 1);
  CHECK(t.effects.size() == 1);
}

TEST_CASE("a stranger is refused, and so is a message that is not for a coordinator") {
  CoordinatorTest t;
  t.form();
  t.say("worker7", GetView{});
  CHECK(t.told<Refused>("worker7").at(0).reason == RefusalReason::unknown_sender);
  t.say("worker0", Values{});
  CHECK(t.told<Refused>("worker0").at(0).reason == RefusalReason::malformed);
}

TEST_CASE("whoever asks for the view gets it") {
  CoordinatorTest t;
  t.form();
  t.say("worker0", GetView{});
  CHECK(t.told<ViewAnswer>("worker0").at(0).view == t.coordinator.view());
}

TEST_CASE("a heartbeat is answered with epoch, checkpoints and what is known of the reports") {
  CoordinatorTest t(two_servers());
  t.form();
  t.say("worker0", t.beat(0));
  const auto answer = t.told<HeartbeatAnswer>("worker0").at(0);
  CHECK(answer.state == RunState::running);
  CHECK(answer.restore_epoch == Epoch{1});
  CHECK(answer.next_checkpoint == Iteration{5});
}

// ---- psctl ----------------------------------------------------------------------------------------------------------

TEST_CASE("psctl is told how the run stands") {
  CoordinatorTest t;
  t.join("server0");
  t.say("psctl", GetStatus{});
  CHECK(t.told<Status>("psctl").at(0).state == RunState::forming);
  CHECK_THAT(t.told<Status>("psctl").at(0).text, Catch::Contains("0 of 2 workers"));
  t.form();
  t.say("worker1", Heartbeat{1, Iteration{4}, Epoch{1}, "iteration 5 of server0", 0});
  t.say("psctl", GetStatus{});
  const Status status = t.told<Status>("psctl").at(0);
  CHECK(status.state == RunState::running);
  CHECK(status.iteration == Iteration{4});
  CHECK(status.view == t.coordinator.view());
  REQUIRE(status.processes.size() == 3);
  CHECK(status.processes[2].waiting_for == "iteration 5 of server0");
  CHECK(status.processes[2].member);
}

TEST_CASE("psctl may stop the run, and may not speak as a member does") {
  CoordinatorTest t;
  t.form();
  t.say("psctl", Heartbeat{});
  CHECK(t.told<Refused>("psctl").at(0).reason == RefusalReason::malformed);
  t.say("psctl", StopRun{"enough"});
  CHECK(t.told<Ack>("psctl").size() == 1);
  CHECK(t.told<Stop>().at(0).cause == "enough");
  CHECK(t.coordinator.state() == RunState::interrupted);
  t.say("worker0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("worker0").at(0).state == RunState::interrupted);
}

TEST_CASE("after the end the coordinator exits when all have left, or after a while") {
  CoordinatorTest t;
  t.form();
  t.say("psctl", StopRun{"enough"});
  t.say("server0", Leave{});
  t.say("worker0", Leave{});
  t.wait(milliseconds(100), {"worker1"});
  CHECK(t.effects_of<Coordinator::Exit>().empty());
  SECTION("all have left") {
    t.say("worker1", Leave{});
    t.wait(milliseconds(100), {});
  }
  SECTION("somebody does not leave") {
    t.wait(std::chrono::seconds(6), {"worker1"});
  }
  REQUIRE(t.effects_of<Coordinator::Exit>().size() == 1);
  CHECK(t.effects_of<Coordinator::Exit>()[0].text == "enough");
  CHECK(t.coordinator.next_deadline() == time_never);
}

TEST_CASE("what a member cannot mend ends the run with its words; the first reason counts") {
  CoordinatorTest t;
  t.form();
  t.say("worker0", Failed{"NaN in slice 3"});
  CHECK(t.told<Ack>("worker0").size() == 1);
  CHECK(t.told<Stop>().at(0).cause == "NaN in slice 3");
  t.say("worker1", Failed{"something else"});
  CHECK(t.told<Stop>().empty());
  CHECK(t.coordinator.state() == RunState::failed);
}

// ---- reports --------------------------------------------------------------------------------------------------------

JobSpec evaluated_job() {
  JobSpec job = small_job();
  job.evaluate_interval = 4;  // due: 4, 8, and the last, 10
  return job;
}

TEST_CASE("reports are recorded once and confirmed") {
  CoordinatorTest t(evaluated_job());
  t.form();
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {{Iteration{1}, 1, 1}, {Iteration{2}, 1, 1}}, {}});
  REQUIRE(t.effects_of<Coordinator::Record>().size() == 1);
  CHECK(t.effects_of<Coordinator::Record>()[0].progress.timings.size() == 2);
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {{Iteration{2}, 1, 1}, {Iteration{3}, 1, 1}}, {}});
  REQUIRE(t.effects_of<Coordinator::Record>().size() == 1);
  CHECK(t.effects_of<Coordinator::Record>()[0].progress.timings.size() == 1);
  t.say("worker0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("worker0").at(0).timings_through == Iteration{3});
}

TEST_CASE("how stale gradients were is counted once for each life of a worker") {
  CoordinatorTest t(evaluated_job());
  t.form();
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {}, {5, 1}});
  REQUIRE(t.effects_of<Coordinator::Record>().size() == 1);
  CHECK(t.effects_of<Coordinator::Record>()[0].worker == "worker0");
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {}, {4, 1}});  // overtaken by the one before
  CHECK(t.effects_of<Coordinator::Record>().empty());
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {}, {6, 1}});
  t.say("worker1", Progress{Epoch{1}, Epoch{1}, {}, {}, {1, 0, 2}});
  t.say("psctl", GetStatus{});
  CHECK(t.told<Status>("psctl").at(0).staleness == std::vector<std::uint64_t>{7, 1, 2});
}

TEST_CASE("what a worker's messages took is recorded for each of its lives, and only if it is news") {
  CoordinatorTest t(evaluated_job());
  t.form();
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {}, {}, {10, 20, 30, 60, 1}});
  REQUIRE(t.effects_of<Coordinator::Record>().size() == 1);
  CHECK(t.effects_of<Coordinator::Record>()[0].worker == "worker0");
  CHECK(t.effects_of<Coordinator::Record>()[0].progress.traffic == Traffic{10, 20, 30, 60, 1});
  for (const Traffic& old : {Traffic{}, Traffic{10, 20, 30, 60, 1}, Traffic{8, 16, 30, 60, 1}}) {
    t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {}, {}, old});
    CHECK(t.effects_of<Coordinator::Record>().empty());
  }
  t.say("worker1", Progress{Epoch{1}, Epoch{1}, {}, {}, {}, {5, 10, 15, 30, 0}});
  CHECK(t.effects_of<Coordinator::Record>().size() == 1);
}

TEST_CASE("evaluations are confirmed through the first that is missing") {
  CoordinatorTest t(evaluated_job());
  t.form();
  t.say("worker1", Progress{Epoch{1}, Epoch{1}, {}, {{Iteration{8}, 90, 1}}});
  t.say("worker0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("worker0").at(0).evaluations_through == Iteration{0});
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {{Iteration{4}, 80, 1}}});
  t.say("worker0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("worker0").at(0).evaluations_through == Iteration{8});
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {{Iteration{4}, 80, 1}}});
  CHECK(t.effects_of<Coordinator::Record>().empty());
  t.say("psctl", GetStatus{});
  CHECK(t.told<Status>("psctl").at(0).accuracy == 90);
}

TEST_CASE("the weights that the run starts from may be evaluated once") {
  CoordinatorTest t(evaluated_job());
  t.form();
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {}, {{Iteration{0}, 10, 2}}});
  CHECK(t.effects_of<Coordinator::Record>().size() == 1);
  t.say("worker1", Progress{Epoch{1}, Epoch{1}, {}, {{Iteration{0}, 10, 2}}});
  CHECK(t.effects_of<Coordinator::Record>().empty());
}

TEST_CASE("a restarted coordinator confirms what an earlier life has recorded, and no less") {
  CoordinatorTest first(evaluated_job());
  first.form();
  Coordinator::Recovered recovered{first.coordinator.view(), {}, "", Iteration{7}, {Iteration{0}, Iteration{4}}};
  CoordinatorTest t(evaluated_job(), {}, recovered);
  t.say("worker0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("worker0").at(0).timings_through == Iteration{7});
  CHECK(t.told<HeartbeatAnswer>("worker0").at(0).evaluations_through == Iteration{4});
}

}  // namespace
}  // namespace ringps
