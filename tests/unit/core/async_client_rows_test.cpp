// A worker's rows in asynchronous modes: chosen, pulled and pushed by each slice on its own.
#include <catch2/catch.hpp>

#include "libps/core/async_client.hpp"
#include "libps/rows/row_list.hpp"
#include "tests/unit/core/support.hpp"

namespace ringps {
namespace {

using RowIds = std::vector<std::vector<std::uint64_t>>;

/// Two elements of a tensor, and a table of two buckets, on one server.
JobSpec async_job_of(std::uint64_t staleness, bool with_tensor) {
  JobSpec job = small_job();
  job.tensors.clear();
  if (with_tensor) {
    job.tensors = {{"a", {2}, {1.0F, 1.0F}}};
  }
  TableSpec table;
  table.name = "rows";
  table.width = 1;
  table.buckets = 2;
  job.tables = {table};
  job.consistency = Consistency::ssp;
  job.staleness = staleness;
  job.iterations = Iteration{3};
  return job;
}

/// worker0 and what it says to a server that the test plays.
class AsyncRowsTest {
 public:
  explicit AsyncRowsTest(bool with_tensor, std::uint64_t staleness = 1)
      : job(async_job_of(staleness, with_tensor)), client(job, {"worker0"}, Incarnation{1}) {}

  void view(std::uint64_t epoch, std::uint32_t servers, std::uint32_t workers) {
    View next = make_view(job, epoch, servers, workers);
    next.placement_digest = Placement(next, client.table(), job.virtual_nodes, job.replicas).digest();
    effects.clear();
    client.on_view(now, next, effects);
  }
  void answer(const ClientCore::Send& request, Body body, Payload payload = {}) {
    effects.clear();
    client.on_message(now, answer_to(request, client.view(), std::move(body), std::move(payload)), effects);
  }
  void values(const ClientCore::Send& request, std::uint64_t a, std::uint64_t b, std::vector<float> values) {
    answer(request, Values{Iteration{a}, {Iteration{a}, Iteration{b}}}, payload_of(std::move(values)));
  }
  void choose(RowIds ids) {
    const auto choice = client.next_choice();
    REQUIRE(choice);
    effects.clear();
    client.choose(now, *choice, std::move(ids), effects);
  }
  void contribute(std::vector<float> rows) {
    const auto task = client.next_task();
    REQUIRE(task);
    effects.clear();
    client.contribute(now, *task, std::make_shared<const Floats>(task->weights->size(), 0.5F), effects,
                      std::make_shared<const Floats>(rows.begin(), rows.end()));
  }
  /// What is sent of one kind, which is one message.
  template <class Kind>
  ClientCore::Send sent() const {
    std::vector<ClientCore::Send> found;
    for (const auto& send : all<ClientCore::Send>(effects)) {
      if (std::holds_alternative<Kind>(send.message.body)) {
        found.push_back(send);
      }
    }
    REQUIRE(found.size() == 1);
    return found[0];
  }
  std::size_t messages() const { return all<ClientCore::Send>(effects).size(); }

  const JobSpec job;
  Time now = start_time;
  AsyncClientCore client;
  ClientCore::Effects effects;
};

/// Two rows of different buckets, in the order of their blocks.
std::vector<std::uint64_t> a_row_of_each(const BlockTable& table) {
  std::vector<std::uint64_t> rows;
  for (std::uint32_t bucket = 0; bucket < 2; ++bucket) {
    std::uint64_t id = 0;
    while (table[table.block_of(0, id)].index != bucket) {
      ++id;
    }
    rows.push_back(id);
  }
  return rows;
}

}  // namespace

TEST_CASE("a slice asks for the rows of its next gradient as soon as its last one is out, and begins with all of it") {
  AsyncRowsTest t(true);
  const auto ids = a_row_of_each(t.client.table());
  t.view(1, 1, 2);
  const auto where = t.sent<PullRows>();
  CHECK(std::get<PullRows>(where.message.body).iteration == newest_version);
  const auto weights = t.sent<Pull>();
  t.values(weights, 0, 0, {1, 1});
  CHECK_FALSE(t.client.next_choice());
  t.values(where, 0, 0, {});
  CHECK_FALSE(t.client.next_task());  // rows have to be named first
  CHECK(t.client.next_choice()->iteration == Iteration{1});
  t.choose({{ids[1], ids[0]}});
  const auto pull = t.sent<PullRows>();
  CHECK(std::get<PullRows>(pull.message.body).iteration == Iteration{0});
  t.values(pull, 0, 0, {10, 20});
  REQUIRE(t.client.next_task());
  CHECK(t.client.next_task()->rows->values(0)[0] == 20.0F);
  CHECK_FALSE(t.client.next_choice());

  t.contribute({3, 4});
  const auto push = t.sent<PushPull>();
  const auto push_rows = t.sent<PushRows>();
  CHECK(std::get<PushRows>(push_rows.message.body).iteration == Iteration{1});
  CHECK(t.client.next_choice()->iteration == Iteration{2});
  t.choose({{ids[0]}});
  const auto next = t.sent<PullRows>();
  CHECK(std::get<PullRows>(next.message.body).iteration == Iteration{1});
  CHECK(std::get<PullRows>(next.message.body).slice == SliceId{0});
  t.values(push, 1, 1, {7, 7});
  t.answer(push_rows, Ack{Iteration{1}});
  CHECK_FALSE(t.client.next_task());  // the rows are not here
  t.values(next, 1, 0, {30});
  REQUIRE(t.client.next_task());
  CHECK(t.client.next_task()->weights->front() == 7.0F);
  t.contribute({5});
  CHECK(t.client.staleness() == std::vector<std::uint64_t>{1, 1});  // the rows lacked one of slice 1, the tensor none
  // Two elements each time; of rows lists with a head of 8 bytes for each block, ids of 8, and values of 4.
  CHECK(t.client.traffic() == Traffic{2 * 8 + 68, 2 * 8 + 68, 2 * 8 + 12, 2 * 8 + 12, 0});
}

TEST_CASE("of a table alone the run ends when all slices are in it, and no rows are asked for after the last") {
  AsyncRowsTest t(false);
  const auto ids = a_row_of_each(t.client.table());
  t.view(1, 1, 2);
  t.values(t.sent<PullRows>(), 0, 0, {});
  t.choose({{ids[0]}});
  t.values(t.sent<PullRows>(), 0, 0, {1});
  for (std::uint64_t iteration = 1; iteration <= 3; ++iteration) {
    t.contribute(iteration == 2 ? std::vector<float>{} : std::vector<float>{1});
    const auto push = t.sent<PushRows>();
    if (iteration < 3) {
      t.choose(iteration == 1 ? RowIds{{}} : RowIds{{ids[0]}});
      const auto pull = t.sent<PullRows>();  // of every block, for its clocks, where no row is needed too
      t.values(pull, iteration, iteration, iteration == 1 ? std::vector<float>{} : std::vector<float>{1});
    }
    CHECK_FALSE(t.client.next_task());
    t.answer(push, Ack{Iteration{iteration}});
  }
  CHECK_FALSE(t.client.next_choice());
  CHECK_FALSE(t.client.finished());
  const auto last = t.sent<Pull>();
  CHECK(std::get<Pull>(last.message.body).iteration == Iteration{3});
  CHECK_FALSE(std::get<Pull>(last.message.body).want_values);
  t.answer(last, Ack{Iteration{3}});
  CHECK(t.client.finished());
  CHECK(t.client.version() == Iteration{3});
}

TEST_CASE("after a change of the view what was not answered of a gradient's rows is sent again, as it was") {
  AsyncRowsTest t(false);
  const auto ids = a_row_of_each(t.client.table());
  t.view(1, 1, 2);
  t.values(t.sent<PullRows>(), 0, 0, {});
  t.choose({{ids[0], ids[1]}});
  t.values(t.sent<PullRows>(), 0, 0, {1, 2});
  t.contribute({3, 4});
  const auto first = t.sent<PushRows>();
  t.choose({{ids[1]}});
  const auto pull = t.sent<PullRows>();
  t.view(2, 1, 2);
  CHECK(t.messages() == 2);
  CHECK(floats_of(t.sent<PushRows>().message.payload) == floats_of(first.message.payload));
  CHECK(floats_of(t.sent<PullRows>().message.payload) == floats_of(pull.message.payload));
  CHECK(std::get<PullRows>(t.sent<PullRows>().message.body).iteration == Iteration{1});
  t.values(t.sent<PullRows>(), 1, 0, {5});
  t.view(3, 1, 2);  // the rows are here, the acknowledgement is not
  CHECK(t.messages() == 1);
  t.answer(t.sent<PushRows>(), Ack{Iteration{1}});
  CHECK(t.client.next_task()->iteration == Iteration{2});
  t.view(4, 1, 2);
  CHECK(t.messages() == 0);
}

TEST_CASE("who takes over a slice that is first of all waits for the bound of rows as well") {
  AsyncRowsTest t(false, 1);
  const auto ids = a_row_of_each(t.client.table());
  t.view(1, 1, 2);
  t.values(t.sent<PullRows>(), 2, 0, {});
  CHECK_FALSE(t.client.next_task());
  t.choose({{ids[0]}});
  const auto pull = t.sent<PullRows>();
  CHECK(std::get<PullRows>(pull.message.body).iteration == Iteration{2});
  CHECK(std::get<PullRows>(pull.message.body).slice == SliceId{0});
  t.values(pull, 2, 1, {1});
  CHECK(t.client.next_task()->iteration == Iteration{3});
}

TEST_CASE("an answer of the wrong length is not taken for the rows") {
  AsyncRowsTest t(false);
  t.view(1, 1, 2);
  t.values(t.sent<PullRows>(), 0, 0, {});
  t.choose({{a_row_of_each(t.client.table())[0]}});
  const auto pull = t.sent<PullRows>();
  t.values(pull, 0, 0, {1, 2});
  CHECK_FALSE(t.client.next_task());
  t.values(pull, 0, 0, {1});
  CHECK(t.client.next_task());
}

}  // namespace ringps
