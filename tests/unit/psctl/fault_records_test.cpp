#include "services/psctl/fault_records.hpp"

#include <catch2/catch.hpp>
#include <chrono>

#include "libps/config/load.hpp"
#include "tests/unit/psctl/lives_support.hpp"

namespace ringps {
namespace {

using std::chrono::milliseconds;

/// Ages at the moment of the sample.
FailureStatus failure(Role role, const std::string& id, std::uint64_t incarnation, double removed_age,
                      double recovered_age) {
  FailureStatus failure;
  failure.role = role;
  failure.id = id;
  failure.incarnation = Incarnation{incarnation};
  failure.iteration = Iteration{77};
  failure.iterations_replayed = 7;
  failure.last_heard_age = removed_age + 2;
  failure.removed_age = removed_age;
  failure.recovered_age = recovered_age;
  return failure;
}

struct History {
  Config config = *load_config_text("cluster: {servers: 3, workers: 2}", "test");
  std::vector<Life> lives;
  std::vector<Injection> injections;
  std::vector<SeenFailure> failures;
  Timeline timeline;

  /// Failures as of at_ms(5000).
  void failed(const FailureStatus& failure) { failures.push_back({failure, at_ms(5000)}); }
  std::vector<FaultRecord> records() const {
    return fault_records({config, lives, injections, failures, timeline, 1000});
  }
  FaultRecord record() const {
    const auto all = records();
    REQUIRE(all.size() == 1);
    return all[0];
  }
};

Injection injection(FaultKind kind, const std::string& id, int ms) {
  Injection injection;
  injection.order.kind = kind;
  injection.order.whom = id;
  injection.order.at_iteration = 60;
  injection.ids = {id};
  injection.iteration = 61;
  injection.at = at_ms(ms);
  return injection;
}

TEST_CASE("a death and the coordinator's failure of the same life make one record, with times from the death") {
  History run;
  run.lives = {killed(life(Role::server, "server1", 100), 1000, 200)};
  run.lives[0].kill_at = 60;
  run.failed(failure(Role::server, "server1", 101, 3.9, 3.5));
  const FaultRecord record = run.record();
  CHECK(record.what == "kill");
  CHECK(record.whom == "server1");
  CHECK(record.scheduled);
  CHECK(record.iteration == 60);
  CHECK(*record.detected_after_s == Approx(0.1));
  CHECK(*record.recovered_after_s == Approx(0.5));
  CHECK(record.iterations_replayed == 7);
  CHECK(record.updates_lost == 0);
  CHECK(record.rolled_back);
}

TEST_CASE("two deaths of one process make two records") {
  History run;
  run.lives = {killed(life(Role::server, "server0", 100), 1000, 200),
               killed(life(Role::server, "server0", 300), 2000, 400)};
  run.failed(failure(Role::server, "server0", 310, 2.5, -1));
  run.failed(failure(Role::server, "server0", 110, 3.9, 3.8));
  const auto records = run.records();
  REQUIRE(records.size() == 2);
  CHECK(*records[0].detected_after_s == Approx(0.1));
  CHECK(records[0].recovered_after_s.has_value());
  CHECK(*records[1].detected_after_s == Approx(0.5));
  CHECK(!records[1].recovered_after_s.has_value());
}

TEST_CASE("a process that was removed while it lived is a fault of silence, from outside") {
  History run;
  run.lives = {life(Role::worker, "worker0", 100)};
  run.failed(failure(Role::worker, "worker0", 110, 0.5, 0.1));
  const FaultRecord record = run.record();
  CHECK(record.what == "silence");
  CHECK(!record.scheduled);
  CHECK(record.iteration == 77);
  CHECK(*record.detected_after_s == Approx(2));
}

TEST_CASE("a process that was told to end is no fault, and a death that nobody noticed has no times") {
  History run;
  run.lives = {killed(life(Role::worker, "worker0", 100), 1000, 200),
               killed(life(Role::worker, "worker1", 100), 1000, 200)};
  run.lives[0].end->asked = true;
  CHECK(run.record().whom == "worker1");
  CHECK(!run.record().detected_after_s.has_value());
}

TEST_CASE("a paused process that is removed is one fault, noticed when it was removed") {
  History run;
  run.lives = {life(Role::server, "server1", 100)};
  run.injections = {injection(FaultKind::pause, "server1", 1000)};
  run.injections[0].over = at_ms(4000);
  run.failed(failure(Role::server, "server1", 110, 2, 1.5));
  const FaultRecord record = run.record();
  CHECK(record.what == "pause");
  CHECK(record.scheduled);
  CHECK(record.iteration == 60);
  CHECK(*record.detected_after_s == Approx(2));
  CHECK(*record.recovered_after_s == Approx(2.5));
}

TEST_CASE("a cut that removes several processes is one fault, over when the last of them is made up for") {
  History run;
  Injection cut = injection(FaultKind::cut, "", 1000);
  cut.order.link = {"coordinator", "workers", false, true, {}, 0};
  cut.ids = {"coordinator", "workers"};
  run.injections = {cut};
  run.lives = {life(Role::worker, "worker0", 100), life(Role::worker, "worker1", 100)};
  run.failed(failure(Role::worker, "worker0", 110, 2, 1));
  run.failed(failure(Role::worker, "worker1", 111, 1.8, 0.5));
  const FaultRecord record = run.record();
  CHECK(record.whom == "coordinator, workers");
  CHECK(*record.detected_after_s == Approx(2));
  CHECK(*record.recovered_after_s == Approx(3.5));
}

TEST_CASE("a kill from the launcher is scheduled where the configuration asked for it, and drawn where it did not") {
  History run;
  run.injections = {injection(FaultKind::kill, "server1", 1000)};
  run.injections[0].order.random = true;
  run.lives = {killed(life(Role::server, "server1", 100), 1001, 200)};
  run.lives[0].killed_here = true;
  CHECK(run.record().random);
  CHECK(!run.record().scheduled);
  run.injections[0].order.random = false;
  CHECK(run.record().scheduled);
  CHECK(run.record().iteration == 60);
}

TEST_CASE("a coordinator is noticed when it is started again, and is back when it listens") {
  History run;
  run.injections = {injection(FaultKind::kill, "coordinator", 1000)};
  run.lives = {killed(life(Role::coordinator, "coordinator", 100), 1000, 500'000),
               life(Role::coordinator, "coordinator", 502'000)};
  run.lives[1].ready = at_ms(1040);
  CHECK(*run.record().detected_after_s == Approx(0.002));
  CHECK(*run.record().recovered_after_s == Approx(0.04));
}

TEST_CASE("members that are added or drained have begun with a view, and are done with a settled one") {
  History run;
  run.injections = {injection(FaultKind::add, "server3", 1000)};
  run.injections[0].noticed = at_ms(1200);
  run.injections[0].done = at_ms(1500);
  CHECK(*run.record().detected_after_s == Approx(0.2));
  CHECK(*run.record().recovered_after_s == Approx(0.5));
  CHECK(to_string(run.record()) == "server3 (add) at iteration 60: in a view after 0.200 s, settled after 0.500 s");
}

TEST_CASE("a kill that its process did not come to is in the records, with the reason") {
  History run;
  run.config = *load_config_text(
      "cluster: {servers: 3, workers: 2}\n"
      "faults: [{at_iteration: 5, kill: server2}, {at_iteration: 9, kill: worker0}, {at_iteration: 7, kill: worker0}]",
      "test");
  Life idle = life(Role::server, "server2", 100);
  idle.kill_at = 5;
  Life first = killed(life(Role::worker, "worker0", 100), 1000, 200);
  first.kill_at = 7;
  run.lives = {idle, first};
  const auto records = run.records();
  REQUIRE(records.size() == 3);
  CHECK(records[0].not_done.empty());
  CHECK(to_string(records[1]) ==
        "server2 (kill) at iteration 5 did not take place: the run was over before it came to that iteration (a server "
        "that holds no blocks comes to none)");
  CHECK(to_string(records[2]) == "worker0 (kill) at iteration 9 did not take place: there was no such process then");
}

TEST_CASE("iterations that were complete and were never done again are lost updates") {
  History run;
  run.lives = {killed(life(Role::server, "server1", 100), 1000, 200)};
  auto late = failure(Role::server, "server1", 101, 3.9, -1);
  late.iteration = Iteration{1010};
  run.failed(late);
  CHECK(run.record().updates_lost == 10);
}

/// Iterations of 10 ms in lineage 1 from at_ms(0), a stall of `stall_ms` before iteration 11, and so on to 40.
Timeline stalled(int stall_ms) {
  Metrics metrics;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    metrics.iterations.push_back({1, i, i == 11 ? stall_ms * 1e-3 : 0.01, 0.001});
  }
  return {metrics, {{at_ms(105), 1, 10}, {at_ms(400 + stall_ms - 10), 1, 40}}, milliseconds(30)};
}

TEST_CASE("what stalls training without anybody being removed is over with the first iteration after the stall") {
  History run;
  run.timeline = stalled(900);
  run.injections = {injection(FaultKind::pause, "server1", 110)};
  run.injections[0].over = at_ms(1000);
  CHECK(*run.record().longest_stall_s == Approx(0.9));
  CHECK(*run.record().recovered_after_s == Approx(0.89));
  CHECK(!run.record().detected_after_s);
}

TEST_CASE("what does not stall training is over with the next iteration") {
  History run;
  run.timeline = stalled(10);
  run.injections = {injection(FaultKind::slow, "", 115)};
  CHECK(*run.record().longest_stall_s == Approx(0.01));
  CHECK(*run.record().recovered_after_s == Approx(0.005));
}

TEST_CASE("the timeline has what was measured, as late as the statuses allow, in all lineages") {
  Metrics metrics;
  metrics.iterations = {{1, 1, 0.01, 0}, {1, 2, 0.01, 0}, {4, 2, 0.01, 0}, {4, 3, 0.01, 0}};
  const Timeline timeline(metrics, {{at_ms(16), 1, 1}, {at_ms(35), 1, 2}, {at_ms(535), 4, 3}, {at_ms(9000), 7, 1}},
                          milliseconds(30));
  CHECK(*timeline.next_after(at_ms(0)) == at_ms(16));
  CHECK(*timeline.next_after(at_ms(16)) == at_ms(26));
  CHECK(timeline.longest_gap(at_ms(20), at_ms(1000))->length() == milliseconds(499));
  CHECK(timeline.longest_gap(at_ms(20), at_ms(100))->length() == milliseconds(10));
  CHECK(!timeline.longest_gap(at_ms(600), at_ms(1000)));
  CHECK(!timeline.next_after(at_ms(600)));
}

TEST_CASE("time that nobody has measured lies behind the last status before it") {
  Metrics metrics;
  std::vector<ProgressPoint> points;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    metrics.iterations.push_back({1, i, 0.01, 0});
    const int late_ms = static_cast<int>(i % 3) * 10;  // as statuses are
    points.push_back({at_ms(static_cast<int>(i) * 10 + (i > 50 ? 700 : 0) + late_ms), 1, i});
  }
  const Timeline timeline(metrics, points, milliseconds(30));
  const auto gap = timeline.longest_gap(at_ms(0), at_ms(5000));
  REQUIRE(gap);
  CHECK(gap->begin == at_ms(500));
  CHECK(gap->end == at_ms(1210));
  CHECK(timeline.longest_gap(at_ms(1220), at_ms(5000))->length() == milliseconds(10));
}

TEST_CASE("a server may be an iteration ahead of those who wait for the others") {
  Metrics metrics;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    metrics.iterations.push_back({1, i, i == 11 ? 0.5 : 0.01, 0});
  }
  const Timeline timeline(metrics, {{at_ms(100), 1, 10}, {at_ms(102), 1, 11}, {at_ms(690), 1, 20}}, milliseconds(30));
  const auto gap = timeline.longest_gap(at_ms(0), at_ms(5000));  // placed to within one iteration
  REQUIRE(gap);
  CHECK(gap->length() == milliseconds(500));
  CHECK(seconds(gap->begin - at_ms(100)) == Approx(0).margin(0.01));
}

TEST_CASE("what a coordinator knew of failures is kept when the next one has forgotten it") {
  FailureLog log;
  Status status;
  status.failures = {failure(Role::worker, "worker0", 110, 0.5, -1)};
  log.see(status, at_ms(1000));
  status.failures = {failure(Role::worker, "worker0", 110, 1.5, 0.5), failure(Role::server, "server0", 120, 0.1, -1)};
  log.see(status, at_ms(2000));
  log.see(Status{}, at_ms(3000));
  status.failures = {failure(Role::worker, "worker0", 110, 9, 8)};
  status.failures[0].iterations_replayed = 12;
  log.see(status, at_ms(4000));
  REQUIRE(log.all().size() == 2);
  CHECK(log.all()[0].at == at_ms(2000));
  CHECK(log.all()[0].failure.recovered_age == 0.5);
  CHECK(log.all()[0].failure.iterations_replayed == 12);
  CHECK(log.all()[1].failure.id == "server0");
}

}  // namespace
}  // namespace ringps
