// Asynchronous modes: whatever is killed, every gradient counts once. The bits differ from run to run; what a block is
// made of stands in its clocks.
#include <catch2/catch.hpp>
#include <numeric>

#include "libps/storage/checkpoint_reader.hpp"
#include "tests/process/run/psctl_process.hpp"

namespace ringps {
namespace {

/// The gradients of the results by the iterations that they lacked.
std::vector<std::uint64_t> staleness_of(const Run& run) {
  std::vector<std::uint64_t> counts;
  for (std::size_t lacked = 0; run.results["staleness"].contains(std::to_string(lacked)); ++lacked) {
    counts.push_back(run.results["staleness"][std::to_string(lacked)]);
  }
  return counts;
}

/// Whether every block of the last checkpoint has all iterations of every slice, and none twice: no clock is beyond.
void check_all_is_there(const Bench& bench, const std::string& name, std::uint64_t iterations) {
  const auto folder = bench / name / "checkpoints" /
                      (std::string("iteration-") + std::string(10 - std::to_string(iterations).size(), '0') +
                       std::to_string(iterations));
  const auto manifest = read_manifest(folder);
  REQUIRE(manifest);
  CHECK(manifest->clocks == manifest->slices);
  CHECK(verify_checkpoint(folder).problems.empty());
  const BlockTable table(manifest->tensors, manifest->block_elements, manifest->tables);
  std::vector<BlockId> all;
  for (std::uint32_t b = 0; b < table.size(); ++b) {
    all.push_back(BlockId{b});
  }
  const auto blocks = load_blocks(folder, table, 0, all, true);
  REQUIRE(blocks);
  for (const LoadedBlock& block : *blocks) {
    const Floats& clocks = block.rows ? block.rows->clocks : block.clocks;
    REQUIRE(clocks.size() == 2 * manifest->slices);
    for (std::size_t slice = 0; slice < manifest->slices; ++slice) {
      CHECK(clocks[2 * slice] == static_cast<float>(iterations));
    }
  }
}

const std::vector<std::string> with_faults = {
    "cluster.servers=3",      "cluster.workers=4",
    "train.slices=4",         "train.iterations=400",
    "checkpoint.interval=50", "faults=[{at_iteration: 100, kill: server1}, {at_iteration: 200, kill: worker2}]"};

void check_nothing_lost(const Run& run) {
  for (const auto& fault : run.results["faults"]) {
    INFO(fault.dump());
    CHECK(fault["took_place"] == true);
    CHECK(fault["iterations_replayed"] == 0);
    CHECK(fault["updates_lost"] == 0);
  }
}

std::vector<std::string> with(std::vector<std::string> more) {
  more.insert(more.end(), with_faults.begin(), with_faults.end());
  return more;
}

TEST_CASE("with bounded staleness and two replicas nothing is lost, doubled or replayed when members are killed") {
  const Bench bench;
  const Run run(bench, "run", with({"train.consistency=ssp", "train.staleness=2", "cluster.replicas=2"}));
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  check_all_is_there(bench, "run", 400);
  const auto staleness = staleness_of(run);
  CHECK(staleness.size() <= 3);
  // Who is killed takes its last report along; four slices have 400 gradients each.
  CHECK(std::accumulate(staleness.begin(), staleness.end(), std::uint64_t{0}) > 1000);
  CHECK(run.results["total_time"].size() == 400);
  REQUIRE(run.results["faults"].size() == 2);
  check_nothing_lost(run);
  const Run reference(bench, "reference", {"train.slices=4", "train.iterations=400"});
  const double accuracy = run.results["best_accuracy"];
  CHECK(accuracy > reference.results["best_accuracy"].get<double>() - 5.0);
}

TEST_CASE("rows of tables have every contribution as well when members are killed, and find the truth") {
  const Bench bench;
  const std::string faults =
      "faults=[{at_iteration: 400, kill: server1}, {at_iteration: 700, kill: worker2}, "
      "{at_iteration: 1000, add: server}, {at_iteration: 1300, drain: server0}]";
  const Run run(
      bench, "run", configs_folder / "ratings.yaml",
      {"train.consistency=ssp", "train.staleness=2", "cluster.servers=3", "cluster.workers=4", "train.iterations=2000",
       "tables.expire_after=500", "checkpoint.interval=100", "output.curve=false", faults});
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  check_all_is_there(bench, "run", 2000);
  const auto staleness = staleness_of(run);
  CHECK(staleness.size() <= 3);
  CHECK(std::accumulate(staleness.begin(), staleness.end(), std::uint64_t{0}) > 5000);
  check_nothing_lost(run);
  CHECK(run.results["final"]["rows"] == 3000);
  CHECK(run.results["final"]["test_error"].get<double>() < 1.1 * run.results["final"]["truth_error"].get<double>());
}

TEST_CASE("an asynchronous run over tables goes on from a synchronous one's checkpoint, on other servers") {
  const Bench bench;
  const auto config = configs_folder / "ratings.yaml";
  const Run first(
      bench, "first", config,
      {"train.iterations=200", "data.train_samples=20000", "train.optimizer.kind=sgd", "output.curve=false"});
  INFO(first.output);
  REQUIRE(first.exit == ProcessExit{false, 0});
  const Run second(
      bench, "second", config,
      {"train.iterations=400", "data.train_samples=20000", "train.optimizer.kind=sgd", "output.curve=false",
       "train.consistency=asp", "cluster.servers=4", "cluster.replicas=1", "checkpoint.interval=20",
       "faults=[{at_iteration: 300, kill: server2}]", "checkpoint.resume=" + (bench / "first").string()});
  INFO(second.output);
  REQUIRE(second.exit == ProcessExit{false, 0});
  check_all_is_there(bench, "second", 400);
}

TEST_CASE("without replicas an asynchronous run goes back to a checkpoint, and has everything in the end") {
  const Bench bench;
  const Run run(bench, "run", with({"train.consistency=asp"}));
  INFO(run.output);
  REQUIRE(run.exit == ProcessExit{false, 0});
  check_all_is_there(bench, "run", 400);
  CHECK(run.results["faults"].size() == 2);
}

TEST_CASE("an asynchronous run goes on from a synchronous one's checkpoint, and the other way round from its end") {
  const Bench bench;
  const Run first(bench, "first", {"train.iterations=60"});
  REQUIRE(first.exit == ProcessExit{false, 0});
  const Run second(bench, "second",
                   {"train.consistency=ssp", "train.staleness=1", "train.iterations=100",
                    "checkpoint.resume=" + (bench / "first").string()});
  INFO(second.output);
  REQUIRE(second.exit == ProcessExit{false, 0});
  check_all_is_there(bench, "second", 100);
  const Run third(bench, "third", {"train.iterations=120", "checkpoint.resume=" + (bench / "second").string()});
  INFO(third.output);
  CHECK(third.exit == ProcessExit{false, 0});
  CHECK(third.results["staleness"].is_null());
}

}  // namespace
}  // namespace ringps
