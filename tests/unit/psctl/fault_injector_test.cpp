#include "services/psctl/fault_injector.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>

#include "libps/config/load.hpp"
#include "tests/unit/psctl/lives_support.hpp"

namespace ringps {
namespace {

/// An injector whose hands write down what they do.
struct Rehearsal {
  explicit Rehearsal(const std::string& faults)
      : injector(*load_config_text("cluster: {servers: 3, workers: 2}\nfaults: [" + faults + "]", "test"), hands()) {
    status.state = RunState::running;
    for (const char* id : {"server0", "server1", "server2"}) {
      status.view.servers.push_back({{id}, Incarnation{1}, "", true});
      status.view.settled_ring.push_back({{id}, Incarnation{1}});
    }
  }

  FaultInjector::Hands hands() {
    return {
        [this](const std::string& id, int signal) {
          done.push_back(std::string(sigabbrev_np(signal)) + " " + id);
          return id != absent;
        },
        [] {
          return std::vector<std::string>{"server0", "server1", "server2"};
        },
        [this](Role, std::uint32_t count) {
          done.push_back("add " + std::to_string(count));
          return std::vector<std::string>{"server3"};
        },
        [this](const std::string& id) { done.push_back("drain " + id); },
        [this](std::vector<LinkFault> faults) { links = std::move(faults); },
        [this](const std::string& text) { said = text; },
    };
  }

  /// The coordinator says how far the run is.
  void reach(int ms, std::uint64_t iteration) {
    status.iteration = Iteration{iteration};
    injector.on_status(at_ms(ms), status);
  }
  std::vector<std::string> take_done() { return std::exchange(done, {}); }

  Status status;
  std::string absent;
  std::vector<std::string> done;
  std::vector<LinkFault> links;
  std::string said;
  FaultInjector injector;
};

using Done = std::vector<std::string>;

TEST_CASE("a pause stops a process, and lets it go on after its time") {
  Rehearsal run("{at_iteration: 10, pause: server1, for_seconds: 0.5}");
  run.reach(0, 9);
  CHECK(run.take_done().empty());
  run.reach(10, 12);
  CHECK(run.take_done() == Done{"STOP server1"});
  CHECK(run.said == "fault at iteration 12: pause server1 for 0.50 s");
  CHECK(run.injector.next_deadline() == at_ms(510));
  run.injector.on_tick(at_ms(509));
  CHECK(run.take_done().empty());
  run.injector.on_tick(at_ms(510));
  CHECK(run.take_done() == Done{"CONT server1"});
  CHECK(run.injector.next_deadline() == time_never);
  const auto injections = run.injector.injections();
  REQUIRE(injections.size() == 1);
  CHECK(injections[0].iteration == 12);
  CHECK(injections[0].over == at_ms(510));
}

TEST_CASE("a resume ends the pause of the same process, and of no other") {
  Rehearsal run(
      "{at_iteration: 1, pause: server1}, {at_iteration: 2, resume: server0}, {at_iteration: 3, resume: server1}");
  run.reach(0, 2);
  CHECK(run.take_done() == Done{"STOP server1"});
  run.reach(10, 3);
  CHECK(run.take_done() == Done{"CONT server1"});
  CHECK(run.injector.injections()[1].not_done == "it was not paused");
  CHECK(run.injector.injections()[0].over == at_ms(10));
}

TEST_CASE("cuts and slowness add up until each has ended or is healed") {
  Rehearsal run(
      "{at_iteration: 1, cut: [server0, workers], for_seconds: 0.1}, "
      "{at_iteration: 1, slow: [coordinator, server1], delay_ms: 5}, "
      "{at_iteration: 2, heal: [servers, all]}, {at_iteration: 2, heal: [all, all]}");
  run.reach(0, 1);
  CHECK(run.links.size() == 2);
  run.injector.on_tick(at_ms(100));
  REQUIRE(run.links.size() == 1);
  CHECK(!run.links[0].cut);
  run.reach(200, 2);
  CHECK(run.links.empty());
  CHECK(run.injector.injections()[2].not_done.empty());
  CHECK(run.injector.injections()[3].not_done == "nothing was cut or slow there");
}

TEST_CASE("the end of a run ends all that lasts, and nothing more is done") {
  Rehearsal run(
      "{at_iteration: 1, pause: server1}, {at_iteration: 1, cut: [all, all]}, {at_iteration: 5, kill: coordinator}");
  run.reach(0, 1);
  CHECK(run.take_done() == Done{"STOP server1"});
  CHECK(run.links.size() == 1);
  run.status.state = RunState::completed;
  run.reach(10, 5);
  CHECK(run.take_done() == Done{"CONT server1"});
  CHECK(run.links.empty());
  const auto injections = run.injector.injections();
  REQUIRE(injections.size() == 3);
  CHECK(injections[2].not_done == "the run was over before");
  CHECK(injections[2].ids == std::vector<std::string>{"coordinator"});
}

TEST_CASE("nothing is done before training has begun") {
  Rehearsal run("{at_seconds: 0, kill: server0}");
  run.status.state = RunState::forming;
  run.reach(0, 0);
  run.injector.on_tick(at_ms(50));
  CHECK(run.take_done().empty());
  run.status.state = RunState::running;
  run.reach(100, 0);
  CHECK(run.take_done() == Done{"KILL server0"});
}

TEST_CASE("a fault of a process that is not there did not take place") {
  Rehearsal run("{at_seconds: 0, kill: server0}");
  run.absent = "server0";
  run.reach(0, 0);
  CHECK(run.injector.injections()[0].not_done == "there was no such process then");
  CHECK(run.said == "fault at iteration 0: kill server0 did not take place: there was no such process then");
}

TEST_CASE("a server that is added is noticed in the first view with it, and done when that has settled") {
  Rehearsal run("{at_iteration: 1, add: server}");
  run.reach(0, 1);
  CHECK(run.take_done() == Done{"add 1"});
  run.reach(10, 2);
  run.status.view.servers.push_back({{"server3"}, Incarnation{1}, "", true});
  run.reach(20, 3);
  run.reach(30, 4);
  run.status.view.settled_ring.push_back({{"server3"}, Incarnation{1}});
  run.reach(40, 5);
  const auto injections = run.injector.injections();
  CHECK(injections[0].noticed == at_ms(20));
  CHECK(injections[0].done == at_ms(40));
}

TEST_CASE("a drain has begun when the server no longer stays, and is done when a settled view is without it") {
  Rehearsal run("{at_iteration: 1, drain: server2}");
  run.reach(0, 1);
  CHECK(run.take_done() == Done{"drain server2"});
  run.injector.on_drain_answer("server2", "");
  run.status.view.servers[2].stays = false;
  run.reach(20, 3);
  run.status.view.servers.pop_back();
  run.status.view.settled_ring.pop_back();
  run.status.view.retired = {"server2"};
  run.reach(40, 5);
  const auto injections = run.injector.injections();
  CHECK(injections[0].noticed == at_ms(20));
  CHECK(injections[0].done == at_ms(40));
}

TEST_CASE("a drain that the coordinator refuses did not take place") {
  Rehearsal run("{at_iteration: 1, drain: server2}");
  run.reach(0, 1);
  run.injector.on_drain_answer("server2", "it is the last one");
  CHECK(run.injector.injections()[0].not_done == "the coordinator refused it: it is the last one");
}

TEST_CASE("who has been drained is not drained again") {
  Rehearsal run("{at_iteration: 1, drain: server2}");
  run.status.view.retired = {"server2"};
  run.reach(0, 1);
  CHECK(run.take_done().empty());
  CHECK(run.injector.injections()[0].not_done == "it had been drained before");
}

}  // namespace
}  // namespace ringps
