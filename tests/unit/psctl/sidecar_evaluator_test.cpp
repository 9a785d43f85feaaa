#include "services/psctl/sidecar_evaluator.hpp"

#include <catch2/catch.hpp>
#include <thread>

#include "libps/config/load.hpp"
#include "tests/support/temp_dir.hpp"

namespace ringps {
namespace {

Status committed(std::uint64_t iteration) {
  Status status;
  status.committed_checkpoint = Iteration{iteration};
  return status;
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
  sidecar.on_status(committed(5));
  std::vector<std::string> said;
  while (said.empty()) {
    std::this_thread::yield();
    said = sidecar.on_status(committed(5));
  }
  REQUIRE(said.size() == 1);
  CHECK(said[0].starts_with("not evaluated at iteration 5: "));
  CHECK(sidecar.finish().empty());
}

TEST_CASE("scores are told as what they are") {
  CHECK(score_text({1, 2, 81.25, 0.4321}) == "log-loss 0.4321, accuracy 81.25 %");
  CHECK(score_text({1, 2, {}, 0.0601}) == "error 0.0601");
}

}  // namespace
}  // namespace ringps
