#include "services/psctl/results.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "libps/config/load.hpp"
#include "services/psctl/curve.hpp"

namespace ringps {
namespace {

/// At iteration 5.
FaultRecord kill_of(const std::string& id) {
  FaultRecord record;
  record.what = "kill";
  record.whom = id;
  record.iteration = 5;
  record.detected_after_s = 0.1;
  record.recovered_after_s = 0.2;
  record.longest_stall_s = 0.25;
  record.rolled_back = id.starts_with("server");
  record.iterations_replayed = record.rolled_back ? 2 : 0;
  record.scheduled = true;
  return record;
}

/// Iterations 1 to 4, a server dies on its way to 5, 3 to 6 from the checkpoint at 2.
RunRecord record() {
  RunRecord record;
  record.config = *load_config_text("name: test", "test");
  record.end = "completed";
  for (std::uint64_t i = 1; i <= 4; ++i) {
    record.metrics.iterations.push_back({1, i, 0.5, 0.25});
  }
  for (std::uint64_t i = 3; i <= 6; ++i) {
    record.metrics.iterations.push_back({2, i, 0.5, 0.25});
  }
  record.metrics.evaluations = {{1, 0, 50, 1}, {1, 4, 95, 0.1}, {2, 3, 70, 0.5}, {2, 6, 90, 0.2}};
  record.faults = {kill_of("server1")};
  record.final_weights_sha256 = "abc";
  return record;
}

TEST_CASE("results have the lists of the predecessor, and what is known beside them") {
  const auto json = results_json(record());
  CHECK(json["total_time"].size() == 6);
  CHECK(json["gradient_time"].size() == 6);
  CHECK(json["accuracy"] == nlohmann::ordered_json({50, 70, 95, 90}));
  CHECK(json["evaluation_iterations"] == nlohmann::ordered_json({0, 3, 4, 6}));
  CHECK(json["iterations_completed"] == 6);
  CHECK(json["iterations_per_second"] == 2);
  CHECK(json["best_accuracy"] == 95);
  CHECK(json["final_weights_sha256"] == "abc");
  CHECK(json["equals_fault_free"].is_null());
  CHECK(json["faults"][0]["whom"] == "server1");
  CHECK(json["faults"][0]["scheduled"] == true);
  CHECK(json["faults"][0]["longest_stall"] == 0.25);
  CHECK(json["faults"][0]["updates_lost"] == 0);
  CHECK(json["faults"][0]["took_place"] == true);
  CHECK(json["faults"][0]["why_not"].is_null());
  CHECK(json["config"]["name"] == "test");
  CHECK(json.contains("version"));
  CHECK(json.contains("processes"));
}

TEST_CASE("ratings have errors and no accuracy, in results and on the curve") {
  RunRecord ratings = record();
  ratings.metrics.evaluations = {{1, 2, {}, 0.5}, {2, 6, {}, 0.25}};
  const auto json = results_json(ratings);
  CHECK(json["accuracy"] == nlohmann::ordered_json({nullptr, nullptr}));
  CHECK(json["loss"] == nlohmann::ordered_json({0.5, 0.25}));
  CHECK(json["best_accuracy"].is_null());
  const std::string script = curve_script(ratings);
  CHECK(script.find("error on the test set") != std::string::npos);
  CHECK(script.find("accuracy") == std::string::npos);
  CHECK(curve_script(record()).find("accuracy on the test set (%)") != std::string::npos);
}

TEST_CASE("the results of an asynchronous run say how stale gradients were") {
  CHECK(results_json(record())["staleness"].is_null());
  RunRecord asynchronous = record();
  asynchronous.metrics.staleness = {6, 2};
  CHECK(results_json(asynchronous)["staleness"] == nlohmann::ordered_json{{"0", 6}, {"1", 2}});
  CHECK(summary(asynchronous).find("staleness 0.25 on average, 1 at most") != std::string::npos);
}

TEST_CASE("a run that did nothing has results too") {
  RunRecord nothing;
  nothing.config = *load_config_text("name: test", "test");
  const auto json = results_json(nothing);
  CHECK(json["total_time"].empty());
  CHECK(json["iterations_completed"] == 0);
  CHECK(json["best_accuracy"].is_null());
  CHECK(json["final_weights_sha256"].is_null());
}

TEST_CASE("what the final weights are worth stands in results and summary, where it is known") {
  auto run = record();
  CHECK(results_json(run)["final"].is_null());
  CHECK(summary(run).find("objective") == std::string::npos);
  run.final = FinalEvaluation{};
  run.final->train_loss = 0.25;
  run.final->test_loss = 0.5;
  run.final->test_accuracy = 0.75;
  run.final->objective = 10529.311404;
  const auto json = results_json(run)["final"];
  CHECK(json["train_loss"] == 0.25);
  CHECK(json["test_loss"] == 0.5);
  CHECK(json["test_accuracy"] == 0.75);
  CHECK(json["test_auc"].is_null());
  CHECK(json["objective"] == 10529.311404);
  CHECK(json["test_error"].is_null());
  CHECK(summary(run).find("objective 10529.311404") != std::string::npos);
  CHECK(summary(run).find("accuracy 0.750000, log-loss 0.500000") != std::string::npos);
}

TEST_CASE("the summary says what failed, how long it took, and whether the weights are the same") {
  auto run = record();
  run.equals_fault_free = true;
  const auto text = summary(run);
  CHECK(text.find("server1 (kill) at iteration 5: noticed after 0.100 s, training again after 0.200 s, 2 iterations "
                  "replayed") != std::string::npos);
  CHECK(text.find("the same as without the faults, bit for bit") != std::string::npos);
  run.equals_fault_free = false;
  CHECK(summary(run).find("NOT the same") != std::string::npos);
}

TEST_CASE("what was sent stands beside what it would have been, and what that cost beside what it saved") {
  auto run = record();
  CHECK(results_json(run)["uncompressed"].is_null());
  CHECK(results_json(run)["traffic"]["gradients"]["ratio"].is_null());
  CHECK(summary(run).find("traffic") == std::string::npos);
  run.metrics.traffic = {1024, 4096, 2048, 2048, 3};
  run.uncompressed = Quality{91.0, 0.15};
  const auto json = results_json(run);
  CHECK(json["traffic"]["gradients"] ==
        nlohmann::ordered_json{{"bytes", 1024}, {"float32_bytes", 4096}, {"ratio", 0.25}});
  CHECK(json["traffic"]["weights"]["ratio"] == 1);
  CHECK(json["traffic"]["residuals_lost"] == 3);
  CHECK(json["uncompressed"]["accuracy"] == 91);
  CHECK(json["uncompressed"]["accuracy_compressed"] == 90);
  CHECK(json["uncompressed"]["accuracy_difference"] == -1);
  CHECK(json["uncompressed"]["loss_difference"].get<double>() == Approx(0.05));
  CHECK(summary(run).find("traffic       gradients 1.0 KiB for 4.0 KiB of float32 (25.0 %), weights 2.0 KiB, residuals "
                          "lost: 3\n") != std::string::npos);
  CHECK(summary(run).find("uncompressed  accuracy 91.00 %, -1.00 with it; loss 0.1500, +0.0500 with it\n") !=
        std::string::npos);
}

TEST_CASE("a fault that rolled back is marked where its lineage ended, another where it happened") {
  const auto run = record();
  const auto ordered = lineages(run.metrics);
  const auto server = fault_marks(run.faults, ordered);
  REQUIRE(server.size() == 1);
  CHECK(server[0].work == 4);
  const auto worker = fault_marks({run.faults[0], kill_of("worker0")}, ordered);
  REQUIRE(worker.size() == 2);
  CHECK(worker[1].work == 7);
}

TEST_CASE("two servers killed at the same iteration, one life after the other, are marked one behind the other") {
  auto run = record();
  run.metrics.iterations.push_back({3, 5, 0.5, 0.25});
  run.faults = {kill_of("server1"), kill_of("server2")};
  const auto marks = fault_marks(run.faults, lineages(run.metrics));
  REQUIRE(marks.size() == 2);
  CHECK(marks[0].work == 4);
  CHECK(marks[1].work == 8);
}

}  // namespace
}  // namespace ringps
