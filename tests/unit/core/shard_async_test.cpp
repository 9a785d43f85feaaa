// Shards in asynchronous modes: one server, and several whose steps are not the same.
#include <deque>
#include <functional>
#include <optional>

#include "tests/unit/core/shard_support.hpp"

namespace ringps {
namespace {

JobSpec async_job(Consistency consistency, std::uint64_t staleness = 0) {
  JobSpec job = small_job();
  job.consistency = consistency;
  job.staleness = staleness;
  return job;
}

TEST_CASE("clocks survive their way through floats") {
  std::vector<float> raw(4);
  for (const std::uint64_t value : {0ULL, 1ULL, 16'777'215ULL, 16'777'216ULL, 1'000'000'000'000ULL}) {
    set_clock(raw, 1, Iteration{value});
    CHECK(clock_at(raw, 1) == Iteration{value});
  }
  CHECK(slowest_clock(raw) == Iteration{0});
  raw[0] = -1.0F;  // never from us, but a disk may hold anything
  CHECK(clock_at(raw, 0) == Iteration{0});
}

TEST_CASE("in asp a contribution is applied and answered when it comes") {
  ShardTest t(async_job(Consistency::asp));
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 1, 1.0F));
  CHECK(t.reply<Values>().iteration == Iteration{1});
  CHECK(t.reply<Values>().clocks == clocks(0, 1));
  CHECK(floats_of(t.replies()[0].message.payload) == std::vector<float>{0.5F, 0.5F, 0.5F, 0.5F, 4.5F, 4.5F});
  t.say(t.push(2, 1, 1.0F));
  CHECK(t.reply<Values>().clocks == clocks(0, 2));
  CHECK(t.shard.newest() == Iteration{0});  // of every slice
}

TEST_CASE("a contribution that has been applied is answered and not applied again") {
  ShardTest t(async_job(Consistency::asp));
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 1.0F));
  t.say(t.push(1, 0, 1.0F));
  CHECK(t.reply<Values>().clocks == clocks(1, 0));
  CHECK(floats_of(t.replies()[0].message.payload).front() == 0.5F);
  CHECK(t.shard.counters().duplicates == 3);
}

TEST_CASE("a contribution before which others are missing is refused") {
  ShardTest t(async_job(Consistency::asp));
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(2, 0, 1.0F));
  CHECK(t.refusal().reason == RefusalReason::version_gone);
}

TEST_CASE("in ssp an answer waits until the slowest slice is within the bound") {
  ShardTest t(async_job(Consistency::ssp, 1));
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 1.0F));
  CHECK(t.reply<Values>().clocks == clocks(1, 0));
  t.say(t.push(2, 0, 1.0F));
  CHECK(t.replies().empty());
  CHECK(t.shard.waiting_for() == "iteration 1 waits for slice 1 of worker1");
  t.say(t.push(1, 1, 1.0F));
  REQUIRE(t.replies().size() == 2);
  for (const Shard::Reply& reply : t.replies()) {
    CHECK(std::get<Values>(reply.message.body).clocks == clocks(2, 1));
    CHECK(floats_of(reply.message.payload).front() == -0.5F);
  }
}

TEST_CASE("a pull waits for an iteration of every slice, and the newest values come at once") {
  ShardTest t(async_job(Consistency::asp));
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 1.0F));
  t.say(t.pull(newest_version));
  CHECK(t.reply<Values>().clocks == clocks(1, 0));
  t.say(t.pull(Iteration{1}, 2));
  CHECK(t.replies().empty());
  t.say(t.push(1, 1, 1.0F));
  CHECK(t.replies().size() == 2);
}

TEST_CASE("of weight decay each step takes the part of an iteration that it is") {
  JobSpec job = async_job(Consistency::asp);
  job.optimizer.weight_decay = 0.5F;
  ShardTest t(job);
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 0.0F));
  CHECK(floats_of(t.replies()[0].message.payload).front() == 0.75F);  // half of the slices
}

TEST_CASE("a block goes into a checkpoint when its slowest slice is there, with all that others have done") {
  JobSpec job = async_job(Consistency::asp);
  job.checkpoint.interval = 1;
  ShardTest t(job);
  t.view(make_view(t.job, 1, 1, 2));
  t.say(t.push(1, 0, 1.0F));
  t.say(t.push(2, 0, 1.0F));
  CHECK(all<Shard::WriteCheckpoint>(t.effects).empty());
  t.say(t.push(1, 1, 1.0F));
  const auto writes = all<Shard::WriteCheckpoint>(t.effects);
  REQUIRE(writes.size() == 1);
  CHECK(writes[0].iteration == Iteration{1});
  const auto values = std::as_const(writes[0].blocks[0].buffer).values();
  REQUIRE(values.size() == 6);
  CHECK(values[0] == -0.5F);
  CHECK(clock_at(values.last(4), 0) == Iteration{2});
  CHECK(clock_at(values.last(4), 1) == Iteration{1});
}

TEST_CASE("what a rollback restores has its own clocks, and drops what it contains already") {
  ShardTest t(async_job(Consistency::asp));
  t.view(make_view(t.job, 1, 1, 2, {Epoch{1}, Iteration{5}, "folder"}));
  std::vector<BlockState> buffers;
  for (int b = 0; b < 3; ++b) {
    BlockBuffer buffer(6, 0.0F);
    set_clock(buffer.values().last(4), 0, Iteration{b == 0 ? 6U : 5U});  // blocks were not at one moment
    set_clock(buffer.values().last(4), 1, Iteration{5});
    buffers.emplace_back(std::move(buffer));
  }
  t.shard.on_restored(t.now, Epoch{1}, std::move(buffers), t.effects);
  t.say(t.pull(newest_version));
  CHECK(t.reply<Values>().clocks == clocks(5, 5));
  t.say(t.push(6, 0, 1.0F));
  CHECK(t.reply<Values>().clocks == clocks(6, 5));
  CHECK(floats_of(t.replies()[0].message.payload) == std::vector<float>{0, 0, -0.5F, -0.5F, -0.5F, -0.5F});
}

/// One block of two elements on up to three servers; two workers with a slice each. Messages go where the test says.
class Ring {
 public:
  struct Sent {
    std::string to;
    Message message;
  };

  Ring() {
    job.tensors = {{"a", {2}, {1.0F, 1.0F}}};
    job.servers = 3;
    job.replicas = 2;
    for (std::uint32_t s = 0; s < 3; ++s) {
      shards.emplace_back(job, ServerId{"server" + std::to_string(s)}, Incarnation{1});
    }
    const BlockTable table(job.tensors, job.block_elements);
    order = Placement({"server0", "server1", "server2"}, table, job.virtual_nodes, 3).holders(BlockId{0});
  }

  Shard& nth(std::size_t n) { return shards[order[n]]; }
  std::string name(std::size_t n) const { return "server" + std::to_string(order[n]); }
  View view(std::uint64_t epoch, const std::vector<std::size_t>& there, const std::vector<std::size_t>& settled) const {
    View view = make_view(job, epoch, 3, 2);
    const auto lists = [&](const std::vector<std::size_t>& places, const std::string& id) {
      return std::any_of(places.begin(), places.end(), [&](std::size_t n) { return name(n) == id; });
    };
    std::erase_if(view.servers, [&](const ServerMember& s) { return !lists(there, s.id.value); });
    std::erase_if(view.settled_ring, [&](const RingMember& r) { return !lists(settled, r.id.value); });
    const BlockTable table(job.tensors, job.block_elements);
    view.placement_digest = Placement(view, table, job.virtual_nodes, job.replicas).digest();
    return view;
  }
  void adopt(std::size_t n, const View& next) {
    Shard::Effects effects;
    nth(n).on_view(now, next, effects);
    take(n, effects);
  }
  void push(std::size_t n, std::uint64_t iteration, std::uint32_t slice, std::uint64_t epoch) {
    Shard::Effects effects;
    nth(n).on_message(
        now, "worker",
        {{"test", Role::worker, "worker" + std::to_string(slice), Incarnation{1}, Epoch{epoch}, RequestId{++requests}},
         PushPull{Iteration{iteration}, SliceId{slice}, {{0, 0, 1}}},
         payload_of({1.0F, 1.0F})},
        effects);
    take(n, effects);
  }
  void tick(std::size_t n, Duration later) {
    now += later;
    Shard::Effects effects;
    nth(n).on_tick(now, effects);
    take(n, effects);
  }
  void take(std::size_t n, Shard::Effects& effects) {
    for (auto& effect : effects) {
      if (auto* reply = std::get_if<Shard::Reply>(&effect)) {
        answers.push_back(reply->message);
      } else if (auto* to_server = std::get_if<Shard::ToServer>(&effect)) {
        wire.push_back({nth(n).view().servers[to_server->server].id.value, to_server->message});
      }
    }
  }
  void deliver(const std::function<void(const Sent&)>& look = nullptr) {
    while (!wire.empty()) {
      const Sent sent = wire.front();
      wire.pop_front();
      if (look) {
        look(sent);
      }
      for (std::size_t n = 0; n < 3; ++n) {
        if (name(n) == sent.to) {
          Shard::Effects effects;
          nth(n).on_message(now, "", sent.message, effects);
          take(n, effects);
        }
      }
    }
  }
  Shard::Observed block(std::size_t n) { return nth(n).observe().at(0); }
  std::vector<Iteration> clocks_at(std::size_t n) {
    const auto raw = block(n).current.last(4);
    return {clock_at(raw, 0), clock_at(raw, 1)};
  }

  JobSpec job = async_job(Consistency::asp);
  std::deque<Shard> shards;
  std::vector<std::uint32_t> order;
  std::deque<Sent> wire;
  std::vector<Message> answers;
  Time now = start_time;
  std::uint64_t requests = 0;
};

TEST_CASE("a step goes to the replicas with its clocks, and what comes meanwhile makes up the next one") {
  Ring r;
  const View both = r.view(1, {0, 1}, {0, 1});
  r.adopt(0, both);
  r.adopt(1, both);
  r.deliver();
  r.push(0, 1, 0, 1);
  CHECK(r.answers.empty());
  r.push(0, 1, 1, 1);
  REQUIRE(r.wire.size() == 1);
  CHECK(std::get<Replicate>(r.wire[0].message.body).slices == std::vector<SliceId>{SliceId{0}});
  r.deliver();
  CHECK(r.answers.size() == 2);
  CHECK(r.clocks_at(1) == clocks(1, 1));
  CHECK(r.block(1).version == Iteration{2});
  CHECK(r.block(1).current[0] == 0.0F);
}

/// A step of slice 0 at the first server, that nobody else has heard of; then the second is the primary.
View leave_a_step_behind(Ring& r) {
  const View both = r.view(1, {0, 1}, {0, 1});
  r.adopt(0, both);
  r.adopt(1, both);
  r.deliver();
  r.push(0, 1, 0, 1);
  r.wire.clear();
  REQUIRE(r.block(0).version == Iteration{1});
  View next = r.view(2, {0, 1, 2}, {1, 2});
  r.adopt(1, next);
  r.adopt(2, next);
  return next;
}

TEST_CASE("a replica with a step that its new primary has not got is handed the primary's, though that is older") {
  Ring r;
  r.adopt(0, leave_a_step_behind(r));
  r.deliver();
  CHECK(r.block(0).version == Iteration{0});
  CHECK(r.clocks_at(0) == clocks(0, 0));
  r.push(1, 1, 1, 2);
  r.deliver();
  CHECK(r.answers.size() == 1);
  CHECK(r.clocks_at(0) == clocks(0, 1));
}

TEST_CASE("a replica with another step of the same number is handed the primary's") {
  Ring r;
  const View next = leave_a_step_behind(r);
  r.deliver();
  r.tick(1, milliseconds(150));  // the first server does not answer, and is not waited for
  r.push(1, 1, 1, 2);
  r.deliver();
  REQUIRE(r.answers.size() == 1);
  REQUIRE(r.block(0).version == r.block(1).version);
  r.adopt(0, next);
  r.deliver();
  CHECK(r.clocks_at(0) == clocks(0, 1));
  CHECK(r.block(0).made_in == Epoch{2});
}

TEST_CASE("a handoff that comes late does not take back what the same primary has sent since") {
  Ring r;
  const View alone = r.view(1, {0}, {0});
  r.adopt(0, alone);
  r.push(0, 1, 0, 1);
  const View joined = r.view(2, {0, 1}, {0});
  r.adopt(1, joined);
  r.adopt(0, joined);
  std::optional<Ring::Sent> handoff;
  r.deliver([&](const Ring::Sent& sent) {
    if (std::holds_alternative<Handoff>(sent.message.body)) {
      handoff = sent;
    }
  });
  REQUIRE(handoff);
  REQUIRE(r.clocks_at(1) == clocks(1, 0));
  r.push(0, 1, 1, 2);
  r.deliver();
  REQUIRE(r.clocks_at(1) == clocks(1, 1));
  r.wire.push_back(*handoff);
  r.deliver();
  CHECK(r.clocks_at(1) == clocks(1, 1));
}

TEST_CASE("after a restore from files a primary hands over what it has read, for its replicas may have read another") {
  Ring r;
  View both = r.view(1, {0, 1}, {0, 1});
  both.restore = {Epoch{1}, Iteration{5}, "folder"};
  for (const std::size_t n : {0U, 1U}) {
    r.adopt(n, both);
    BlockBuffer buffer(6, 2.0F + static_cast<float>(n));
    set_clock(buffer.values().last(4), 0, Iteration{5 + n});
    set_clock(buffer.values().last(4), 1, Iteration{5});
    Shard::Effects effects;
    r.nth(n).on_restored(r.now, Epoch{1}, std::vector<BlockState>{BlockState(buffer)}, effects);
    r.take(n, effects);
  }
  r.deliver();
  CHECK(r.clocks_at(1) == clocks(5, 5));
  CHECK(r.block(1).current[0] == 2.0F);
  r.push(0, 6, 0, 1);
  r.deliver();
  CHECK(r.answers.size() == 1);
  CHECK(r.clocks_at(1) == clocks(6, 5));
}

}  // namespace
}  // namespace ringps
