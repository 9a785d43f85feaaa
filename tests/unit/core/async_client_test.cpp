#include "libps/core/async_client.hpp"

#include "libps/core/worker_core.hpp"
#include "tests/unit/core/support.hpp"

namespace ringps {
namespace {

JobSpec ssp_job(std::uint64_t staleness) {
  JobSpec job = small_job();
  job.consistency = Consistency::ssp;
  job.staleness = staleness;
  return job;
}

/// worker0 and what it says to servers that the test plays.
class AsyncTest {
 public:
  explicit AsyncTest(JobSpec spec = ssp_job(1)) : job(std::move(spec)), client(job, {"worker0"}, Incarnation{1}) {}

  void view(const View& next) {
    effects.clear();
    client.on_view(now, next, effects);
  }
  void answer(const ClientCore::Send& request, Body body, Payload payload = {}) {
    effects.clear();
    client.on_message(now, answer_to(request, client.view(), std::move(body), std::move(payload)), effects);
  }
  /// All six elements `value`, with these clocks.
  void values(const ClientCore::Send& request, std::uint64_t a, std::uint64_t b, float value = 1.0F) {
    answer(request, Values{Iteration{a}, {Iteration{a}, Iteration{b}}}, payload_of(std::vector<float>(6, value)));
  }
  void contribute(float value) {
    const auto task = client.next_task();
    REQUIRE(task);
    effects.clear();
    client.contribute(now, *task, std::make_shared<const Floats>(task->weights->size(), value), effects);
  }
  std::vector<ClientCore::Send> sent() const { return all<ClientCore::Send>(effects); }
  ClientCore::Send only() const {
    REQUIRE(sent().size() == 1);
    return sent()[0];
  }
  std::vector<Iteration> reached() const {
    std::vector<Iteration> versions;
    for (const auto& each : all<ClientCore::Reached>(effects)) {
      versions.push_back(each.weights.version);
    }
    return versions;
  }

  const JobSpec job;
  Time now = start_time;
  AsyncClientCore client;
  ClientCore::Effects effects;
};

const PushPull& push_of(const ClientCore::Send& send) {
  REQUIRE(std::holds_alternative<PushPull>(send.message.body));
  return std::get<PushPull>(send.message.body);
}

TEST_CASE("a slice goes on with its next gradient as soon as its last one is answered") {
  AsyncTest t;
  t.view(make_view(t.job, 1, 1, 2));  // slice 0 is worker0's, slice 1 worker1's
  CHECK(std::get<Pull>(t.only().message.body).iteration == newest_version);
  t.values(t.only(), 0, 0);
  CHECK(t.reached() == std::vector{Iteration{0}});
  CHECK(t.client.next_task()->iteration == Iteration{1});
  t.contribute(0.5F);
  CHECK(push_of(t.only()).iteration == Iteration{1});
  CHECK_FALSE(t.client.next_task());
  CHECK(t.client.waiting_for() == "iteration 1 of server0");
  t.values(t.only(), 1, 0, 7.0F);
  CHECK(t.reached() == std::vector{Iteration{1}});
  CHECK(t.client.next_task()->weights->front() == 7.0F);
  t.contribute(0.5F);
  CHECK(push_of(t.only()).iteration == Iteration{2});
  CHECK(t.client.staleness() == std::vector<std::uint64_t>{1, 1});  // of 1: nothing lacked; of 2: 1 of slice 1
}

TEST_CASE("the slices of one worker run on independently of each other, the one furthest behind first") {
  AsyncTest t;
  t.view(make_view(t.job, 1, 1, 1));
  t.values(t.only(), 0, 0);
  t.contribute(0.5F);
  const auto first = t.only();
  CHECK(push_of(first).slice == SliceId{0});
  t.values(first, 1, 0);
  CHECK(t.client.next_task()->slice == SliceId{1});
  CHECK(t.reached().empty());  // slice 1 has not got there
}

TEST_CASE("a slice that is taken over goes on from the block that has least of it") {
  JobSpec job = ssp_job(1);
  job.message_bytes = 16;  // two blocks
  AsyncTest t(job);
  t.view(make_view(t.job, 1, 1, 2));
  const auto pulls = t.sent();
  REQUIRE(pulls.size() == 2);
  for (std::size_t p = 0; p < 2; ++p) {
    std::size_t elements = 0;
    for (const BlockRun& run : std::get<Pull>(pulls[p].message.body).runs) {
      elements += run.count * 2U;
    }
    t.answer(pulls[p], Values{{}, {Iteration{4 + p}, Iteration{5}}}, payload_of(std::vector<float>(elements, 1.0F)));
  }
  CHECK(t.client.next_task()->iteration == Iteration{5});
}

TEST_CASE("who takes over the fastest slice waits for the bound before it computes") {
  AsyncTest t(ssp_job(1));
  t.view(make_view(t.job, 1, 1, 2));
  t.values(t.only(), 5, 3);  // whoever had slice 0 has died waiting for slice 1
  CHECK_FALSE(t.client.next_task());
  CHECK(std::get<Pull>(t.only().message.body).iteration == Iteration{4});
  t.values(t.only(), 5, 4);
  CHECK(t.client.next_task()->iteration == Iteration{6});
  t.contribute(0.5F);
  CHECK(t.client.staleness() == std::vector<std::uint64_t>{0, 1});
}

TEST_CASE("after a change of the view a gradient that was not answered is sent again, not computed again") {
  AsyncTest t;
  t.view(make_view(t.job, 1, 1, 2));
  t.values(t.only(), 0, 0);
  t.contribute(0.5F);
  t.view(make_view(t.job, 2, 1, 2));
  CHECK(push_of(t.only()).iteration == Iteration{1});
  CHECK(floats_of(t.only().message.payload) == std::vector<float>(6, 0.5F));
  t.view(make_view(t.job, 3, 1, 2, {Epoch{3}, {}, ""}));  // a rollback: all that was counts for nothing
  CHECK(std::holds_alternative<Pull>(t.only().message.body));
  CHECK_FALSE(t.client.next_task());
}

/// Two blocks of four elements, of which the largest one is sent.
class TopKTest : public AsyncTest {
 public:
  TopKTest() : AsyncTest(top_k_job()) {}

  static JobSpec top_k_job() {
    JobSpec job = ssp_job(0);
    job.tensors = {{"a", {8}, {1.0F, 1.0F}}};
    job.block_elements = 4;
    job.compression = {Encoding::top_k, Encoding::float32, 0.25, false};
    return job;
  }
  void begin(std::uint64_t a, std::uint64_t b) {
    view(make_view(job, 1, 1, 2));
    weights(only(), a, b);
  }
  void weights(const ClientCore::Send& request, std::uint64_t a, std::uint64_t b) {
    answer(request, Values{Iteration{a}, {Iteration{a}, Iteration{b}}}, payload_of(std::vector<float>(8, 1.0F)));
  }
  void contribute(std::vector<float> gradient) {
    const auto task = client.next_task();
    REQUIRE(task);
    effects.clear();
    client.contribute(now, *task, std::make_shared<const Floats>(gradient.begin(), gradient.end()), effects);
  }
  /// What a server makes of it.
  std::vector<float> decoded(const ClientCore::Send& push) const {
    CHECK(push_of(push).format == PayloadFormat{Encoding::top_k, false});
    PayloadCoder coder(0.25);
    const auto values = coder.decode(push.message.payload, push_of(push).format, std::vector<std::uint32_t>{4, 4});
    REQUIRE(values.ok());
    return floats_of(*values);
  }
};

TEST_CASE("of each block the largest elements are sent, and what is left is added to the next gradient, once") {
  TopKTest t;
  t.begin(0, 0);
  t.contribute({1, -4, 2, 3, 0, 0, 0, 5});
  const auto first = t.only();
  CHECK(t.decoded(first) == std::vector<float>{0, -4, 0, 0, 0, 0, 0, 5});
  t.now +=
      std::chrono::seconds(1);  // it is asked about, and has never arrived; then the view changes: the same is sent
  t.effects.clear();
  t.client.on_tick(t.now, t.effects);
  CHECK(t.only().message.payload.empty());
  t.answer(t.only(), Missing{Iteration{1}, {SliceId{0}}});
  CHECK(t.decoded(t.only()) == t.decoded(first));
  t.view(make_view(t.job, 2, 1, 2));
  CHECK(t.decoded(t.only()) == t.decoded(first));
  t.weights(t.only(), 1, 1);
  t.contribute({1, 1, 0, 1, 3, 0, 0, 1});  // to the residual 1 0 2 3 | 0 0 0 0
  CHECK(t.decoded(t.only()) == std::vector<float>{0, 0, 0, 4, 3, 0, 0, 0});
  t.weights(t.only(), 2, 2);
  t.contribute({1, 1, 1, 0, 0, 0, 0, 0});  // to 2 1 2 0 | 0 0 0 1; of equal ones the first
  CHECK(t.decoded(t.only()) == std::vector<float>{3, 0, 0, 0, 0, 0, 0, 1});
  CHECK(t.client.traffic().residuals_lost == 0);
  CHECK(t.client.traffic().gradients == 5 * 2 * 12);
  CHECK(t.client.traffic().gradients_float32 == 5 * 32);
}

TEST_CASE("when servers change, a block's largest elements go to its new one as they went to the one before") {
  TopKTest t;
  t.begin(0, 0);
  t.contribute({1, -4, 2, 3, 0, 6, 0, 5});
  const std::vector<float> sent = t.decoded(t.only());
  t.view(make_view(t.job, 2, 3, 2));
  std::vector<float> values(8, 0.0F);
  for (const auto& push : t.sent()) {
    std::vector<std::uint32_t> sizes;
    PayloadCoder coder(0.25);
    for (const BlockRun& run : push_of(push).runs) {
      sizes.insert(sizes.end(), run.count, 4);
    }
    const auto part = coder.decode(push.message.payload, push_of(push).format, sizes);
    REQUIRE(part.ok());
    const std::vector<float> found = floats_of(*part);
    std::copy(found.begin(), found.end(), values.begin() + 4 * push_of(push).runs[0].first);
  }
  CHECK(values == sent);
}

TEST_CASE("a rollback forgets what was left unsent, and it is counted where the run does not begin anew") {
  TopKTest t;
  t.begin(0, 0);
  t.contribute({1, -4, 2, 3, 0, 0, 0, 5});
  t.weights(t.only(), 1, 1);
  t.view(make_view(t.job, 2, 1, 2, {Epoch{2}, {}, ""}));  // to the start
  t.weights(t.only(), 0, 0);
  CHECK(t.client.traffic().residuals_lost == 0);
  t.contribute({1, 1, 1, 1.5F, 0, 0, 0, 0});
  CHECK(t.decoded(t.only()) == std::vector<float>{0, 0, 0, 1.5F, 0, 0, 0, 0});
  t.view(make_view(t.job, 3, 1, 2, {Epoch{3}, Iteration{5}, ""}));  // to a checkpoint
  t.weights(t.only(), 5, 5);
  CHECK(t.client.traffic().residuals_lost == 1);
  t.contribute({1, 0, 0, 0, 0, 0, 0, 0});
  CHECK(t.decoded(t.only()) == std::vector<float>{1, 0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("who takes a slice over in the middle of a run begins without its residual, and says so") {
  TopKTest t;
  t.begin(3, 3);
  CHECK(t.client.traffic().residuals_lost == 1);
  t.contribute({1, 2, 0, 0, 0, 0, 0, 0});
  t.view(make_view(t.job, 2, 1, 1));  // worker1 is gone, and slice 1 comes here
  CHECK(t.client.traffic().residuals_lost == 1);
  for (const auto& request : t.sent()) {
    t.weights(request, 4, 3);
  }
  CHECK(t.client.traffic().residuals_lost == 2);
}

TEST_CASE("a worker whose slices are done waits for all others, and may be given one of theirs") {
  JobSpec job = ssp_job(3);
  job.iterations = Iteration{1};
  AsyncTest t(job);
  t.view(make_view(t.job, 1, 1, 2));
  t.values(t.only(), 0, 0);
  t.contribute(0.5F);
  t.values(t.only(), 1, 0);
  const auto last = t.only();
  CHECK(std::get<Pull>(last.message.body).iteration == Iteration{1});
  CHECK(t.reached().empty());
  CHECK(t.client.waiting_for() == "the last weights of server0");
  t.view(make_view(t.job, 2, 1, 1));  // worker1 is gone
  t.values(t.only(), 1, 0);
  CHECK(t.client.next_task()->slice == SliceId{1});
  t.contribute(0.5F);
  t.values(t.only(), 1, 1);
  t.values(t.only(), 1, 1, 9.0F);
  CHECK(t.reached() == std::vector{Iteration{1}});
  CHECK(t.client.finished());
}

TEST_CASE("iterations that are due for evaluation are not passed over where a slice that was behind goes away") {
  JobSpec job = ssp_job(0);
  job.consistency = Consistency::asp;
  job.evaluate_interval = 2;
  AsyncTest t(job);
  t.view(make_view(t.job, 1, 1, 1));
  t.values(t.only(), 5, 0);
  CHECK(t.reached() == std::vector{Iteration{0}});
  t.view(make_view(t.job, 2, 1, 2));  // slice 1 goes to worker1
  CHECK(t.client.next_task()->iteration == Iteration{6});
  t.contribute(0.5F);
  t.values(t.only(), 6, 0);
  CHECK(t.reached() == std::vector{Iteration{2}, Iteration{4}, Iteration{6}});
}

TEST_CASE("the job says which of the two cores a worker has") {
  CHECK(WorkerCore(small_job(), {"worker0"}, Incarnation{1}).staleness().empty());
  const JobSpec job = ssp_job(2);
  WorkerCore core(job, {"worker0"}, Incarnation{1});
  ClientCore::Effects effects;
  core.on_view(start_time, make_view(job, 1, 1, 2), effects);
  CHECK(effects.size() == 1);
  CHECK(core.waiting_for() == "the weights of server0");
}

}  // namespace
}  // namespace ringps
