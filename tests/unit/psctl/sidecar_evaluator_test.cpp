#include "services/psctl/sidecar_evaluator.hpp"

#include <catch2/catch.hpp>
#include <thread>

#include "libps/config/load.hpp"
#include "libps/net/clock.hpp"
#include "tests/support/temp_dir.hpp"

namespace ringps {
namespace {

Status committed(std::uint64_t iteration) {
  Status status;
  status.view.epoch = Epoch{1};
  status.committed_checkpoint = Iteration{iteration};
  return status;
}

/// What it says of this status, and of what is under way.
std::vector<std::string> all_said(SidecarEvaluator& sidecar, const Status& status) {
  std::vector<std::string> said = sidecar.on_status(status);
  const Time patience = now() + std::chrono::seconds(30);
  while (said.empty() && now() < patience) {
    std::this_thread::yield();
    said = sidecar.on_status(status);
  }
  return said;
}

Config ratings() {
  return *load_config_text("name: test\nmodel: {kind: matrix_factorization}\ndata: {kind: ratings}\n", "test");
}

TEST_CASE("models with tables are evaluated from checkpoints, models without by workers") {
  CHECK(TableScorer::knows(ratings()));
  CHECK_FALSE(TableScorer::knows(*load_config_text("name: test", "test")));
}

TEST_CASE("a checkpoint that is not there any more is not evaluated, and that is said") {
  const TempDir dir;
  SidecarEvaluator sidecar(ratings(), dir.path());
  CHECK(sidecar.on_status(committed(0)).empty());
  const auto said = all_said(sidecar, committed(5));
  REQUIRE(said.size() == 1);
  CHECK(said[0].starts_with("not evaluated at iteration 5: "));
  CHECK(sidecar.finish().empty());
}

TEST_CASE("before anybody has joined, and right after, the checkpoint that a run goes on from is none of its own") {
  const TempDir dir;
  SidecarEvaluator sidecar(ratings(), dir.path());
  Status status = committed(5);
  status.view.restore.iteration = Iteration{5};
  sidecar.on_status(status);
  status.view = {};
  sidecar.on_status(status);
  const auto said = all_said(sidecar, committed(7));
  REQUIRE(said.size() == 1);
  CHECK(said[0].starts_with("not evaluated at iteration 7: "));
}

TEST_CASE("scores are told as what they are") {
  CHECK(score_text({1, 2, 81.25, 0.4321}) == "log-loss 0.4321, accuracy 81.25 %");
  CHECK(score_text({1, 2, {}, 0.0601}) == "error 0.0601");
}

}  // namespace
}  // namespace ringps
