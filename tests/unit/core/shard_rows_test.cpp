// A shard with a table: what it takes, what it refuses, and how much it may hold.
#include <catch2/catch.hpp>
#include <limits>

#include "tests/unit/core/shard_rows_support.hpp"

namespace ringps {

TEST_CASE("rows are summed over slices and repetitions, and a pull waits for the version that it names") {
  RowsTest t;
  t.say(t.pull_rows(1, {7, 8, 7}));
  CHECK(t.replies().empty());
  t.say(t.push_rows(1, 0, t.list({7, 7}, {1, 2, 1, 2})));
  CHECK(t.replies().empty());
  t.say(t.push_rows(1, 1, t.list({}, {})));
  const auto replies = t.replies();
  REQUIRE(replies.size() == 3);
  for (const auto& reply : replies) {
    if (const auto* values = std::get_if<Values>(&reply.message.body)) {
      CHECK(values->iteration == Iteration{1});
      // The mean over two slices, at a rate of 1, from zero.
      CHECK(floats_of(reply.message.payload) == std::vector<float>{-1, -2, 0, 0, -1, -2});
    }
  }
}

TEST_CASE("the rows of the version before can be pulled until the next step") {
  RowsTest t;
  for (std::uint64_t iteration = 1; iteration <= 2; ++iteration) {
    t.say(t.push_rows(iteration, 0, t.list({7}, {2, 2})));
    t.say(t.push_rows(iteration, 1, t.list({7}, {2, 2})));
  }
  t.say(t.pull_rows(1, {7}));
  CHECK(floats_of(t.replies().at(0).message.payload) == std::vector<float>{-2, -2});
  t.say(t.pull_rows(2, {7}));
  CHECK(floats_of(t.replies().at(0).message.payload) == std::vector<float>{-4, -4});
  t.say(t.push_rows(3, 0, t.list({}, {})));
  t.say(t.push_rows(3, 1, t.list({}, {})));
  t.say(t.pull_rows(1, {7}));
  CHECK(t.refusal().reason == RefusalReason::version_gone);
}

TEST_CASE("what is not a list of the block's rows is refused and changes nothing") {
  JobSpec job = job_with_table();
  job.tables[0].buckets = 2;
  RowsTest t(job);
  std::uint64_t stranger = 0;
  while (t.shard.table().block_of(0, stranger) == t.shard.table().first_of_table(0)) {
    ++stranger;
  }
  t.say(t.push_rows(1, 0, t.list({stranger}, {1, 1})));
  CHECK(t.refusal().reason == RefusalReason::malformed);
  t.say(t.push_rows(1, 0, payload_of({1.0F})));
  CHECK(t.refusal().reason == RefusalReason::malformed);
  t.say(t.push_rows(1, 0, t.list({}, {1})));
  CHECK(t.refusal().reason == RefusalReason::malformed);
  std::uint64_t own = 0;
  while (t.shard.table().block_of(0, own) != t.shard.table().first_of_table(0)) {
    ++own;
  }
  t.say(t.push_rows(1, 0, t.list({own}, {1, std::numeric_limits<float>::infinity()})));
  const Refused refused = t.refusal();
  CHECK(refused.reason == RefusalReason::not_finite);
  CHECK(refused.text.find("table 'rows': element 1 of row " + std::to_string(own)) != std::string::npos);
  Message dense = t.push_rows(1, 0, payload_of({1.0F, 1.0F}));
  dense.body = Push{Iteration{1}, SliceId{0}, {{2, 0, 1}}};
  t.say(dense);
  CHECK(t.refusal().reason == RefusalReason::malformed);
  Message of_tensor = t.push_rows(1, 0, t.list({}, {}));
  of_tensor.body = PushRows{Iteration{1}, SliceId{0}, {{0, 0, 1}}};
  t.say(of_tensor);
  CHECK(t.refusal().reason == RefusalReason::malformed);
  CHECK(t.shard.counters().blocks_applied == 0);
}

TEST_CASE("a server with more rows than it may hold says so once") {
  RowsTest t(job_with_table(2));
  t.say(t.push_rows(1, 0, t.list({1, 2, 3}, {1, 1, 1, 1, 1, 1})));
  t.say(t.push_rows(1, 1, t.list({}, {})));
  const auto told = all<Shard::Tell>(t.effects);
  REQUIRE(told.size() == 1);
  CHECK(std::get<Failed>(told[0].body).text.find("has 3 rows on server0, and tables.rows_per_server allows 2") !=
        std::string::npos);
  t.say(t.push_rows(2, 0, t.list({4}, {1, 1})));
  t.say(t.push_rows(2, 1, t.list({}, {})));
  CHECK(all<Shard::Tell>(t.effects).empty());
}

}  // namespace ringps
