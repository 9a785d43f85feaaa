// What goes between servers: three shards, and a network that the test holds in its hands.
#include <deque>
#include <functional>
#include <map>

#include "libps/core/shard.hpp"
#include "tests/unit/core/support.hpp"

namespace ringps {
namespace {

/// One block on up to four servers, so that it is plain who is who; one worker with one slice.
class Cluster {
 public:
  explicit Cluster(std::uint32_t replicas) {
    job.tensors = {{"a", {2}, {1.0F, 1.0F}}};
    job.servers = 4;
    job.workers = job.slices = 1;
    job.replicas = replicas;
    for (std::uint32_t s = 0; s < 4; ++s) {
      shards.emplace_back(job, ServerId{"server" + std::to_string(s)}, Incarnation{1});
    }
    order = Placement({"server0", "server1", "server2", "server3"}, table(), job.virtual_nodes, 4).holders(BlockId{0});
  }

  BlockTable table() const { return {job.tensors, job.block_elements}; }
  /// The n-th server of the ring, seen from the block.
  Shard& nth(std::size_t n) { return shards[order[n]]; }
  std::string name(std::size_t n) const { return "server" + std::to_string(order[n]); }

  /// A view in which the n-th servers in `there` are there, of a ring that was settled with those in `settled`.
  View view(std::uint64_t epoch, const std::vector<std::size_t>& there, const std::vector<std::size_t>& settled) const {
    View view = make_view(job, epoch, 4, 1);
    const auto lists = [&](const std::vector<std::size_t>& places, const std::string& id) {
      return std::any_of(places.begin(), places.end(), [&](std::size_t n) { return name(n) == id; });
    };
    std::erase_if(view.servers, [&](const ServerMember& s) { return !lists(there, s.id.value); });
    std::erase_if(view.settled_ring, [&](const RingMember& r) { return !lists(settled, r.id.value); });
    view.placement_digest = Placement(view, table(), job.virtual_nodes, job.replicas).digest();
    return view;
  }
  void adopt(std::size_t n, const View& next) {
    views[order[n]] = next;
    step(n, [&](Shard& shard, Shard::Effects& effects) { shard.on_view(now, next, effects); });
  }
  void adopt_all(const View& next) {
    for (std::size_t n = 0; n < 4; ++n) {
      if (next.server_index(name(n))) {
        adopt(n, next);
      }
    }
  }

  void push(std::size_t n, std::uint64_t iteration, std::uint64_t epoch) {
    const Message message{{"test", Role::worker, "worker0", Incarnation{1}, Epoch{epoch}, RequestId{++requests}},
                          PushPull{Iteration{iteration}, SliceId{0}, {{0, 0, 1}}},
                          payload_of({0.25F, 0.5F})};
    step(n, [&](Shard& shard, Shard::Effects& effects) { shard.on_message(now, "worker", message, effects); });
  }
  void tick(std::size_t n, Duration later) {
    now += later;
    step(n, [&](Shard& shard, Shard::Effects& effects) { shard.on_tick(now, effects); });
  }

  void step(std::size_t n, const std::function<void(Shard&, Shard::Effects&)>& what) {
    Shard::Effects effects;
    what(nth(n), effects);
    for (auto& effect : effects) {
      if (auto* reply = std::get_if<Shard::Reply>(&effect)) {
        answers.push_back(reply->message);
      } else if (auto* to_server = std::get_if<Shard::ToServer>(&effect)) {
        wire.push_back({nth(n).view().servers[to_server->server].id.value, to_server->message});
      } else if (const auto* tell = std::get_if<Shard::Tell>(&effect)) {
        told.push_back(tell->body);
      }
    }
  }
  /// Delivers what is on the wire, and what comes of it, except what `lose` takes.
  void deliver(const std::function<bool(const std::string& to, const Message&)>& lose = nullptr) {
    while (!wire.empty()) {
      const auto [to, message] = wire.front();
      wire.pop_front();
      for (std::size_t n = 0; n < 4; ++n) {
        if (name(n) == to && !(lose && lose(to, message))) {
          step(n, [&, &sent = message](Shard& shard, Shard::Effects& effects) {
            shard.on_message(now, "", sent, effects);
          });
        }
      }
    }
  }
  template <class T>
  std::size_t answered() const {
    return static_cast<std::size_t>(std::count_if(answers.begin(), answers.end(),
                                                  [](const Message& m) { return std::holds_alternative<T>(m.body); }));
  }
  /// What the n-th server has of the block; no_version if nothing.
  Iteration version(std::size_t n) {
    const auto observed = nth(n).observe();
    return observed.empty() ? no_version : observed[0].version;
  }
  std::vector<float> values(std::size_t n) {
    const auto observed = nth(n).observe();
    return {observed.at(0).current.begin(), observed.at(0).current.begin() + 2};
  }

  struct Sent {
    std::string to;
    Message message;
  };
  JobSpec job = small_job();
  std::deque<Shard> shards;
  std::vector<std::uint32_t> order;
  std::map<std::uint32_t, View> views;
  std::deque<Sent> wire;
  std::vector<Message> answers;
  std::vector<Body> told;
  Time now = start_time;
  std::uint64_t requests = 0;
};

template <class T>
bool is(const Message& message) {
  return std::holds_alternative<T>(message.body);
}

TEST_CASE("an answer is given only when the replica has the version, with the same bits") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.push(0, 1, 1);
  CHECK(c.answers.empty());
  CHECK_FALSE(c.nth(0).observe()[0].committed);
  c.deliver();
  CHECK(c.answered<Values>() == 1);
  CHECK(c.version(1) == Iteration{1});
  CHECK(c.values(1) == c.values(0));
  CHECK(c.version(2) == no_version);
}

TEST_CASE("before its replicas have said what they have, a primary answers nothing and applies nothing") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.push(0, 1, 1);
  CHECK(c.version(0) == Iteration{0});
  c.deliver();
  CHECK(c.version(0) == Iteration{1});
  CHECK(c.answered<Values>() == 1);
}

TEST_CASE("a replicated gradient that is lost is sent again, and one that comes twice is applied once") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.push(0, 1, 1);
  c.deliver([](const std::string&, const Message& m) { return is<Replicate>(m); });
  CHECK(c.answers.empty());
  c.tick(0, c.job.timeouts.request_timeout);
  c.deliver([](const std::string&, const Message& m) { return is<ReplicateAck>(m); });
  c.tick(0, 2 * c.job.timeouts.request_timeout);
  c.deliver();
  CHECK(c.answered<Values>() == 1);
  CHECK(c.version(1) == Iteration{1});
  CHECK(c.nth(1).counters().blocks_applied == 1);
}

TEST_CASE("with three replicas a gradient goes along the chain, and the last one answers the first") {
  Cluster c(3);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.push(0, 1, 1);
  std::vector<std::string> way;
  c.deliver([&](const std::string& to, const Message& m) {
    way.push_back(m.envelope.sender + " to " + to);
    CHECK(c.answers.empty());
    return false;
  });
  CHECK(way == std::vector<std::string>{c.name(0) + " to " + c.name(1), c.name(1) + " to " + c.name(2),
                                        c.name(2) + " to " + c.name(0)});
  CHECK(c.answered<Values>() == 1);
  CHECK(c.values(2) == c.values(0));
}

TEST_CASE("a backup promoted between apply and answer does not apply twice") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.push(0, 1, 1);
  c.deliver([](const std::string&, const Message& m) { return is<ReplicateAck>(m); });
  REQUIRE(c.version(1) == Iteration{1});
  c.adopt_all(c.view(2, {1, 2, 3}, {0, 1, 2, 3}));  // the primary has died
  c.deliver();
  c.push(1, 1, 2);
  CHECK(c.version(1) == Iteration{1});
  CHECK(c.nth(1).counters().duplicates == 1);
  CHECK(c.answered<Values>() == 1);
}

TEST_CASE("a promoted backup that lacks what was not answered makes it again, to the same bits") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.push(0, 1, 1);
  c.wire.clear();
  const auto made = c.values(0);
  c.adopt_all(c.view(2, {1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  REQUIRE(c.version(1) == Iteration{0});
  c.push(1, 1, 2);
  c.deliver();
  CHECK(c.values(1) == made);
}

TEST_CASE("a primary that does not know that it was removed commits nothing: its backup refuses its epoch") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  for (const std::size_t n : {1U, 2U, 3U}) {
    c.adopt(n, c.view(2, {1, 2, 3}, {0, 1, 2, 3}));
  }
  c.wire.clear();
  c.push(0, 1, 1);
  c.deliver();
  CHECK(c.version(1) == Iteration{0});
  CHECK(c.nth(1).counters().stale == 1);
  CHECK(c.answered<Values>() == 0);
}

TEST_CASE("a newcomer is handed the block with both versions, and belongs to the chain from then on") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  for (std::uint64_t iteration = 1; iteration <= 3; ++iteration) {
    c.push(0, iteration, 1);
    c.deliver();
  }
  c.adopt_all(c.view(2, {1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  CHECK(c.version(2) == Iteration{3});
  CHECK(!c.nth(2).observe()[0].previous.empty());
  CHECK(c.values(2) == c.values(1));
  CHECK(std::any_of(c.told.begin(), c.told.end(), [](const Body& body) {
    const auto* ready = std::get_if<ReplicasReady>(&body);
    return ready != nullptr && ready->epoch == Epoch{2};
  }));
  c.push(1, 4, 2);
  CHECK(c.answered<Values>() == 3);
  c.deliver();
  CHECK(c.answered<Values>() == 4);
  CHECK(c.version(2) == Iteration{4});
}

TEST_CASE("training goes on without a newcomer that does not answer") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.adopt(1, c.view(2, {1, 2, 3}, {0, 1, 2, 3}));
  c.push(1, 1, 2);
  CHECK(c.answered<Values>() == 0);
  c.wire.clear();
  c.tick(1, milliseconds(200));
  CHECK(c.answered<Values>() == 1);
  CHECK(c.told.empty());  // but the view is not settled
  c.adopt(2, c.view(2, {1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.tick(1, milliseconds(200));
  c.deliver();
  CHECK(c.version(2) == Iteration{1});
}

TEST_CASE("training goes on when a handoff to a newcomer is not answered, and the block is handed over later") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.adopt_all(c.view(2, {1, 2, 3}, {0, 1, 2, 3}));
  c.deliver([](const std::string&, const Message& m) { return is<HandoffAck>(m); });
  c.push(1, 1, 2);
  CHECK(c.answered<Values>() == 0);  // the block is on its way and does not move
  c.tick(1, milliseconds(150));
  CHECK(c.answered<Values>() == 1);
  CHECK(c.version(2) == Iteration{0});
  c.tick(1, milliseconds(150));
  c.deliver();
  CHECK(c.version(2) == Iteration{1});
}

TEST_CASE("a holder that is one version behind after a promotion is handed the block before anything is answered") {
  Cluster c(3);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  c.push(0, 1, 1);
  c.deliver([&](const std::string& to, const Message&) { return to == c.name(2); });
  REQUIRE(c.version(1) == Iteration{1});
  REQUIRE(c.version(2) == Iteration{0});
  c.adopt_all(c.view(2, {1, 2, 3}, {0, 1, 2, 3}));
  c.push(1, 1, 2);
  CHECK(c.answered<Values>() == 0);
  c.deliver();
  CHECK(c.version(2) == Iteration{1});
  CHECK(c.answered<Values>() == 1);
}

TEST_CASE("gradients that do not follow on what a replica has, or come from the wrong server, change nothing") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.deliver();
  const View view = c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3});
  const auto index = [&](std::size_t n) { return *view.server_index(c.name(n)); };
  const auto say = [&](std::size_t from, Body body) {
    const Message message{
        {"test", Role::server, c.name(from), Incarnation{1}, Epoch{1}, {}}, std::move(body), payload_of({1.0F, 1.0F})};
    c.step(1, [&](Shard& shard, Shard::Effects& effects) { shard.on_message(c.now, "", message, effects); });
  };
  const std::vector<std::uint32_t> chain{index(0), index(1)};
  say(0, Replicate{Iteration{2}, RequestId{9}, chain, 1, {{0, 0, 1}}});
  say(2, Replicate{Iteration{1}, RequestId{9}, chain, 1, {{0, 0, 1}}});
  say(2, Replicate{Iteration{1}, RequestId{9}, {index(2), index(1)}, 1, {{0, 0, 1}}});
  say(0, Replicate{Iteration{1}, RequestId{9}, chain, 0, {{0, 0, 1}}});
  say(0, Replicate{Iteration{1}, RequestId{9}, {index(0), 77}, 1, {{0, 0, 1}}});
  say(0, Replicate{Iteration{1}, RequestId{9}, chain, 1, {{0, 0, 2}}});
  say(2, Handoff{RequestId{9}, {{{0, 0, 1}, Iteration{5}, false}}});
  say(0, Handoff{RequestId{9}, {{{0, 0, 1}, Iteration{5}, true}}});
  CHECK(c.version(1) == Iteration{0});
  CHECK(c.nth(1).counters().refused == 8);
  CHECK(c.wire.empty());
}

TEST_CASE("a primary says which replica it waits for") {
  Cluster c(2);
  c.adopt_all(c.view(1, {0, 1, 2, 3}, {0, 1, 2, 3}));
  c.wire.clear();
  CHECK_THAT(c.nth(0).waiting_for(), Catch::Contains(c.name(1)) && Catch::Contains("versions"));
  c.tick(0, c.job.timeouts.request_timeout);
  c.deliver();
  c.push(0, 1, 1);
  CHECK_THAT(c.nth(0).waiting_for(), Catch::Contains("the answer of its replicas: " + c.name(1)));
}

}  // namespace
}  // namespace ringps
