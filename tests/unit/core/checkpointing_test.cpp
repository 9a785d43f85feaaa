#include "tests/unit/core/coordinator_support.hpp"

namespace ringps {
namespace {

JobSpec job_of(std::uint64_t interval, bool wait) {
  JobSpec job = two_servers();
  job.checkpoint = {.interval = interval, .wait = wait};
  job.iterations = Iteration{100};
  return job;
}

TEST_CASE("a checkpoint is committed when all blocks are covered, once") {
  CoordinatorTest t(job_of(5, false));
  t.form();
  t.written("server0", 5);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().empty());
  t.written("server1", 5);
  REQUIRE(t.effects_of<Coordinator::CommitCheckpoint>().size() == 1);
  const auto commit = t.effects_of<Coordinator::CommitCheckpoint>()[0];
  CHECK(commit.iteration == Iteration{5});
  CHECK(commit.files.size() == 2);
  t.written("server1", 5);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().empty());
  t.committed(5);
  t.written("server0", 5);
  t.written("server1", 5);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().empty());
}

TEST_CASE("written blocks are acknowledged when the checkpoint is committed, not before") {
  CoordinatorTest t(job_of(5, true));
  t.form();
  t.written("server0", 5, 17);
  CHECK(t.told<Ack>("server0").empty());
  t.written("server1", 5, 18);
  CHECK(t.told<Ack>("server1").empty());
  t.committed(5);
  CHECK(t.told<Ack>("server0").size() == 1);
  CHECK(t.told<Ack>("server1").size() == 1);
  t.written("server1", 5, 18);  // the acknowledgement was lost
  CHECK(t.told<Ack>("server1").size() == 1);
}

TEST_CASE("a server without blocks is not waited for") {
  JobSpec job = job_of(5, false);
  job.tensors = {{"a", {2}, {}}};
  CoordinatorTest t(job);
  t.form();
  const Placement placement(t.coordinator.view(), BlockTable(job.tensors, job.block_elements), job.virtual_nodes, 1);
  t.written(placement.owned(0).empty() ? "server1" : "server0", 5);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().size() == 1);
}

TEST_CASE("blocks of a lineage that has ended do not get into a checkpoint") {
  CoordinatorTest t(job_of(5, false));
  t.form();
  t.written("server0", 5);
  const BlocksWritten old{Iteration{5}, Epoch{1}, Epoch{1}, {}};
  t.lives["server1"] = 2;
  t.join("server1");
  t.say("server0", old);
  CHECK(t.told<Ack>("server0").size() == 1);
  CHECK(t.effects.size() == 1);
}

TEST_CASE("optimizer files do not stand for blocks") {
  CoordinatorTest t(job_of(5, false));
  t.form();
  t.say("server0", BlocksWritten{Iteration{5}, Epoch{1}, Epoch{1}, {{"all.optimizer", true, 1, digest, {{0, 0, 10}}}}});
  CHECK(t.effects.empty());
  t.say("server0", BlocksWritten{Iteration{5}, Epoch{1}, Epoch{1}, {{"beyond", false, 1, digest, {{0, 0, 11}}}}});
  CHECK(t.effects.empty());
}

TEST_CASE("with checkpoint.wait the next checkpoint is the next multiple") {
  CoordinatorTest t(job_of(5, true));
  t.form();
  t.written("server0", 5);
  t.written("server1", 5);
  t.committed(5);
  CHECK(t.told<CheckpointCommitted>().at(0).iteration == Iteration{5});
  CHECK(t.told<CheckpointBegin>().at(0).iteration == Iteration{10});
}

TEST_CASE("without waiting, the next checkpoint is one that nobody has passed yet") {
  CoordinatorTest t(job_of(5, false));
  t.form();
  t.say("worker0", t.beat(17));
  t.written("server0", 5);
  t.written("server1", 5);
  t.committed(5);
  CHECK(t.told<CheckpointBegin>().at(0).iteration.value >= 20);
}

TEST_CASE("a checkpoint that a server has missed is followed by a later one") {
  CoordinatorTest t(job_of(5, false));
  t.form();
  t.say("server0", CheckpointMissed{Iteration{5}, Epoch{1}, Iteration{23}});
  CHECK(t.told<Ack>("server0").size() == 1);
  REQUIRE(t.told<CheckpointBegin>().size() == 1);
  CHECK(t.told<CheckpointBegin>()[0].iteration.value > 5);
  t.say("server1", CheckpointMissed{Iteration{5}, Epoch{1}, Iteration{23}});  // the same one again
  CHECK(t.told<CheckpointBegin>().empty());
}

TEST_CASE("a run is over when the last version is committed and everything is measured") {
  CoordinatorTest t(job_of(0, false));
  t.form();
  t.written("server0", 100);
  t.written("server1", 100);
  t.committed(100);
  CHECK(t.coordinator.state() == RunState::running);
  t.say("worker0", Progress{Epoch{1}, Epoch{1}, {{Iteration{100}, 1, 1}}, {}});
  CHECK(t.coordinator.state() == RunState::completed);
  CHECK(t.told<Stop>().at(0).state == RunState::completed);
}

TEST_CASE("measurements that never come hold the end up for a while only") {
  CoordinatorTest t(job_of(0, false));
  t.form();
  t.written("server0", 100);
  t.written("server1", 100);
  t.committed(100);
  t.wait(std::chrono::seconds(19), {"server0", "server1", "worker0", "worker1"});
  CHECK(t.coordinator.state() == RunState::running);
  t.wait(std::chrono::seconds(2), {"server0", "server1", "worker0", "worker1"});
  CHECK(t.coordinator.state() == RunState::completed);
}

TEST_CASE("a late commit of a lineage that has ended is kept, and does not disturb the new one") {
  CoordinatorTest t(job_of(5, true));
  t.form();
  t.written("server0", 5);
  t.written("server1", 5);
  t.lives["server1"] = 2;
  t.join("server1");  // rolls back to the beginning while the commit is under way
  CHECK(t.coordinator.view().restore.iteration == Iteration{0});
  t.effects.clear();
  t.coordinator.on_checkpoint_committed(t.now, Iteration{5}, Epoch{1}, "folder 5", t.effects);
  CHECK(t.coordinator.committed() == Iteration{5});
  t.written("server0", 5);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().size() == 1);
  t.committed(5);
  CHECK(t.told<CheckpointBegin>().at(0).iteration == Iteration{10});
}

// ---- a coordinator that is started again ----------------------------------------------------------------------------

CoordinatorTest restarted(const JobSpec& job, std::uint64_t committed) {
  CoordinatorTest first(job);
  first.form();
  const std::string folder = committed == 0 ? "" : "folder " + std::to_string(committed);
  return CoordinatorTest(job, {},
                         Coordinator::Recovered{first.coordinator.view(), Iteration{committed}, folder, {}, {}});
}

TEST_CASE("a restarted coordinator goes on with the checkpoint after the last one, so that nobody waits at a gate") {
  CoordinatorTest t = restarted(job_of(5, true), 10);
  t.say("server0", Heartbeat{});
  CHECK(t.told<HeartbeatAnswer>("server0").at(0).next_checkpoint == Iteration{15});
  t.written("server0", 15);
  t.written("server1", 15);
  t.committed(15);
  CHECK(t.told<CheckpointBegin>().at(0).iteration == Iteration{20});
}

TEST_CASE("a restarted coordinator takes up a checkpoint that its earlier life had named") {
  CoordinatorTest t = restarted(job_of(5, false), 5);
  t.written("server0", 30);
  CHECK(t.told<CheckpointBegin>().at(0).iteration == Iteration{30});
  t.written("server1", 30);
  CHECK(t.effects_of<Coordinator::CommitCheckpoint>().size() == 1);
}

TEST_CASE("a restarted coordinator hears of a miss that its earlier life had named") {
  CoordinatorTest t = restarted(job_of(5, false), 5);
  t.say("server0", CheckpointMissed{Iteration{30}, Epoch{1}, Iteration{33}});
  CHECK(t.told<CheckpointBegin>().at(0).iteration.value > 33);
}

TEST_CASE("a restarted coordinator names a new checkpoint when the one it knows was passed long ago") {
  CoordinatorTest t = restarted(job_of(5, false), 5);
  t.wait(t.job.timeouts.failure_timeout + milliseconds(100), {"server0", "server1", "worker0", "worker1"}, 42);
  REQUIRE(t.told<CheckpointBegin>().size() == 1);
  CHECK(t.told<CheckpointBegin>()[0].iteration.value >= 45);
}

}  // namespace
}  // namespace ringps
