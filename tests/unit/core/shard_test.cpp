#include "libps/core/shard.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/unit/core/shard_support.hpp"

namespace ringps {
namespace {

TEST_CASE("a shard starts from the initialisers where there is no checkpoint") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.pull(newest_version));
  CHECK(t.reply<Values>().iteration == Iteration{0});
  CHECK(floats_of(t.replies()[0].message.payload) == std::vector<float>{1, 1, 1, 1, 5, 5});
}

TEST_CASE("when every slice has contributed, the mean is applied and everybody gets the new version") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 1, 1.0F), "one");
  CHECK(t.effects.empty());
  t.say(t.push(1, 0, 2.0F), "zero");
  REQUIRE(t.replies().size() == 2);
  for (const Shard::Reply& reply : t.replies()) {
    CHECK(std::get<Values>(reply.message.body).iteration == Iteration{1});
    CHECK(floats_of(reply.message.payload) == std::vector<float>{-0.5F, -0.5F, -0.5F, -0.5F, 3.5F, 3.5F});
    CHECK(reply.message.envelope.request == RequestId{reply.to == "one" ? 101U : 100U});
  }
}

TEST_CASE("contributions are summed in the order of slices, not in that of arrival") {
  JobSpec job = small_job();
  job.slices = job.workers = 3;
  const auto result = [&](const std::vector<std::uint32_t>& order) {
    const float values[] = {1.0F, 1e8F, -1e8F};  // (1 + 1e8) - 1e8 is 0, 1 + (1e8 - 1e8) is 1
    ShardTest t(job);
    t.view(make_view(job, 1, 1, 3));
    for (const std::uint32_t slice : order) {
      t.say(t.push(1, slice, values[slice]));
    }
    return floats_of(t.replies().front().message.payload);
  };
  CHECK(result({0, 1, 2}).front() == 1.0F);
  CHECK(result({2, 1, 0}) == result({0, 1, 2}));
  CHECK(result({1, 2, 0}) == result({0, 1, 2}));
}

TEST_CASE("a contribution that comes twice is counted once") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 2.0F));
  t.say(t.push(1, 0, 2.0F));
  CHECK(t.effects.empty());
  CHECK(t.shard.counters().duplicates == 3);
  CHECK(t.shard.version() == Iteration{0});
}

TEST_CASE("a late duplicate of an applied contribution is answered and not counted again") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.iterate(1);
  t.say(t.push(1, 0, 0.5F));
  CHECK(t.reply<Values>().iteration == Iteration{1});
  CHECK(t.shard.version() == Iteration{1});
  CHECK(t.shard.waiting_for().empty());
}

TEST_CASE("a repeated request replaces itself and is answered once, to where it came from last") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 0.5F), "old connection");
  t.say(t.push(1, 0, 0.5F), "new connection");
  t.say(t.push(1, 1, 0.5F), "other");
  REQUIRE(t.replies().size() == 2);
  CHECK(t.replies()[0].to != "old connection");
  CHECK(t.replies()[1].to != "old connection");
}

TEST_CASE("whoever asks about a contribution without sending it is answered as for it, or told that it is missing") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  Message question = t.push(1, 0, 0.5F);
  question.payload = {};
  t.say(question);
  CHECK(t.reply<Missing>().iteration == Iteration{1});
  CHECK(t.reply<Missing>().slices == std::vector<SliceId>{SliceId{0}});
  Message half = t.push(1, 0, 0.5F);  // of two blocks one has it
  std::get<PushPull>(half.body).runs = {{0, 0, 1}};
  half.payload = payload_of({0.5F, 0.5F});
  t.say(half);
  t.say(question);
  CHECK(t.reply<Missing>().iteration == Iteration{1});
  t.say(t.push(1, 0, 0.5F), "old route");
  t.say(question, "route");
  CHECK(t.effects.empty());  // it waits as before, for one answer
  t.say(t.push(1, 1, 0.5F), "other");
  std::vector<Route> to;
  for (const auto& reply : t.replies()) {
    to.push_back(std::holds_alternative<Values>(reply.message.body) ? reply.to : "");
  }
  std::sort(to.begin(), to.end());
  CHECK(to == std::vector<Route>{"other", "route", "route"});  // the half's as well
  t.say(question);
  CHECK(t.reply<Values>().iteration == Iteration{1});
  CHECK(t.shard.counters().duplicates == 1);  // the block that had come with the half
  question.body = PushPull{Iteration{3}, SliceId{0}, all_blocks()};
  t.say(question);
  CHECK(t.refusal().reason == RefusalReason::version_gone);
}

TEST_CASE("blocks are not in lockstep, and an answer waits for the last of its own") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 0.5F));
  Message part = t.push(1, 1, 0.5F);
  part.body = PushPull{Iteration{1}, SliceId{1}, {{0, 0, 2}}};
  part.payload = payload_of({0.5F, 0.5F, 0.5F, 0.5F});
  t.say(part);
  CHECK(t.replies().size() == 1);  // tensor a is at version 1; worker0 still waits for b
  CHECK(t.shard.version() == Iteration{0});
  CHECK(t.shard.newest() == Iteration{1});
  part.body = PushPull{Iteration{1}, SliceId{1}, {{1, 0, 1}}};
  part.payload = payload_of({0.5F, 0.5F});
  part.envelope.request = RequestId{7};
  t.say(part);
  CHECK(t.replies().size() == 2);
  CHECK(t.shard.version() == Iteration{1});
}

TEST_CASE("the previous version is still to be had, the one before it is gone") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.iterate(1);
  t.iterate(2);
  t.say(t.pull(Iteration{1}));
  CHECK(t.reply<Values>().iteration == Iteration{1});
  CHECK(floats_of(t.replies()[0].message.payload) == std::vector<float>{0.5F, 0.5F, 0.5F, 0.5F, 4.5F, 4.5F});
  t.say(t.pull(Iteration{0}));
  CHECK(t.refusal().reason == RefusalReason::version_gone);
}

TEST_CASE("values that are on their way do not change when the next versions are made") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.pull(newest_version));
  const Payload sent = t.replies()[0].message.payload;
  Message one_block = t.pull(newest_version, 2);
  one_block.body = Pull{newest_version, true, {{1, 0, 1}}};  // one block goes out without a copy
  t.say(one_block);
  const Payload uncopied = t.replies()[0].message.payload;
  for (std::uint64_t iteration = 1; iteration <= 4; ++iteration) {
    t.iterate(iteration);
  }
  CHECK(floats_of(sent) == std::vector<float>{1, 1, 1, 1, 5, 5});
  CHECK(floats_of(uncopied) == std::vector<float>{5, 5});
}

TEST_CASE("of the version before only the values are kept, and whoever still reads the whole of it is not disturbed") {
  JobSpec job = small_job();
  job.optimizer.kind = OptimizerKind::momentum;
  ShardTest t(job);
  t.view(make_view(t.job, 1, 1, 2));
  t.iterate(1);
  const float* const kept = t.shard.observe()[2].current.data();
  CHECK(t.shard.observe()[2].current.size() == 4);
  CHECK(t.shard.observe()[2].previous.size() == 2);
  Message one_block = t.pull(Iteration{1}, 2);
  one_block.body = Pull{Iteration{1}, true, {{1, 0, 1}}};
  t.say(one_block);
  const Payload uncopied = t.replies()[0].message.payload;
  const std::vector<float> before = floats_of(uncopied);
  t.iterate(2);
  CHECK(t.shard.observe()[2].current.data() != kept);  // somebody reads it
  const float* const now = t.shard.observe()[2].current.data();
  t.iterate(3);
  CHECK(t.shard.observe()[2].current.data() == now);
  CHECK(floats_of(uncopied) == before);
  t.say(t.pull(Iteration{2}));
  CHECK(t.reply<Values>().iteration == Iteration{2});
  // By hand: m = 0.9 m + 0.5, w = w - m.
  CHECK(floats_of(t.replies()[0].message.payload)[4] == 5.0F - 0.5F - (0.9F * 0.5F + 0.5F));
}

TEST_CASE("a pull waits for the version that it asks for") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.pull(Iteration{1}, 55), "waiting");
  CHECK(t.effects.empty());
  t.say(t.push(1, 0, 0.5F));
  t.say(t.push(1, 1, 0.5F));
  REQUIRE(t.replies().size() == 3);
  Message word_only = t.pull(Iteration{1}, 56);
  word_only.body = Pull{Iteration{1}, false, all_blocks()};
  t.say(word_only);
  CHECK(t.reply<Ack>().iteration == Iteration{1});
}

TEST_CASE("a contribution too far ahead is refused") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(2, 0, 0.5F));
  CHECK(t.refusal().reason == RefusalReason::version_gone);
  t.say(t.pull(Iteration{11}));
  CHECK(t.refusal().reason == RefusalReason::version_gone);
}

// ---- who may speak, and of what -------------------------------------------------------------------------------------

TEST_CASE("NaN in a gradient is refused with iteration, slice and tensor, and never gets into the weights") {
  // In place, as with optimizer state, and to a new buffer, as without.
  const OptimizerKind optimizer = GENERATE(OptimizerKind::sgd, OptimizerKind::adam);
  JobSpec job = small_job();
  job.optimizer.kind = optimizer;
  ShardTest t(job);
  t.view(make_view(t.job, 1, 1, 2));
  t.iterate(1);
  t.say(t.push(2, 0, 0.5F));
  Message message = t.push(2, 1, 0.5F);
  message.payload = payload_of({0, 0, 0, 0, 0, std::numeric_limits<float>::quiet_NaN()});
  t.say(message);
  CHECK(t.refusal().reason == RefusalReason::not_finite);
  CHECK_THAT(t.refusal().text, Catch::Contains("iteration 2, slice 1, tensor 'b': element 1"));
  for (const Shard::Observed& block : t.shard.observe()) {
    CHECK(std::all_of(block.current.begin(), block.current.end(), [](float value) { return std::isfinite(value); }));
  }
  CHECK_THAT(t.shard.waiting_for(), Catch::Contains("iteration 2 waits for slice 1"));
}

TEST_CASE("NaN that came before the others is refused when it is sent again") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  Message message = t.push(1, 0, 0.5F);
  message.payload = payload_of({0, 0, 0, -std::numeric_limits<float>::infinity(), 0, 0});
  t.say(message);
  CHECK(t.replies().empty());
  t.say(t.push(1, 1, 0.5F));
  CHECK(t.replies().empty());
  Message again = message;
  again.payload = {};  // a worker that has waited for long asks first what has become of it
  t.say(again);
  CHECK(t.reply<Missing>().slices == std::vector<SliceId>{SliceId{0}});
  t.say(message);
  CHECK(t.refusal().reason == RefusalReason::not_finite);
  CHECK_THAT(t.refusal().text, Catch::Contains("iteration 1, slice 0, tensor 'a': element 3"));
}

TEST_CASE("a sum of finite gradients that no float holds is applied as it is") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  const float large = std::numeric_limits<float>::max();
  t.say(t.push(1, 0, large));
  t.say(t.push(1, 1, large));
  CHECK(t.replies().size() == 2);
  CHECK(std::isinf(t.shard.observe().front().current[0]));
}

TEST_CASE("blocks that are not in the model are refused") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  for (const BlockRun& run :
       {BlockRun{2, 0, 1}, BlockRun{0, 2, 1}, BlockRun{0, 0, 3}, BlockRun{0, 0, 0}, BlockRun{0, 1, 0xFFFFFFFF}}) {
    Message message = t.pull(newest_version);
    message.body = Pull{newest_version, true, {run}};
    t.say(message);
    CHECK(t.refusal().reason == RefusalReason::malformed);
  }
  Message empty = t.pull(newest_version);
  empty.body = Pull{newest_version, true, {}};
  t.say(empty);
  CHECK(t.refusal().reason == RefusalReason::malformed);
}

TEST_CASE("a payload of the wrong length is refused") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  for (const std::size_t elements : {5U, 7U}) {
    Message message = t.push(1, 0, 0.5F);
    message.payload = payload_of(std::vector<float>(elements, 0.5F));
    t.say(message);
    CHECK(t.refusal().reason == RefusalReason::malformed);
  }
}

TEST_CASE("a slice that the job does not have is refused") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  Message message = t.push(1, 0, 0.5F);
  message.body = PushPull{Iteration{1}, SliceId{2}, all_blocks()};
  t.say(message);
  CHECK(t.refusal().reason == RefusalReason::malformed);
}

TEST_CASE("blocks of another primary are refused by name") {
  JobSpec job = small_job();
  job.servers = 3;
  job.virtual_nodes = 100;
  ShardTest t(job);
  t.view(make_view(job, 1, 3, 2));
  const Placement placement(make_view(job, 1, 3, 2), t.shard.table(), job.virtual_nodes, 1);
  REQUIRE(placement.owned(0).size() < 3);
  t.say(t.pull(newest_version));
  CHECK(t.refusal().reason == RefusalReason::not_primary);
  CHECK_THAT(t.refusal().text, Catch::Contains("'server0' is not the primary of block"));
}

TEST_CASE("a request that names a block more often than the server has blocks is refused") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  Message message = t.pull(newest_version);
  message.body = Pull{newest_version, true, {{0, 0, 2}, {0, 0, 2}}};
  t.say(message);
  CHECK(t.refusal().reason == RefusalReason::not_primary);
}

TEST_CASE("only workers of the view are listened to") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  Message message = t.pull(newest_version);
  SECTION("not those of another cluster") {
    message.envelope.cluster = "other";
  }
  SECTION("not other roles") {
    message.envelope.role = Role::server;
  }
  SECTION("not strangers") {
    message.envelope.sender = "worker7";
  }
  SECTION("not another life of a worker") {
    message.envelope.incarnation = Incarnation{2};
  }
  t.say(message);
  CHECK(t.refusal().reason == RefusalReason::unknown_sender);
}

TEST_CASE("a message that is not for a server is refused") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say({t.envelope("worker0", 3, 1), GetView{}, {}});
  CHECK(t.refusal().reason == RefusalReason::malformed);
}

// ---- epochs ---------------------------------------------------------------------------------------------------------

TEST_CASE("a message with an old epoch changes nothing and is answered with the view") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.view(make_view(t.job, 2, 1, 2));
  t.say(t.push(1, 0, 0.5F, 1));
  CHECK(t.reply<Stale>().view.epoch == Epoch{2});
  t.say(t.push(1, 1, 0.5F, 2));
  CHECK(t.shard.version() == Iteration{0});
  CHECK(t.shard.counters().stale == 1);
}

TEST_CASE("a message with a future epoch fetches the view, and is heard when it comes") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 0.5F, 2));
  CHECK(all<Shard::FetchView>(t.effects).size() == 1);
  CHECK(t.replies().empty());
  t.view(make_view(t.job, 2, 1, 2));
  t.say(t.push(1, 1, 0.5F, 2));
  CHECK(t.replies().size() == 2);
  CHECK(t.shard.version() == Iteration{1});
}

TEST_CASE("an older view, or the same again, changes nothing") {
  ShardTest t;
  t.view(make_view(t.job, 2, 1, 2));
  t.view(make_view(t.job, 1, 1, 1, {Epoch{2}, Iteration{5}, "elsewhere"}));
  CHECK(t.effects.empty());
  CHECK(t.shard.epoch() == Epoch{2});
}

TEST_CASE("contributions that came before a change of the view still count after it") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 0.5F, 1));
  t.view(make_view(t.job, 2, 1, 2));
  t.say(t.push(1, 1, 0.5F, 2));
  CHECK(t.shard.version() == Iteration{1});
  CHECK(t.replies().size() == 1);  // worker0 has to ask again under the new epoch
  t.say(t.push(1, 0, 0.5F, 2));
  CHECK(t.reply<Values>().iteration == Iteration{1});
  CHECK(t.shard.version() == Iteration{1});
}

// ---- restores -------------------------------------------------------------------------------------------------------

std::vector<BlockState> buffers_of(float value) {
  std::vector<BlockState> buffers;
  for (int b = 0; b < 3; ++b) {
    buffers.emplace_back(BlockBuffer(2, value));
  }
  return buffers;
}

TEST_CASE("a checkpoint that cannot be read ends the run, but not one that nobody wants any more") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2, {Epoch{1}, Iteration{2}, "old"}));
  t.view(make_view(t.job, 2, 1, 2, {Epoch{2}, Iteration{4}, "new"}));
  t.effects.clear();
  t.shard.on_restore_failed(Epoch{1}, "it has been deleted", t.effects);
  CHECK(t.effects.empty());
  t.shard.on_restore_failed(Epoch{2}, "it is broken", t.effects);
  REQUIRE(t.effects.size() == 1);
  CHECK(std::holds_alternative<Failed>(std::get<Shard::Tell>(t.effects[0]).body));
}

TEST_CASE("a rollback asks for every owned block of the checkpoint, and forgets what was contributed") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 0.5F, 1));
  t.view(make_view(t.job, 2, 1, 2, {Epoch{2}, Iteration{5}, "folder"}));
  const auto restores = all<Shard::RestoreBlocks>(t.effects);
  REQUIRE(restores.size() == 1);
  CHECK(restores[0].blocks == std::vector<BlockId>{BlockId{0}, BlockId{1}, BlockId{2}});
  CHECK(restores[0].restore.checkpoint == "folder");
  CHECK(t.shard.version() == Iteration{5});
  t.shard.on_restored(t.now, Epoch{2}, buffers_of(9), t.effects);
  t.say(t.push(6, 1, 0.0F, 2));
  CHECK(t.shard.version() == Iteration{5});
}

TEST_CASE("requests that come while blocks are restored are answered afterwards") {
  ShardTest t;
  t.view(make_view(t.job, 2, 1, 2, {Epoch{2}, Iteration{5}, "folder"}));
  t.say(t.pull(newest_version, 1, 2));
  CHECK(t.effects.empty());
  t.shard.on_restored(t.now, Epoch{2}, buffers_of(9), t.effects);
  CHECK(t.reply<Values>().iteration == Iteration{5});
  CHECK(floats_of(t.replies()[0].message.payload) == std::vector<float>(6, 9.0F));
}

TEST_CASE("what a restore brings is ignored when another one has been ordered since") {
  ShardTest t;
  t.view(make_view(t.job, 2, 1, 2, {Epoch{2}, Iteration{5}, "folder"}));
  t.view(make_view(t.job, 3, 1, 2, {Epoch{3}, Iteration{6}, "newer"}));
  t.shard.on_restored(t.now, Epoch{2}, buffers_of(5), t.effects);
  t.effects.clear();
  t.shard.on_restored(t.now, Epoch{3}, buffers_of(6), t.effects);
  t.say(t.pull(newest_version, 1, 3));
  CHECK(t.reply<Values>().iteration == Iteration{6});
  CHECK(floats_of(t.replies()[0].message.payload).front() == 6.0F);
}

TEST_CASE("a server without blocks needs nothing from a checkpoint") {
  JobSpec job = small_job();
  job.tensors = {{"a", {2}, {}}};
  job.servers = 2;
  const View view = make_view(job, 2, 2, 2, {Epoch{2}, Iteration{5}, "folder"});
  const Placement placement(view, BlockTable(job.tensors, 2), job.virtual_nodes, 1);
  const std::string without = view.servers[placement.owned(0).empty() ? 0 : 1].id.value;
  Shard shard(job, {without}, Incarnation{1});
  Shard::Effects effects;
  shard.on_view(start_time, view, effects);
  CHECK(effects.empty());
  CHECK(shard.waiting_for().empty());
}

TEST_CASE("a shard says what it waits for") {
  ShardTest t;
  CHECK(t.shard.waiting_for() == "a view");
  t.view(make_view(t.job, 1, 1, 2));
  CHECK(t.shard.waiting_for().empty());
  t.say(t.push(1, 0, 0.5F));
  CHECK(t.shard.waiting_for() == "iteration 1 waits for slice 1 of worker1");
  t.view(make_view(t.job, 2, 1, 2, {Epoch{2}, Iteration{5}, "folder"}));
  CHECK_THAT(t.shard.waiting_for(), Catch::Contains("folder"));
}

TEST_CASE("whoever asks is told which slices an iteration lacks, and a race's second contribution is dropped") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 0.5F));
  Message ask{t.envelope("worker0", 7, 1), AskMissing{Iteration{1}}, {}};
  t.say(ask);
  CHECK(t.reply<Missing>().slices == std::vector<SliceId>{SliceId{1}});
  ask.body = AskMissing{Iteration{2}};
  t.say(ask);
  CHECK(t.reply<Missing>().slices.empty());
  Message race = t.push(1, 1, 0.5F);
  race.envelope.sender = "worker0";
  t.say(race);
  CHECK(t.shard.version() == Iteration{1});
  t.say(t.push(1, 1, 0.5F));
  CHECK(t.shard.version() == Iteration{1});
  CHECK(t.shard.counters().duplicates == 3);
}

TEST_CASE("a request that follows is answered with every version, and a repeated one not twice") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  Message follow = t.pull(Iteration{1}, 9);
  std::get<Pull>(follow.body).follow = true;
  t.say(follow, "follower");
  CHECK(t.replies().empty());
  const auto to_follower = [&] {
    std::vector<std::uint64_t> versions;
    for (const auto& reply : t.replies()) {
      if (reply.message.envelope.request == RequestId{9}) {
        versions.push_back(std::get<Values>(reply.message.body).iteration.value);
      }
    }
    return versions;
  };
  t.iterate(1);
  CHECK(to_follower() == std::vector<std::uint64_t>{1});
  t.say(follow, "follower anew");  // an answer was lost
  CHECK(to_follower() == std::vector<std::uint64_t>{1});
  t.iterate(2);
  CHECK(to_follower() == std::vector<std::uint64_t>{2});
  CHECK(t.shard.load().waiting == 1);
  for (std::uint64_t iteration = 3; iteration <= t.job.iterations.value; ++iteration) {
    t.iterate(iteration);
  }
  CHECK(t.shard.load().waiting == 0);  // nothing comes after the last version
}

TEST_CASE("a worker that begins anew and follows again is answered once, under its new request") {
  ShardTest t;
  t.view(make_view(t.job, 1, 1, 2));
  for (const std::uint64_t request : {std::uint64_t{9}, std::uint64_t{30}}) {
    Message follow = t.pull(Iteration{1}, request);
    std::get<Pull>(follow.body).follow = true;
    t.say(follow, "follower");
  }
  CHECK(t.shard.load().waiting == 1);
  t.iterate(1);
  const auto answered = [&](std::uint64_t request) {
    const auto replies = t.replies();
    return std::count_if(replies.begin(), replies.end(),
                         [&](const auto& reply) { return reply.message.envelope.request == RequestId{request}; });
  };
  CHECK(answered(9) == 0);
  CHECK(answered(30) == 1);
}

}  // namespace
}  // namespace ringps
