#include "libps/core/client.hpp"

#include "tests/unit/core/support.hpp"

namespace ringps {
namespace {

/// worker0 and what it says to servers that the test plays.
class ClientTest {
 public:
  explicit ClientTest(JobSpec spec = small_job()) : job(std::move(spec)), client(job, {"worker0"}, Incarnation{1}) {}

  void view(const View& next) {
    effects.clear();
    client.on_view(now, next, effects);
  }
  void answer(const ClientCore::Send& request, Body body, Payload payload = {}) {
    effects.clear();
    client.on_message(now, answer_to(request, client.view(), std::move(body), std::move(payload)), effects);
  }
  /// Answers with the blocks asked for, all elements `value`.
  void values(const ClientCore::Send& request, std::uint64_t version, float value) {
    answer(request, Values{Iteration{version}}, payload_of(std::vector<float>(elements(request), value)));
  }
  std::size_t elements(const ClientCore::Send& request) const {
    std::size_t count = 0;
    std::visit(
        [&]<class T>(const T& body) {
          if constexpr (requires { body.runs; }) {
            for (const BlockRun& run : body.runs) {
              for (std::uint32_t i = 0; i < run.count; ++i) {
                count += client.table()[BlockId{client.table().find(run)->value + i}].elements;
              }
            }
          }
        },
        request.message.body);
    return count;
  }
  void contribute(const ClientCore::Task& task, float value) {
    effects.clear();
    client.contribute(now, task, std::make_shared<const Floats>(task.weights->size(), value), effects);
  }
  /// A view with everything on server0 and both slices here, and its weights at version 0.
  void begin(std::uint32_t workers = 1) {
    view(make_view(job, 1, 1, workers));
    for (const auto& pull : sent()) {
      values(pull, 0, 1.0F);
    }
  }
  std::vector<ClientCore::Send> sent() const { return all<ClientCore::Send>(effects); }
  std::vector<ClientCore::Reached> reached() const { return all<ClientCore::Reached>(effects); }
  void wait(Duration time) {
    effects.clear();
    now += time;
    client.on_tick(now, effects);
  }

  const JobSpec job;
  Time now = start_time;
  ClientCore client;
  ClientCore::Effects effects;
};

template <class T>
const T& body(const ClientCore::Send& send) {
  REQUIRE(std::holds_alternative<T>(send.message.body));
  return std::get<T>(send.message.body);
}

TEST_CASE("a worker brings the newest weights together, then has its slices to compute") {
  ClientTest t;
  t.view(make_view(t.job, 1, 1, 1));
  REQUIRE(t.sent().size() == 1);
  CHECK(body<Pull>(t.sent()[0]).iteration == newest_version);
  CHECK_FALSE(t.client.next_task());
  CHECK(t.client.waiting_for() == "the weights of server0");
  t.values(t.sent()[0], 3, 2.0F);
  REQUIRE(t.reached().size() == 1);
  CHECK(t.reached()[0].weights.version == Iteration{3});
  CHECK(t.reached()[0].weights.values->at(0) == 2.0F);
  CHECK(t.reached()[0].weights.values->at(4) == 0.0F);  // the gap behind tensor a
  const auto task = t.client.next_task();
  REQUIRE(task);
  CHECK(task->iteration == Iteration{4});
  CHECK(task->slice == SliceId{0});
}

TEST_CASE("one answer with values is asked for each iteration, the other slices only push") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  REQUIRE(t.sent().size() == 1);
  const auto first = t.sent()[0];
  CHECK(body<PushPull>(first).iteration == Iteration{1});
  CHECK(floats_of(first.message.payload) == std::vector<float>(6, 0.25F));
  const auto task = t.client.next_task();
  REQUIRE(task);
  CHECK(task->slice == SliceId{1});
  t.contribute(*task, 0.5F);
  CHECK(body<Push>(t.sent().at(0)).slice == SliceId{1});
  CHECK_FALSE(t.client.next_task());
  t.values(first, 1, 7.0F);
  REQUIRE(t.reached().size() == 1);
  CHECK(t.reached()[0].weights.version == Iteration{1});
  CHECK(t.client.next_task()->iteration == Iteration{2});
  CHECK(t.client.next_task()->weights->at(0) == 7.0F);
}

TEST_CASE("weights that somebody still holds do not change") {
  ClientTest t;
  t.begin();
  std::vector<std::shared_ptr<const Floats>> held{t.reached().at(0).weights.values};
  for (std::uint64_t version = 1; version < 6; ++version) {
    t.contribute(*t.client.next_task(), 0.0F);
    const auto push_pull = t.sent().at(0);
    t.contribute(*t.client.next_task(), 0.0F);
    t.values(push_pull, version, static_cast<float>(10 * version));
    held.push_back(t.reached().at(0).weights.values);
  }
  CHECK(held[0]->at(0) == 1.0F);
  for (std::size_t version = 1; version < held.size(); ++version) {
    CHECK(held[version]->at(0) == 10.0F * static_cast<float>(version));
  }
}

TEST_CASE("blocks of one server travel in messages of at most message_bytes") {
  JobSpec job = small_job();
  job.message_bytes = 8;  // one block
  ClientTest t(job);
  t.view(make_view(job, 1, 1, 1));
  CHECK(t.sent().size() == 3);
}

TEST_CASE("parts that come with different versions are brought to the older one") {
  JobSpec job = small_job();
  job.message_bytes = 8;
  ClientTest t(job);
  t.view(make_view(job, 1, 1, 1));
  const auto pulls = t.sent();
  t.values(pulls[0], 5, 1.0F);
  t.values(pulls[1], 4, 1.0F);
  t.values(pulls[2], 5, 1.0F);
  REQUIRE(t.sent().size() == 2);
  CHECK(t.reached().empty());
  const auto again = t.sent();
  CHECK(body<Pull>(again[0]).iteration == Iteration{4});
  t.values(again[0], 4, 2.0F);
  t.values(again[1], 4, 3.0F);
  REQUIRE(t.reached().size() == 1);
  CHECK(t.reached()[0].weights.version == Iteration{4});
  CHECK(t.reached()[0].weights.values->at(0) == 2.0F);
  CHECK(t.reached()[0].weights.values->at(2) == 1.0F);
}

TEST_CASE("a request that is not answered is sent again, ever more patiently") {
  ClientTest t;
  t.view(make_view(t.job, 1, 1, 1));
  const auto first = t.sent()[0];
  t.wait(t.job.timeouts.request_timeout / 2);
  CHECK(t.sent().empty());
  t.wait(t.job.timeouts.request_timeout / 2);
  REQUIRE(t.sent().size() == 1);
  CHECK(t.sent()[0].message.envelope.request == first.message.envelope.request);
  t.wait(t.job.timeouts.request_timeout);
  CHECK(t.sent().empty());
  CHECK(t.client.next_deadline() == t.now + t.job.timeouts.request_timeout);
  t.wait(t.job.timeouts.request_timeout);
  CHECK(t.sent().size() == 1);
}

TEST_CASE("a gradient that is not answered is asked about without it, and goes again where it has never arrived") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto push = t.sent().at(0);
  t.wait(t.job.timeouts.request_timeout);
  REQUIRE(t.sent().size() == 1);
  const auto question = t.sent()[0];
  CHECK(question.message.envelope.request == push.message.envelope.request);
  CHECK(body<PushPull>(question).slice == SliceId{0});
  CHECK(question.message.payload.empty());
  t.answer(question, Missing{Iteration{1}, {SliceId{0}}});
  REQUIRE(t.sent().size() == 1);
  CHECK(t.sent()[0].message.envelope.request == push.message.envelope.request);
  CHECK(floats_of(t.sent()[0].message.payload) == floats_of(push.message.payload));
  t.contribute(*t.client.next_task(), 0.25F);
  t.values(push, 1, 7.0F);
  CHECK(t.reached().size() == 1);
}

TEST_CASE("while a server answers, nothing is asked of it again, but not for ever") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto first = t.sent().at(0);
  t.contribute(*t.client.next_task(), 0.25F);
  const auto second = t.sent().at(0);
  const Duration timeout = t.job.timeouts.request_timeout;
  t.wait(timeout / 2);
  t.answer(second, Ack{Iteration{1}});
  t.wait(timeout / 2);
  CHECK(t.sent().empty());
  CHECK(t.client.next_deadline() == t.now + timeout / 2);
  std::size_t asked = 0;
  for (int i = 0; i < 100 && asked == 0; ++i) {  // it goes on saying something else
    t.answer(first, Refused{RefusalReason::overloaded, ""});
    t.wait(timeout / 2);
    asked = t.sent().size();
    CHECK((asked == 0) == (t.now - start_time < std::chrono::seconds(8)));
  }
  CHECK(asked == 1);
}

TEST_CASE("a second answer to one request, or one of another epoch, size or server, changes nothing") {
  ClientTest t;
  t.view(make_view(t.job, 1, 1, 1));
  auto pull = t.sent()[0];
  t.answer(pull, Values{Iteration{0}}, payload_of({1.0F}));
  CHECK(t.effects.empty());
  auto old = pull;
  old.message.envelope.epoch = Epoch{9};
  t.values(old, 0, 3.0F);
  CHECK(t.effects.empty());
  t.values(pull, 0, 1.0F);
  CHECK(t.reached().size() == 1);
  t.values(pull, 0, 5.0F);
  CHECK(t.effects.empty());
  CHECK(t.client.next_task()->weights->at(0) == 1.0F);
}

// ---- changes of the view --------------------------------------------------------------------------------------------

TEST_CASE("after a change of the view what was not answered is sent again under the new epoch") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto before = t.sent().at(0);
  t.view(make_view(t.job, 2, 1, 1));
  REQUIRE(t.sent().size() == 1);
  const auto after = t.sent()[0];
  CHECK(after.message.envelope.epoch == Epoch{2});
  CHECK(floats_of(after.message.payload) == floats_of(before.message.payload));
  t.values(before, 1, 9.0F);  // its request is forgotten
  CHECK(t.effects.empty());
}

TEST_CASE("a worker that takes a slice over computes it from the weights that it has") {
  ClientTest t;
  t.begin(2);
  REQUIRE(t.client.next_task()->slice == SliceId{0});
  t.contribute(*t.client.next_task(), 0.25F);
  CHECK_FALSE(t.client.next_task());
  t.view(make_view(t.job, 2, 1, 1));
  const auto task = t.client.next_task();
  REQUIRE(task);
  CHECK(task->slice == SliceId{1});
  CHECK(task->iteration == Iteration{1});
  CHECK(task->weights->at(0) == 1.0F);
}

TEST_CASE("a gradient for a slice that is somebody else's by now is dropped") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto second = t.client.next_task();
  REQUIRE(second->slice == SliceId{1});
  t.view(make_view(t.job, 2, 1, 2));  // slice 1 goes to worker1
  t.contribute(*second, 0.5F);
  CHECK(t.sent().empty());
}

TEST_CASE("a rollback throws everything away and takes the weights anew") {
  ClientTest t;
  t.begin();
  const auto task = *t.client.next_task();
  t.view(make_view(t.job, 2, 1, 1, {Epoch{2}, Iteration{0}, ""}));
  REQUIRE(t.sent().size() == 1);
  CHECK(body<Pull>(t.sent()[0]).iteration == newest_version);
  t.contribute(task, 0.5F);
  CHECK(t.sent().empty());
}

TEST_CASE("right after a rollback the worker's version is that of the restore") {
  ClientTest t;
  t.view(make_view(t.job, 1, 1, 1));
  t.values(t.sent()[0], 7, 1.0F);
  CHECK(t.client.version() == Iteration{7});
  t.view(make_view(t.job, 2, 1, 1, {Epoch{2}, Iteration{5}, "folder"}));
  CHECK(t.client.version() == Iteration{5});
}

TEST_CASE("a server's word that the epoch is old brings the new view") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto push = t.sent()[0];
  t.answer(push, Stale{make_view(t.job, 3, 1, 1)});
  CHECK(t.client.view().epoch == Epoch{3});
  CHECK(t.sent().size() == 1);
  t.view(make_view(t.job, 2, 1, 1));
  CHECK(t.client.view().epoch == Epoch{3});
}

TEST_CASE("a worker without slices waits for some") {
  ClientTest t;
  View view = make_view(t.job, 1, 1, 2);
  view.slice_worker = {1, 1};
  t.view(view);
  CHECK(t.effects.empty());
  CHECK_FALSE(t.client.next_task());
  CHECK(t.client.waiting_for() == "a slice to compute");
}

TEST_CASE("a placement that differs from the view's digest ends the run") {
  ClientTest t;
  View view = make_view(t.job, 1, 1, 1);
  ++view.placement_digest;
  t.view(view);
  REQUIRE(all<ClientCore::GiveUp>(t.effects).size() == 1);
  CHECK_THAT(all<ClientCore::GiveUp>(t.effects)[0].text, Catch::Contains("placement"));
}

// ---- refusals and the end -------------------------------------------------------------------------------------------

TEST_CASE("a refusal that no retry can mend ends the run with the server's words") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  t.answer(t.sent()[0], Refused{RefusalReason::not_finite, "iteration 1, slice 0"});
  REQUIRE(all<ClientCore::GiveUp>(t.effects).size() == 1);
  CHECK_THAT(all<ClientCore::GiveUp>(t.effects)[0].text, Catch::Contains("iteration 1, slice 0"));
}

TEST_CASE("a server that is overloaded or does not know the worker yet is asked again") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto push = t.sent()[0];
  t.answer(push, Refused{RefusalReason::overloaded, ""});
  t.answer(push, Refused{RefusalReason::unknown_sender, ""});
  CHECK(t.effects.empty());
  t.wait(t.job.timeouts.request_timeout);
  CHECK(t.sent().size() == 1);
}

TEST_CASE("a worker that has been left behind takes the weights anew") {
  ClientTest t;
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  t.answer(t.sent()[0], Refused{RefusalReason::version_gone, ""});
  REQUIRE(t.sent().size() == 1);
  CHECK(body<Pull>(t.sent()[0]).iteration == newest_version);
}

TEST_CASE("with the last version a worker is done, and a change of the view does not wake it") {
  JobSpec job = small_job();
  job.iterations = Iteration{1};
  ClientTest t(job);
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto push_pull = t.sent()[0];
  t.contribute(*t.client.next_task(), 0.25F);
  t.values(push_pull, 1, 7.0F);
  CHECK(t.reached().size() == 1);
  CHECK(t.client.finished());
  CHECK_FALSE(t.client.next_task());
  t.view(make_view(job, 2, 1, 1));
  CHECK(t.effects.empty());
  t.view(make_view(job, 3, 1, 1, {Epoch{3}, {}, ""}));
  CHECK(t.sent().size() == 1);
}

// ---- refresh_interval and slices by server --------------------------------------------------------------------------

TEST_CASE("between refreshes no values are asked for, and gradients come from the older weights") {
  JobSpec job = small_job();
  job.refresh_interval = 2;
  ClientTest t(job);
  t.begin();
  t.contribute(*t.client.next_task(), 0.25F);
  const auto first = t.sent().at(0);
  CHECK(body<Push>(first).iteration == Iteration{1});
  t.contribute(*t.client.next_task(), 0.25F);
  t.answer(first, Ack{Iteration{1}});
  REQUIRE(t.reached().size() == 1);
  CHECK_FALSE(t.reached()[0].weights.values);
  const auto task = *t.client.next_task();
  CHECK(task.iteration == Iteration{2});
  CHECK(task.weights->at(0) == 1.0F);
  t.contribute(task, 0.25F);
  const auto second = t.sent().at(0);
  CHECK(body<PushPull>(second).iteration == Iteration{2});
  t.contribute(*t.client.next_task(), 0.25F);
  t.values(second, 2, 7.0F);
  CHECK(t.client.next_task()->weights->at(0) == 7.0F);
}

TEST_CASE("servers to which none of the slices contributes are waited for all the same") {
  JobSpec job = small_job();
  job.worker_scope = WorkerScope::server;
  job.servers = 2;
  job.virtual_nodes = 100;
  job.tensors = {{"a", {20}, {1.0F, 1.0F}}};
  ClientTest t(job);
  t.view(make_view(job, 1, 2, 2));
  REQUIRE(t.sent().size() == 2);
  const auto pulls = t.sent();
  t.values(pulls[0], 0, 1.0F);
  t.values(pulls[1], 0, 1.0F);
  REQUIRE(t.sent().size() == 1);  // worker0's slice goes to server0; it only waits for server1
  const auto follow = t.sent()[0];
  CHECK(follow.server == 1);
  CHECK(body<Pull>(follow).iteration == Iteration{1});
  t.contribute(*t.client.next_task(), 0.25F);
  REQUIRE(t.sent().size() == 1);
  const auto own = t.sent()[0];
  CHECK(own.server == 0);
  t.values(own, 1, 2.0F);
  CHECK(t.reached().empty());
  CHECK(t.client.waiting_for() == "iteration 1 of server1");
  t.values(follow, 1, 2.0F);
  CHECK(t.reached().size() == 1);
}

TEST_CASE("a worker that is done asks what is missing, and races another worker for it from the same weights") {
  JobSpec job = small_job();
  job.speculate = true;
  ClientTest t(job);
  t.begin(2);  // slice 0 is this worker's, slice 1 another's
  t.contribute(*t.client.next_task(), 0.25F);
  const auto own = t.sent().at(0);
  CHECK_FALSE(t.client.next_task());
  t.wait(milliseconds(5));
  CHECK(t.sent().empty());
  t.wait(milliseconds(5));
  REQUIRE(t.sent().size() == 1);
  const auto question = t.sent()[0];
  CHECK(body<AskMissing>(question).iteration == Iteration{1});
  t.answer(question, Missing{Iteration{1}, {SliceId{1}}});
  const auto race = t.client.next_task();
  REQUIRE(race);
  CHECK(race->slice == SliceId{1});
  CHECK(race->weights->at(0) == 1.0F);
  t.contribute(*race, 0.5F);
  CHECK(body<Push>(t.sent().at(0)).slice == SliceId{1});
  t.values(own, 1, 7.0F);
  CHECK(t.client.version() == Iteration{1});
  CHECK(t.client.next_task()->slice == SliceId{0});  // the race is over
}

TEST_CASE("a worker without slices follows where others may be raced, and waits idle where not") {
  JobSpec job = small_job();
  job.speculate = true;
  View view = make_view(job, 1, 1, 2);
  view.slice_worker = {1, 1};
  ClientTest racer(job);
  racer.view(view);
  racer.values(racer.sent().at(0), 0, 1.0F);
  CHECK_FALSE(racer.client.next_task());
  CHECK(body<Pull>(racer.sent().at(0)).iteration == Iteration{1});
  racer.wait(milliseconds(10));
  CHECK(std::any_of(racer.effects.begin(), racer.effects.end(), [](const auto& effect) {
    const auto* send = std::get_if<ClientCore::Send>(&effect);
    return send != nullptr && std::holds_alternative<AskMissing>(send->message.body);
  }));
  ClientTest idle;
  idle.view(view);
  CHECK(idle.sent().empty());
  CHECK(idle.client.waiting_for() == "a slice to compute");
}

/// worker0 computes for server0's blocks and follows those of server1.
class FollowerTest : public ClientTest {
 public:
  FollowerTest() : ClientTest(job_of_two()) {
    view(make_view(job, 1, 2, 2));
    for (const auto& pull : sent()) {
      values(pull, 0, 1.0F);
    }
    for (const auto& send : sent()) {
      if (std::holds_alternative<Pull>(send.message.body)) {
        follow.push_back(send);
      }
    }
  }
  static JobSpec job_of_two() {
    JobSpec job = small_job();
    job.tensors = {{"a", {40}, {1.0F, 1.0F}}};
    job.servers = 2;
    job.virtual_nodes = 100;
    job.worker_scope = WorkerScope::server;
    return job;
  }
  /// Own servers' answers to this worker's gradient.
  void train(std::uint64_t version) {
    contribute(*client.next_task(), 0.5F);
    for (const auto& push : sent()) {
      values(push, version, 2.0F);
    }
  }

  std::vector<ClientCore::Send> follow;
};

TEST_CASE("a server to which a worker does not contribute is asked once and answers every version") {
  FollowerTest t;
  REQUIRE(t.follow.size() == 1);
  CHECK(body<Pull>(t.follow[0]).follow);
  t.train(1);
  t.values(t.follow[0], 1, 3.0F);
  CHECK(t.client.version() == Iteration{1});
  CHECK(t.sent().empty());  // nobody is asked again
  t.train(2);
  t.values(t.follow[0], 2, 4.0F);
  CHECK(t.client.version() == Iteration{2});
}

TEST_CASE("an answer that comes a step early is kept for the next iteration") {
  FollowerTest t;
  t.values(t.follow[0], 1, 3.0F);
  t.values(t.follow[0], 2, 4.0F);
  CHECK(t.client.version() == Iteration{0});
  t.train(1);
  CHECK(t.client.version() == Iteration{1});
  t.train(2);
  CHECK(t.client.version() == Iteration{2});
  CHECK(std::count(t.reached().back().weights.values->begin(), t.reached().back().weights.values->end(), 4.0F) ==
        static_cast<std::ptrdiff_t>(t.elements(t.follow[0])));
}

TEST_CASE("an early answer from before a new start is not taken for a later version") {
  FollowerTest t;
  t.values(t.follow[0], 1, 3.0F);
  t.values(t.follow[0], 2, 4.0F);  // early: version 2
  t.contribute(*t.client.next_task(), 0.5F);
  t.answer(t.sent().at(0), Refused{RefusalReason::version_gone, "gone"});
  const auto pulls = t.sent();
  REQUIRE(pulls.size() == 2);
  for (const auto& pull : pulls) {
    t.values(pull, 5, 9.0F);
  }
  REQUIRE(t.client.version() == Iteration{5});
  t.train(6);
  CHECK(t.client.version() == Iteration{5});  // server1's version 6 has not come
}

TEST_CASE("a lost answer to a request that follows is asked for again, under the same request") {
  FollowerTest t;
  t.train(1);
  t.wait(t.job.timeouts.request_timeout);
  REQUIRE(t.sent().size() == 1);
  CHECK(t.sent()[0].message.envelope.request == t.follow[0].message.envelope.request);
  CHECK(body<Pull>(t.sent()[0]).iteration == Iteration{1});
}

}  // namespace
}  // namespace ringps
