// Compressed payloads between real processes: what is lossless or rounds is as reproducible as ever, whatever is
// killed; the largest elements take fewer bytes, and the results say what all of it costs.
#include <catch2/catch.hpp>

#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

double ratio_of(const Run& run, const std::string& direction) {
  return run.results["traffic"][direction]["ratio"];
}

TEST_CASE("with gradients and weights in 16 bits, packed, a run with kills ends in the same weights as one without") {
  const Bench bench;
  const Run run(
      bench, "run",
      {"cluster.servers=3", "cluster.workers=3", "cluster.replicas=2", "train.compression.gradients=float16",
       "train.compression.weights=bfloat16", "train.compression.lz4=true", "verify.fault_free=true",
       "verify.uncompressed=true", "faults=[{at_iteration: 15, kill: server1}, {at_iteration: 35, kill: worker1}]"});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  CHECK(run.results["equals_fault_free"] == true);
  CHECK(ratio_of(run, "gradients") <= 0.5);
  CHECK(ratio_of(run, "weights") <= 0.5);
  CHECK(run.results["uncompressed"]["accuracy_difference"].is_number());
  CHECK(run.results["uncompressed"]["loss_difference"].is_number());
  CHECK(run.output.find("traffic       gradients ") != std::string::npos);
  CHECK(run.output.find("uncompressed  accuracy ") != std::string::npos);
}

TEST_CASE("packing alone does not change a bit of the weights") {
  const Bench bench;
  const Run plain(bench, "plain", {});
  REQUIRE(plain.exit == ProcessExit{false, 0});
  CHECK(ratio_of(plain, "gradients") == 1.0);
  CHECK(ratio_of(plain, "weights") == 1.0);
  const Run packed(bench, "packed", {"train.compression.lz4=true"});
  INFO(packed.output);
  REQUIRE(packed.exit == ProcessExit{false, 0});
  CHECK(packed.hash() == plain.hash());
  CHECK(ratio_of(packed, "gradients") < 1.0);
  const Run rounded(bench, "rounded", {"train.compression.gradients=bfloat16"});
  REQUIRE(rounded.exit == ProcessExit{false, 0});
  CHECK(rounded.hash() != plain.hash());
}

TEST_CASE("with the largest elements only, members may be killed, and residuals that are lost are counted") {
  const Bench bench;
  const Run run(
      bench, "run",
      {"cluster.servers=3", "cluster.workers=4", "cluster.replicas=2", "train.slices=4", "train.iterations=400",
       "train.consistency=ssp", "train.compression.gradients=top_k", "train.compression.keep=0.05",
       "verify.uncompressed=true", "faults=[{at_iteration: 100, kill: server1}, {at_iteration: 200, kill: worker2}]"});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  CHECK(ratio_of(run, "gradients") < 0.2);
  CHECK(ratio_of(run, "weights") == 1.0);
  CHECK(run.results["traffic"]["residuals_lost"] >= 1);
  CHECK(run.results["uncompressed"]["accuracy_difference"] > -10.0);
}

}  // namespace
}  // namespace ringps
