// A shard's tables in asynchronous modes.
#include <catch2/catch.hpp>

#include "tests/unit/core/shard_rows_support.hpp"

namespace ringps {
namespace {

JobSpec async_job_with_table(Consistency consistency, std::uint64_t staleness = 0, std::uint32_t expire_after = 0) {
  JobSpec job = job_with_table();
  job.consistency = consistency;
  job.staleness = staleness;
  job.tables[0].expire_after = expire_after;
  return job;
}

/// The clocks in a block of rows.
std::vector<Iteration> clocks_of(std::span<const float> raw) {
  return {clock_at(raw, 0), clock_at(raw, 1)};
}

const RowBlock& rows_of(const Shard& shard) {
  for (const Shard::Observed& block : shard.observe()) {
    if (block.rows != nullptr) {
      return *block.rows;
    }
  }
  FAIL("no rows");
  std::abort();
}

}  // namespace

TEST_CASE("a contribution to rows is applied and acknowledged when it comes, and once") {
  RowsTest t(async_job_with_table(Consistency::asp));
  t.say(t.push_rows(1, 1, t.list({7, 7}, {1, 2, 1, 2})));
  CHECK(t.reply<Ack>().iteration == Iteration{1});
  CHECK(clocks_of(rows_of(t.shard).clocks(false)) == clocks(0, 1));
  CHECK(clocks_of(rows_of(t.shard).clocks(true)) == clocks(0, 0));
  t.say(t.push_rows(1, 1, t.list({7}, {100, 100})));
  CHECK(t.reply<Ack>().iteration == Iteration{1});
  CHECK(t.shard.counters().duplicates == 1);
  t.say(t.pull_rows(1, {7, 8}, 1));
  CHECK(t.reply<Values>().clocks == clocks(0, 1));
  CHECK(floats_of(t.replies()[0].message.payload) == std::vector<float>{-1, -2, 0, 0});
  t.say(t.push_rows(3, 1, t.list({7}, {1, 1})));
  CHECK(t.refusal().reason == RefusalReason::version_gone);
}

TEST_CASE("rows are answered once the slice's own contribution is in them, with the newest of all others") {
  RowsTest t(async_job_with_table(Consistency::asp));
  t.say(t.pull_rows(1, {7}, 0));
  CHECK(t.replies().empty());
  t.say(t.push_rows(1, 1, t.list({7}, {2, 2})));
  CHECK(t.reply<Ack>().iteration == Iteration{1});  // of the other slice: no answer to the pull
  t.say(t.push_rows(1, 0, t.list({7}, {4, 4})));
  const auto replies = t.replies();
  REQUIRE(replies.size() == 2);
  for (const auto& reply : replies) {
    if (const auto* values = std::get_if<Values>(&reply.message.body)) {
      CHECK(values->clocks == clocks(1, 1));
      CHECK(floats_of(reply.message.payload) == std::vector<float>{-3, -3});
    }
  }
}

TEST_CASE("rows wait for the bound, as weights do") {
  RowsTest t(async_job_with_table(Consistency::ssp, 1));
  t.say(t.push_rows(1, 0, t.list({7}, {2, 2})));
  t.say(t.pull_rows(1, {7}, 0));
  CHECK(t.reply<Values>().clocks == clocks(1, 0));
  t.say(t.push_rows(2, 0, t.list({}, {})));
  CHECK(t.reply<Ack>().iteration == Iteration{2});  // an acknowledgement waits for no bound
  t.say(t.pull_rows(2, {7}, 0));
  CHECK(t.replies().empty());
  t.say(t.push_rows(1, 1, t.list({}, {})));
  CHECK(t.replies().size() == 2);
}

TEST_CASE("where no row is asked for there are the clocks all the same") {
  RowsTest t(async_job_with_table(Consistency::ssp, 0));
  t.say(t.push_rows(1, 0, t.list({7}, {2, 2})));
  Message ask = t.pull_rows(0, {}, 0);
  std::get<PullRows>(ask.body).iteration = newest_version;
  t.say(ask);
  CHECK(t.reply<Values>().clocks == clocks(1, 0));
  CHECK(t.replies()[0].message.payload.empty());
  std::get<PullRows>(ask.body).slice = SliceId{9};
  t.say(ask);
  CHECK(t.refusal().reason == RefusalReason::malformed);
}

TEST_CASE("a block of rows goes into a checkpoint with its clocks, and comes back with them") {
  JobSpec job = async_job_with_table(Consistency::asp, 0, 5);
  job.checkpoint.interval = 1;
  RowsTest t(job);
  t.say(t.push(1, 0, 0.0F));
  t.say(t.push(1, 1, 0.0F));
  t.say(t.push_rows(1, 0, t.list({7}, {2, 2})));
  t.say(t.push_rows(2, 0, t.list({8}, {2, 2})));
  t.say(t.push_rows(1, 1, t.list({9}, {2, 2})));
  const auto writes = all<Shard::WriteCheckpoint>(t.effects);
  REQUIRE(writes.size() == 1);
  const RowImage image = writes[0].blocks.back().rows.image();
  CHECK(image.iteration == Iteration{1});
  CHECK(image.ids == std::vector<std::uint64_t>{7, 8, 9});
  CHECK(image.touched == std::vector<std::uint64_t>{1, 2, 1});  // 8: by an iteration that not all slices have done
  CHECK(clocks_of(image.clocks) == clocks(2, 1));

  View view = view_of(job);
  view.epoch = Epoch{2};
  view.restore = {Epoch{2}, Iteration{1}, "folder"};
  t.view(view);
  std::vector<BlockState> states;
  for (int b = 0; b < 3; ++b) {
    BlockBuffer buffer(6, 0.0F);
    set_clock(buffer.values().last(4), 0, Iteration{1});
    set_clock(buffer.values().last(4), 1, Iteration{1});
    states.emplace_back(std::move(buffer));
  }
  states.emplace_back(image);
  t.effects.clear();
  t.shard.on_restored(t.now, Epoch{2}, std::move(states), t.effects);
  Message again = t.push_rows(2, 0, t.list({8}, {2, 2}));
  again.envelope.epoch = Epoch{2};
  t.say(again);
  CHECK(t.reply<Ack>().iteration == Iteration{2});
  CHECK(t.shard.counters().duplicates == 1);
  CHECK(rows_of(t.shard).image(false) == image);
}

TEST_CASE("a row expires when every slice is so many iterations beyond the last that touched it") {
  RowsTest t(async_job_with_table(Consistency::asp, 0, 2));
  const auto value = [&](std::uint32_t slice, std::uint64_t iteration) {
    t.say(t.pull_rows(iteration, {7}, slice));
    REQUIRE(t.replies().size() == 1);
    return floats_of(t.replies()[0].message.payload).front();
  };
  t.say(t.push_rows(1, 0, t.list({7}, {2, 2})));
  for (std::uint64_t iteration = 2; iteration <= 6; ++iteration) {
    t.say(t.push_rows(iteration, 0, t.list({}, {})));
  }
  CHECK(value(0, 6) == -1.0F);  // slice 1 has done nothing yet
  for (std::uint64_t iteration = 1; iteration <= 3; ++iteration) {
    t.say(t.push_rows(iteration, 1, t.list({}, {})));
  }
  CHECK(value(1, 3) == -1.0F);
  t.say(t.push_rows(4, 1, t.list({}, {})));
  CHECK(value(1, 4) == 0.0F);
  t.say(t.push_rows(7, 0, t.list({7}, {2, 2})));
  t.say(t.push_rows(5, 1, t.list({7}, {2, 2})));  // comes later, and does not make the row older than 7
  CHECK(value(1, 5) == -2.0F);
  CHECK(rows_of(t.shard).image(false).touched == std::vector<std::uint64_t>{7});
}

/// The primary of the first blocks of a table, and their replica. Messages between them go where the test says.
class Pair {
 public:
  explicit Pair(std::uint32_t buckets) {
    job.tensors.clear();
    job.tables[0].buckets = buckets;
    job.servers = 2;
    job.replicas = 2;
    const BlockTable table(job.tensors, job.block_elements, job.tables);
    View view = make_view(job, 1, 2, 2);
    const Placement placement(view, table, job.virtual_nodes, job.replicas);
    view.placement_digest = placement.digest();
    const std::uint32_t first = placement.owned(0).size() > placement.owned(1).size() ? 0 : 1;
    blocks = placement.owned(first);
    primary.emplace(job, ServerId{"server" + std::to_string(first)}, Incarnation{1});
    replica.emplace(job, ServerId{"server" + std::to_string(1 - first)}, Incarnation{1});
    primary->on_view(start_time, view, of_primary);
    replica->on_view(start_time, view, of_replica);
    deliver();
  }

  /// Empty lists for some of the primary's blocks, or one with a row for one of them.
  void push(std::uint64_t iteration, std::uint32_t slice, const std::vector<BlockId>& to, const Payload& lists) {
    Message message = words.push_rows(iteration, slice, lists);
    std::get<PushRows>(message.body).runs = primary->table().runs(to);
    primary->on_message(start_time, "route", message, of_primary);
  }
  /// Until nobody has anything to say to the other: what workers are answered meanwhile.
  std::vector<Message> deliver() {
    std::vector<Message> answers;
    for (bool quiet = false; !quiet;) {
      const Shard::Effects from_primary = std::exchange(of_primary, {});
      const Shard::Effects from_replica = std::exchange(of_replica, {});
      quiet = from_primary.empty() && from_replica.empty();
      for (const auto& order : all<Shard::ToServer>(from_primary)) {
        replica->on_message(start_time, "", order.message, of_replica);
      }
      for (const auto& order : all<Shard::ToServer>(from_replica)) {
        primary->on_message(start_time, "", order.message, of_primary);
      }
      for (const auto& reply : all<Shard::Reply>(from_primary)) {
        answers.push_back(reply.message);
      }
    }
    return answers;
  }

  JobSpec job = async_job_with_table(Consistency::asp);
  RowsTest words{async_job_with_table(Consistency::asp)};
  std::vector<BlockId> blocks;  ///< of the primary
  std::optional<Shard> primary;
  std::optional<Shard> replica;
  Shard::Effects of_primary;
  Shard::Effects of_replica;
};

TEST_CASE("rows that replicas have not got yet are not told, and replicas get their clocks with them") {
  Pair pair(1);
  pair.push(1, 0, {BlockId{0}}, pair.words.list({7}, {2, 2}));
  CHECK(all<Shard::Reply>(pair.of_primary).empty());
  Message pull = pair.words.pull_rows(0, {7}, 1);
  std::get<PullRows>(pull.body).runs = {{0, 0, 1}};
  Shard::Effects meanwhile;
  pair.primary->on_message(start_time, "route", pull, meanwhile);
  const auto before = all<Shard::Reply>(meanwhile);
  REQUIRE(before.size() == 1);
  CHECK(std::get<Values>(before[0].message.body).clocks == clocks(0, 0));
  CHECK(floats_of(before[0].message.payload) == std::vector<float>{0, 0});
  const auto answers = pair.deliver();
  REQUIRE(answers.size() == 1);
  CHECK(std::holds_alternative<Ack>(answers[0].body));
  CHECK(rows_of(*pair.replica).image(false) == rows_of(*pair.primary).image(false));
  CHECK(clocks_of(rows_of(*pair.replica).clocks(false)) == clocks(1, 0));
}

TEST_CASE("blocks that are not at the same number of steps travel together, each with its own") {
  Pair pair(5);
  REQUIRE(pair.blocks.size() >= 2);
  const std::vector<BlockId> two{pair.blocks[0], pair.blocks[1]};
  const Payload empty = pair.words.list({}, {});
  pair.push(1, 0, {two[1]}, empty);
  CHECK(pair.deliver().size() == 1);
  std::vector<float> both = floats_of(empty);
  both.insert(both.end(), both.begin(), both.end());
  pair.push(1, 1, two, payload_of(both));
  const auto sent = all<Shard::ToServer>(pair.of_primary);
  REQUIRE(sent.size() == 1);
  Message replicate = sent[0].message;
  CHECK(std::get<Replicate>(replicate.body).versions == std::vector<Iteration>{Iteration{1}, Iteration{2}});
  std::get<Replicate>(replicate.body).versions.pop_back();
  Shard::Effects nothing;
  pair.replica->on_message(start_time, "", replicate, nothing);
  CHECK(nothing.empty());  // a version for each block, or it is refused
  CHECK(pair.deliver().size() == 1);
  for (const Shard::Observed& block : pair.replica->observe()) {
    if (block.block == two[0] || block.block == two[1]) {
      CHECK(block.version == Iteration{block.block == two[0] ? 1U : 2U});
      CHECK(clocks_of(block.rows->clocks(false)) == clocks(block.block == two[0] ? 0 : 1, 1));
    }
  }
}

}  // namespace ringps
