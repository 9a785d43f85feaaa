#include "services/psctl/metrics.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace ringps {
namespace {

std::string iteration(int epoch, int number, double total_time) {
  return R"({"event":"iteration","restore_epoch":)" + std::to_string(epoch) + R"(,"iteration":)" +
         std::to_string(number) + R"(,"total_time":)" + std::to_string(total_time) + R"(,"gradient_time":0.5})" + "\n";
}

std::string evaluation(int epoch, int number, double accuracy) {
  return R"({"event":"evaluation","restore_epoch":)" + std::to_string(epoch) + R"(,"iteration":)" +
         std::to_string(number) + R"(,"accuracy":)" + std::to_string(accuracy) + R"(,"loss":0.25})" + "\n";
}

/// Iterations 1 to 4 with a checkpoint at 2; a server dies; 3 to 6 from there.
std::string a_run_with_a_rollback() {
  std::string lines = evaluation(1, 0, 50);
  for (int i = 1; i <= 4; ++i) {
    lines += iteration(1, i, 1) + evaluation(1, i, 50 + i);
  }
  for (int i = 3; i <= 6; ++i) {
    lines += iteration(2, i, 2) + evaluation(2, i, 60 + i);
  }
  return lines;
}

TEST_CASE("lines that are cut short, foreign or no JSON are skipped") {
  const auto metrics = parse_metrics(iteration(1, 1, 1) + "{\"event\":\"other\"}\n[]\nnoise\n" +
                                     "{\"event\":\"iteration\",\"iteration\":\"x\"}\n{\"event\":\"iterat");
  CHECK(metrics.iterations.size() == 1);
  CHECK(metrics.evaluations.empty());
}

TEST_CASE("how stale gradients were is summed over workers, of each life the last word") {
  const auto staleness = [](const std::string& worker, int incarnation, const std::string& gradients) {
    return R"({"event":"staleness","restore_epoch":1,"worker":")" + worker + R"(","incarnation":)" +
           std::to_string(incarnation) + R"(,"gradients":)" + gradients + "}\n";
  };
  const auto metrics = parse_metrics(staleness("worker0", 1, "[3]") + staleness("worker0", 1, "[4,1]") +
                                     staleness("worker0", 2, "[1]") + staleness("worker1", 1, "[0,0,2]"));
  CHECK(metrics.staleness == std::vector<std::uint64_t>{5, 1, 2});
  CHECK(staleness_text(metrics.staleness) == "staleness 0.62 on average, 2 at most");
}

TEST_CASE("what messages took is the sum of all lives of all workers, each as it said last") {
  const auto traffic = [](const std::string& worker, int incarnation, int gradients) {
    return R"({"event":"traffic","restore_epoch":1,"worker":")" + worker + R"(","incarnation":)" +
           std::to_string(incarnation) + R"(,"gradients":)" + std::to_string(gradients) +
           R"(,"gradients_float32":100,"weights":7,"weights_float32":8,"residuals_lost":1})" + "\n";
  };
  const auto metrics =
      parse_metrics(traffic("worker0", 1, 10) + traffic("worker0", 1, 20) + traffic("worker0", 2, 1) +
                    traffic("worker1", 1, 300) + R"({"event":"traffic","worker":"worker1","incarnation":1})" + "\n");
  CHECK(metrics.traffic == Traffic{321, 300, 21, 24, 3});
  CHECK(final_metrics(metrics).traffic == metrics.traffic);
}

TEST_CASE("after a rollback, the last lineage of each iteration counts") {
  const auto last = final_metrics(parse_metrics(a_run_with_a_rollback()));
  REQUIRE(last.iterations.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(last.iterations[i].iteration == i + 1);
    CHECK(last.iterations[i].total_time == (i < 2 ? 1 : 2));
  }
  REQUIRE(last.evaluations.size() == 7);
  CHECK(last.evaluations[2].accuracy == 52);
  CHECK(last.evaluations[3].accuracy == 63);
}

TEST_CASE("the curve has all work in the order in which it was done, and a late report takes its place") {
  const auto late = evaluation(1, 4, 99);
  auto lines = a_run_with_a_rollback();
  lines.erase(lines.find(evaluation(1, 4, 54)), late.size());
  const auto points = curve_points(parse_metrics(lines + late));
  REQUIRE(points.size() == 9);
  const std::uint64_t work[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  for (std::size_t i = 0; i < points.size(); ++i) {
    CHECK(points[i].work == work[i]);
    CHECK(points[i].lineage == (i < 5 ? 0 : 1));
  }
  CHECK(points[4].accuracy == 99);
  CHECK(points[5].accuracy == 63);
}

TEST_CASE("a run that resumes a checkpoint begins with that much work done") {
  const auto ordered = lineages(parse_metrics(iteration(1, 11, 1) + iteration(1, 12, 1)));
  REQUIRE(ordered.size() == 1);
  CHECK(ordered[0].start == 10);
  CHECK(ordered[0].work(12) == 12);
}

}  // namespace
}  // namespace ringps
