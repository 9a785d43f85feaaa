#include "libps/core/member.hpp"

#include <utility>

#include "tests/unit/core/support.hpp"

namespace ringps {
namespace {

class MemberTest {
 public:
  MemberTest() : member(job, {Role::server, "server0", Incarnation{1}, "tcp://server0", digest, 42}) {
    member.on_start(now, effects);
  }

  void hear(Body body, std::uint64_t epoch = 0, std::uint64_t request = 0) {
    effects.clear();
    member.on_message(now,
                      {{"test", Role::coordinator, "coordinator", Incarnation{9}, Epoch{epoch}, RequestId{request}},
                       std::move(body),
                       {}},
                      effects);
  }
  void wait(Duration time) {
    effects.clear();
    now += time;
    member.on_tick(now, {7, Iteration{3}, Epoch{2}, "nothing", 0}, effects);
  }
  template <class T>
  std::vector<T> sent() const {
    std::vector<T> found;
    for (const auto& send : all<Member::Send>(effects)) {
      if (const auto* body = std::get_if<T>(&send.message.body)) {
        found.push_back(*body);
      }
    }
    return found;
  }

  const JobSpec job = small_job();
  Time now = start_time;
  Member member;
  Member::Effects effects;
};

TEST_CASE("a member asks to join until it is answered, then sends heartbeats") {
  MemberTest t;
  REQUIRE(t.sent<Join>().size() == 1);
  CHECK(t.sent<Join>()[0].endpoint == "tcp://server0");
  CHECK(t.sent<Join>()[0].pid == 42);
  t.wait(t.job.timeouts.heartbeat_interval);
  CHECK(t.sent<Join>().size() == 1);
  t.hear(Joined{"tcp://broadcast"});
  CHECK(all<Member::Subscribe>(t.effects).at(0).endpoint == "tcp://broadcast");
  t.wait(t.job.timeouts.heartbeat_interval);
  CHECK(t.sent<Join>().empty());
  REQUIRE(t.sent<Heartbeat>().size() == 1);
  CHECK(t.sent<Heartbeat>()[0].turns == 7);
  CHECK(t.sent<Heartbeat>()[0].iteration == Iteration{3});
  CHECK(t.sent<Heartbeat>()[0].restore_epoch == Epoch{2});
}

TEST_CASE("the next deadline is that of the next heartbeat") {
  MemberTest t;
  CHECK(t.member.next_deadline() == t.now + t.job.timeouts.heartbeat_interval);
  t.wait(t.job.timeouts.heartbeat_interval / 2);
  CHECK(t.effects.empty());
}

TEST_CASE("of many members each beats less often, but not so seldom that a lost connection would be its end") {
  const Timeouts timeouts;
  CHECK(timeouts.beat_interval(2) == milliseconds(50));
  CHECK(timeouts.beat_interval(80) == milliseconds(80));
  CHECK(timeouts.beat_interval(4096) == milliseconds(100));
  CHECK(timeouts.beat_interval(4096) < timeouts.probe_timeout);

  MemberTest t;
  t.hear(Joined{"tcp://broadcast"});
  t.hear(ViewPublished{make_view(t.job, 1, 1, 79)}, 1);
  t.wait(milliseconds(50));
  CHECK(t.sent<Heartbeat>().size() == 1);
  t.wait(milliseconds(70));
  CHECK(t.sent<Heartbeat>().empty());
  t.wait(milliseconds(10));
  CHECK(t.sent<Heartbeat>().size() == 1);
}

TEST_CASE("a view that names the member is adopted, once") {
  MemberTest t;
  t.hear(ViewPublished{make_view(t.job, 1, 1, 1)}, 1);
  CHECK(all<Member::Adopt>(t.effects).size() == 1);
  t.hear(ViewAnswer{make_view(t.job, 1, 1, 1)}, 1);
  CHECK(t.effects.empty());
  CHECK(t.member.epoch() == Epoch{1});
}

TEST_CASE("a member that waits for its place takes no part in views without it") {
  MemberTest t;
  View view = make_view(t.job, 1, 2, 1);
  view.servers.erase(view.servers.begin());
  t.hear(ViewPublished{view}, 1);
  CHECK(t.effects.empty());
  t.hear(ViewPublished{make_view(t.job, 2, 1, 1)}, 2);
  CHECK(all<Member::Adopt>(t.effects).size() == 1);
}

TEST_CASE("a member that finds itself out of the view ends, and may come back as another incarnation") {
  MemberTest t;
  t.hear(ViewPublished{make_view(t.job, 1, 1, 1)}, 1);
  View without = make_view(t.job, 2, 1, 1);
  without.servers[0].incarnation = Incarnation{2};
  t.hear(ViewPublished{without}, 2);
  REQUIRE(all<Ended>(t.effects).size() == 1);
  CHECK(all<Ended>(t.effects)[0].why == Ended::Why::removed);
  CHECK(all<Member::Adopt>(t.effects).empty());
  t.wait(std::chrono::seconds(1));
  CHECK(t.effects.empty());
  CHECK(t.member.next_deadline() == time_never);
}

TEST_CASE("a heartbeat's answer with a newer epoch makes the member fetch the view") {
  MemberTest t;
  t.hear(ViewPublished{make_view(t.job, 1, 1, 1)}, 1);
  t.hear(HeartbeatAnswer{RunState::running, {}, {}, {}, {}, {}}, 2);
  CHECK(t.sent<GetView>().size() == 1);
  CHECK(all<Member::Heard>(t.effects).empty());
}

TEST_CASE("what the coordinator says of checkpoints is handed on when it is of the same epoch") {
  MemberTest t;
  t.hear(ViewPublished{make_view(t.job, 1, 1, 1)}, 1);
  t.hear(HeartbeatAnswer{RunState::running, Epoch{1}, Iteration{5}, Iteration{10}, {}, {}}, 1);
  REQUIRE(all<Member::Heard>(t.effects).size() == 1);
  CHECK(all<Member::Heard>(t.effects)[0].answer.next_checkpoint == Iteration{10});
  t.hear(CheckpointBegin{Iteration{15}, Epoch{1}}, 1);
  CHECK(all<Member::Heard>(t.effects).at(0).answer.next_checkpoint == Iteration{15});
  CHECK(all<Member::Heard>(t.effects).at(0).answer.committed_checkpoint == Iteration{0});
}

TEST_CASE("a probe is answered with a heartbeat at once") {
  MemberTest t;
  t.hear(Joined{"tcp://broadcast"});
  t.hear(Probe{});
  CHECK(t.sent<Heartbeat>().size() == 1);
}

TEST_CASE("what is told is sent again until it is acknowledged") {
  MemberTest t;
  t.effects.clear();
  t.member.tell(t.now, BlocksWritten{Iteration{5}, Epoch{1}, Epoch{1}, {}}, t.effects);
  const auto first = all<Member::Send>(t.effects).at(0).message.envelope.request;
  CHECK_FALSE(t.member.all_told());
  t.wait(t.job.timeouts.request_timeout);
  CHECK(t.sent<BlocksWritten>().size() == 1);
  t.wait(t.job.timeouts.request_timeout / 2);
  CHECK(t.sent<BlocksWritten>().empty());
  t.hear(Ack{Iteration{5}}, 0, first.value);
  CHECK(t.member.all_told());
  t.wait(t.job.timeouts.request_timeout);
  CHECK(t.sent<BlocksWritten>().empty());
}

TEST_CASE("an acknowledgement ends what it belongs to, and nothing else") {
  MemberTest t;
  t.member.tell(t.now, BlocksWritten{Iteration{5}, Epoch{1}, Epoch{1}, {}}, t.effects);
  t.member.tell(t.now, BlocksWritten{Iteration{6}, Epoch{1}, Epoch{1}, {}}, t.effects);
  t.hear(Ack{}, 0, 1);
  t.wait(t.job.timeouts.request_timeout);
  REQUIRE(t.sent<BlocksWritten>().size() == 1);
  CHECK(t.sent<BlocksWritten>()[0].iteration == Iteration{6});
}

TEST_CASE("a coordinator that was started again is joined again, without a message for every refusal") {
  MemberTest t;
  t.hear(Joined{"tcp://broadcast"});
  t.hear(ViewPublished{make_view(t.job, 1, 1, 1)}, 1);
  t.hear(Refused{RefusalReason::unknown_sender, "who?"});
  CHECK(t.sent<Join>().size() == 1);
  CHECK(all<Member::Send>(t.effects).size() == 1);
  t.hear(Refused{RefusalReason::unknown_sender, "who?"});
  CHECK(t.effects.empty());
  t.wait(t.job.timeouts.heartbeat_interval);
  CHECK(t.sent<Join>().size() == 1);
}

TEST_CASE("a member that is told of its removal comes back as another incarnation") {
  MemberTest t;
  t.hear(Refused{RefusalReason::removed, "removed"});
  CHECK(all<Ended>(t.effects).at(0).why == Ended::Why::removed);
}

TEST_CASE("a member that is turned away ends and says why") {
  MemberTest t;
  t.hear(Refused{RefusalReason::job_differs, "another configuration"});
  REQUIRE(all<Ended>(t.effects).size() == 1);
  CHECK(all<Ended>(t.effects)[0].why == Ended::Why::refused);
  CHECK(all<Ended>(t.effects)[0].text == "another configuration");
}

TEST_CASE("the run's end is heard from the broadcast or from a heartbeat's answer, once") {
  MemberTest t;
  SECTION("broadcast") {
    t.hear(Stop{RunState::completed, "done"});
  }
  SECTION("heartbeat") {
    t.hear(HeartbeatAnswer{RunState::completed, {}, {}, {}, {}, {}}, 5);
  }
  REQUIRE(all<Ended>(t.effects).size() == 1);
  CHECK(all<Ended>(t.effects)[0].why == Ended::Why::run_over);
  CHECK(all<Ended>(t.effects)[0].state == RunState::completed);
  t.hear(Stop{RunState::completed, "done"});
  CHECK(t.effects.empty());
}

TEST_CASE("a member gives up on a coordinator that is silent for too long") {
  MemberTest t;
  t.wait(t.job.timeouts.form_timeout);
  CHECK(all<Ended>(t.effects).empty());
  t.hear(Joined{"tcp://broadcast"});
  t.wait(t.job.timeouts.form_timeout + milliseconds(1));  // it outlives its coordinator by more
  CHECK(all<Ended>(t.effects).empty());
  t.wait(t.job.timeouts.coordinator_timeout);
  CHECK(all<Ended>(t.effects).at(0).why == Ended::Why::unreachable);
}

TEST_CASE("messages of another cluster, or not from a coordinator, are not heard") {
  MemberTest t;
  t.effects.clear();
  Message message{{"other", Role::coordinator, "coordinator", Incarnation{1}, {}, {}}, Stop{}, {}};
  t.member.on_message(t.now, message, t.effects);
  message.envelope.cluster = "test";
  message.envelope.role = Role::server;
  t.member.on_message(t.now, message, t.effects);
  CHECK(t.effects.empty());
}

TEST_CASE("a member whose part has ended waits for no acknowledgement of what it told before") {
  MemberTest t;
  t.member.tell(t.now, ReplicasReady{Epoch{1}}, t.effects);
  CHECK_FALSE(t.member.all_told());
  View without = make_view(t.job, 2, 1, 0);
  without.retired = {"server0"};
  without.servers.clear();
  t.hear(ViewAnswer{without}, 2);
  REQUIRE(all<Ended>(t.effects).size() == 1);
  CHECK(all<Ended>(t.effects)[0].why == Ended::Why::retired);
  CHECK(t.member.all_told());
}

}  // namespace
}  // namespace ringps
