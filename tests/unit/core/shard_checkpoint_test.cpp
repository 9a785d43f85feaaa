#include "tests/unit/core/shard_support.hpp"

namespace ringps {
namespace {

JobSpec job_with(std::uint64_t interval, bool wait) {
  JobSpec job = small_job();
  job.checkpoint = {.interval = interval, .wait = wait};
  return job;
}

std::vector<Shard::WriteCheckpoint> writes(const ShardTest& t) {
  return all<Shard::WriteCheckpoint>(t.effects);
}

TEST_CASE("at a multiple of the interval the blocks of exactly that version are handed out, ascending") {
  ShardTest t(job_with(2, false));
  t.view(make_view(t.job, 1, 1, 2));
  t.iterate(1);
  CHECK(writes(t).empty());
  t.say(t.push(2, 0, 0.5F));
  for (const std::uint32_t tensor : {1U, 0U}) {  // tensor b gets there first
    Message part = t.push(2, 1, 0.5F);
    part.body = PushPull{Iteration{2}, SliceId{1}, {{tensor, 0, tensor == 0 ? 2U : 1U}}};
    part.payload = payload_of(std::vector<float>(tensor == 0 ? 4 : 2, 0.5F));
    t.say(part);
  }
  REQUIRE(writes(t).size() == 1);
  const auto write = writes(t)[0];
  CHECK(write.iteration == Iteration{2});
  CHECK(write.restore_epoch == Epoch{1});
  REQUIRE(write.blocks.size() == 3);
  for (std::uint32_t b = 0; b < 3; ++b) {
    CHECK(write.blocks[b].block == BlockId{b});
    CHECK(write.blocks[b].buffer.values().front() == (b == 2 ? 4.0F : 0.0F));
  }
}

TEST_CASE("blocks that are being written do not change under the writer's hands") {
  ShardTest t(job_with(1, false));
  t.view(make_view(t.job, 1, 1, 2));
  t.iterate(1);
  const auto written = writes(t).at(0);
  for (std::uint64_t iteration = 2; iteration < 6; ++iteration) {
    t.iterate(iteration);
  }
  CHECK(written.blocks[0].buffer.values().front() == 0.5F);
}

TEST_CASE("without an interval only the last version is written") {
  ShardTest t(job_with(0, true));
  t.view(make_view(t.job, 1, 1, 2));
  for (std::uint64_t iteration = 1; iteration <= 10; ++iteration) {
    CHECK(writes(t).empty());
    t.iterate(iteration);
  }
  REQUIRE(writes(t).size() == 1);
  CHECK(writes(t)[0].iteration == Iteration{10});
}

TEST_CASE("with checkpoint.wait nobody passes a checkpoint before the next one is named") {
  ShardTest t(job_with(2, true));
  t.view(make_view(t.job, 1, 1, 2));
  t.iterate(1);
  t.iterate(2);
  CHECK(writes(t).size() == 1);
  t.iterate(3);
  CHECK(t.replies().empty());
  CHECK(t.shard.version() == Iteration{2});
  CHECK(t.shard.waiting_for() == "iteration 3 waits for checkpoint 2");
  t.effects.clear();
  t.shard.on_checkpoint_begin(t.now, Iteration{4}, Epoch{1}, t.effects);
  CHECK(t.shard.version() == Iteration{3});
  CHECK(t.replies().size() == 2);
}

TEST_CASE("the word on the next checkpoint may be repeated, come late, or be of an ended lineage") {
  ShardTest t(job_with(2, true));
  t.view(make_view(t.job, 2, 1, 2, {Epoch{2}, {}, ""}));
  t.iterate(1, 2);
  t.iterate(2, 2);
  t.iterate(3, 2);
  t.effects.clear();
  t.shard.on_checkpoint_begin(t.now, Iteration{2}, Epoch{2}, t.effects);
  t.shard.on_checkpoint_begin(t.now, Iteration{4}, Epoch{1}, t.effects);
  CHECK(t.effects.empty());
  t.shard.on_checkpoint_begin(t.now, Iteration{4}, Epoch{2}, t.effects);
  t.shard.on_checkpoint_begin(t.now, Iteration{4}, Epoch{2}, t.effects);
  CHECK(t.shard.version() == Iteration{3});
  CHECK(t.replies().size() == 2);
}

TEST_CASE("without checkpoint.wait a checkpoint that was named too late is missed, and the coordinator is told") {
  ShardTest t(job_with(2, false));
  t.view(make_view(t.job, 1, 1, 2));
  for (std::uint64_t iteration = 1; iteration <= 6; ++iteration) {
    t.iterate(iteration);
  }
  t.effects.clear();
  t.shard.on_checkpoint_begin(t.now, Iteration{4}, Epoch{1}, t.effects);
  const auto told = all<Shard::Tell>(t.effects);
  REQUIRE(told.size() == 1);
  const auto missed = std::get<CheckpointMissed>(told[0].body);
  CHECK(missed.iteration == Iteration{4});
  CHECK(missed.reached == Iteration{6});
}

TEST_CASE("a checkpoint named when all blocks have just passed its version is taken from the version before") {
  ShardTest t(job_with(2, false));
  t.view(make_view(t.job, 1, 1, 2));
  for (std::uint64_t iteration = 1; iteration <= 5; ++iteration) {
    t.iterate(iteration);
  }
  t.effects.clear();
  t.shard.on_checkpoint_begin(t.now, Iteration{4}, Epoch{1}, t.effects);
  CHECK(all<Shard::Tell>(t.effects).empty());
  REQUIRE(writes(t).size() == 1);
  CHECK(writes(t)[0].iteration == Iteration{4});
  CHECK(writes(t)[0].blocks[0].buffer.values()[0] == -1.0F);  // 1 - 4 * 0.5
}

TEST_CASE("a checkpoint named when all blocks are at its version is written at once") {
  ShardTest t(job_with(2, false));
  t.view(make_view(t.job, 1, 1, 2));
  for (std::uint64_t iteration = 1; iteration <= 4; ++iteration) {
    t.iterate(iteration);
  }
  t.effects.clear();
  t.shard.on_checkpoint_begin(t.now, Iteration{4}, Epoch{1}, t.effects);
  REQUIRE(writes(t).size() == 1);
  CHECK(writes(t)[0].iteration == Iteration{4});
}

TEST_CASE("the last version is written even when another checkpoint is due") {
  ShardTest t(job_with(4, false));
  t.view(make_view(t.job, 1, 1, 2));
  std::vector<Iteration> written;
  for (std::uint64_t iteration = 1; iteration <= 10; ++iteration) {
    t.iterate(iteration);
    for (const auto& write : writes(t)) {
      written.push_back(write.iteration);
    }
  }
  CHECK(written == std::vector<Iteration>{Iteration{4}, Iteration{10}});
}

TEST_CASE("a run resumed after its end writes its last checkpoint and nothing else") {
  ShardTest t(job_with(4, false));
  t.view(make_view(t.job, 1, 1, 2, {Epoch{1}, Iteration{10}, "folder"}));
  t.effects.clear();
  std::vector<BlockState> buffers;
  for (int b = 0; b < 3; ++b) {
    buffers.emplace_back(BlockBuffer(2, 1.0F));
  }
  t.shard.on_restored(t.now, Epoch{1}, std::move(buffers), t.effects);
  REQUIRE(writes(t).size() == 1);
  CHECK(writes(t)[0].iteration == Iteration{10});
}

TEST_CASE("momentum's state goes into the checkpoint behind the values, and comes back") {
  JobSpec job = job_with(1, false);
  job.optimizer.kind = OptimizerKind::momentum;
  ShardTest t(job);
  t.view(make_view(job, 1, 1, 2));
  t.iterate(1);
  const auto block = writes(t).at(0).blocks[0];
  REQUIRE(block.buffer.size() == 4);
  CHECK(block.buffer.values()[0] == 0.5F);  // 1 - 0.5
  CHECK(block.buffer.values()[2] == 0.5F);  // the velocity
}

}  // namespace
}  // namespace ringps
