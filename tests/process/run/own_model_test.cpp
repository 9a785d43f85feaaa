// A model that only the worker's program knows. tests/install/run trains one; here is what is said when something is
// missing.
#include <catch2/catch.hpp>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

const std::string custom = "model={kind: custom, tensors: [{name: w, shape: [3]}]}";

TEST_CASE("a custom model without its program, or with one that is not there, is refused") {
  const Bench bench;
  const Run without(bench, "run", {custom});
  CHECK(without.exit == ProcessExit{false, 2});
  CHECK(without.output.find("set cluster.worker_program") != std::string::npos);
  const Run absent(bench, "run", {custom, "cluster.worker_program=" + (bench / "absent").string()});
  CHECK(absent.exit == ProcessExit{false, 2});
  CHECK(absent.output.find("absent is not there or cannot be executed") != std::string::npos);
}

TEST_CASE("a program that does not know the model says so, and the run ends") {
  const Bench bench;
  const Run run(bench, "run", {custom, "cluster.worker_program=" RINGPS_BIN_DIR "/ps-worker"});
  CHECK(run.exit != ProcessExit{false, 0});
  CHECK(run.output.find("custom, which this program does not know") != std::string::npos);
}

}  // namespace
}  // namespace ringps
