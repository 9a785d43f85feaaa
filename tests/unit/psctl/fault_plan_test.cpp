#include "services/psctl/fault_plan.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <map>

#include "libps/config/load.hpp"

namespace ringps {
namespace {

Config config_with(const std::string& text) {
  auto loaded = load_config_text("cluster: {servers: 3, workers: 2}\n" + text, "test");
  INFO((loaded ? "" : loaded.error()));
  REQUIRE(loaded);
  return *loaded;
}

const std::vector<std::string> everybody = {"worker1", "coordinator", "server0", "server2", "server1", "worker0"};

/// All that is due in `seconds`, looked at every 10 ms.
std::vector<std::string> story(const Config& config, double seconds,
                               const std::vector<std::string>& alive = everybody) {
  FaultPlan plan(config);
  std::vector<std::string> story;
  for (double at = 0; at < seconds; at += 0.01) {
    for (const FaultOrder& order : plan.take_due(at, 0, alive)) {
      story.push_back(std::string(name_of(order.kind)) + " " + order.whom + order.link.from + " " + order.link.to);
    }
  }
  return story;
}

TEST_CASE("a fault is due once, at its iteration or its time") {
  FaultPlan plan(
      config_with("faults: [{at_iteration: 60, pause: server1, for_seconds: 3}, {at_seconds: 2.5, kill: server0}]"));
  CHECK(plan.next_due_s() == 2.5);
  CHECK(plan.take_due(2.4, 59, everybody).empty());
  const auto timed = plan.take_due(2.5, 59, everybody);
  REQUIRE(timed.size() == 1);
  CHECK(timed[0].kind == FaultKind::kill);
  CHECK(timed[0].whom == "server0");
  CHECK(!timed[0].random);
  REQUIRE(plan.left().size() == 1);
  const auto reached = plan.take_due(2.6, 61, everybody);
  REQUIRE(reached.size() == 1);
  CHECK(reached[0].kind == FaultKind::pause);
  CHECK(reached[0].lasts == std::chrono::seconds(3));
  CHECK(!plan.any());
}

TEST_CASE("a server or a worker kills itself at its iteration, and the coordinator does not") {
  FaultPlan plan(config_with("faults: [{at_iteration: 60, kill: server1}, {at_iteration: 60, kill: coordinator}]"));
  const auto due = plan.take_due(0, 60, everybody);
  REQUIRE(due.size() == 1);
  CHECK(due[0].whom == "coordinator");
}

TEST_CASE("every kind of fault becomes the order that it says") {
  FaultPlan plan(
      config_with("faults:\n"
                  "- {at_iteration: 1, cut: [server0, servers], one_way: true, for_seconds: 2}\n"
                  "- {at_iteration: 1, slow: [workers, server2], delay_ms: 20, bytes_per_second: 1000}\n"
                  "- {at_iteration: 1, heal: [all, all]}\n"
                  "- {at_iteration: 1, add: worker, count: 2}\n"
                  "- {at_iteration: 1, drain: server0}\n"
                  "- {at_iteration: 1, resume: server1}\n"));
  CHECK(plan.uses_links());
  const auto due = plan.take_due(0, 1, everybody);
  REQUIRE(due.size() == 6);
  CHECK(due[0].link == LinkFault{"server0", "servers", true, true, {}, 0});
  CHECK(due[1].link == LinkFault{"workers", "server2", false, false, std::chrono::milliseconds(20), 1000});
  CHECK(due[2].link.from == "all");
  CHECK(due[3].role == Role::worker);
  CHECK(due[3].count == 2);
  CHECK(due[4].kind == FaultKind::drain);
  CHECK(due[5].whom == "server1");
}

TEST_CASE("random faults come from the seed: the same ones at the same moments, whoever is listed first") {
  const std::string rates = "random_faults: {kills_per_minute: 30, cuts_per_minute: 60, adds_per_minute: 10, seed: ";
  const auto once = story(config_with(rates + "5}"), 30);
  CHECK(once.size() > 20);
  auto reversed = everybody;
  std::reverse(reversed.begin(), reversed.end());
  CHECK(story(config_with(rates + "5}"), 30, reversed) == once);
  CHECK(story(config_with(rates + "6}"), 30) != once);
}

TEST_CASE("random faults are as frequent as asked for, and end when they are to") {
  std::map<std::string, int> count;
  for (const std::string& text :
       story(config_with("random_faults: {pauses_per_minute: 60, drains_per_minute: 120, until_seconds: 600}"), 700)) {
    ++count[text.substr(0, text.find(' '))];
  }
  CHECK(count["pause"] == Approx(600).epsilon(0.15));
  CHECK(count["drain"] == Approx(1200).epsilon(0.15));
}

TEST_CASE("random faults spare the coordinator if asked, and never drain the last of a role") {
  for (const std::string& text :
       story(config_with("random_faults: {kills_per_minute: 600, pauses_per_minute: 600, coordinator: false}"), 20)) {
    CHECK(text.find("coordinator") == std::string::npos);
  }
  CHECK(
      story(config_with("random_faults: {drains_per_minute: 600}"), 10, {"server0", "worker0", "coordinator"}).empty());
}

TEST_CASE("random cuts are between two that have a connection") {
  const auto cuts = story(config_with("random_faults: {cuts_per_minute: 600, slowdowns_per_minute: 600}"), 20);
  CHECK(cuts.size() > 300);
  for (const std::string& text : cuts) {
    INFO(text);
    const std::string from = text.substr(text.find(' ') + 1, text.rfind(' ') - text.find(' ') - 1);
    const std::string to = text.substr(text.rfind(' ') + 1);
    CHECK(from != to);
    CHECK_FALSE((from.starts_with("worker") && to.starts_with("worker")));
  }
}

}  // namespace
}  // namespace ringps
