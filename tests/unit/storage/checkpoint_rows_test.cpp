// Blocks of tables in checkpoints, with what an asynchronous run has of them.
#include <array>
#include <catch2/catch.hpp>

#include "libps/storage/checkpoint_reader.hpp"
#include "tests/unit/storage/fixtures.hpp"

namespace ringps {
namespace {

struct TableModel {
  explicit TableModel(std::uint32_t expire_after, std::size_t clock_floats) {
    spec.name = "rows";
    spec.width = 2;
    spec.buckets = 1;
    spec.expire_after = expire_after;
    table = BlockTable({}, 4, {spec});
    rules.emplace(spec, 1, 0, clock_floats);
  }

  Manifest manifest(std::uint32_t clocks) const {
    Manifest m = SmallModel().manifest(Iteration{60}, false);
    m.tensors.clear();
    m.tables = {spec};
    m.clocks = clocks;
    return m;
  }

  TableSpec spec;
  BlockTable table;
  std::optional<RowRules> rules;
};

}  // namespace

TEST_CASE("the clocks of rows are written beside them and come back, though neither optimizer nor rows have a state") {
  const auto expire_after = GENERATE(0U, 9U);
  const TempDir dir;
  const TableModel model(expire_after, 4);
  RowImage image{Iteration{60}, {3, 8}, {1, 2, 3, 4}, {}, {}, {60, 0, 61, 1}};
  if (expire_after != 0) {
    image.touched = {61, 55};
  }
  const RowBlock block(*model.rules, image);
  const RowBlock::Snapshot snapshot = block.snapshot(false);
  const std::array stored{StoredBlock{BlockId{0}, {}, {}, std::as_bytes(snapshot.clocks()), &snapshot}};
  const auto files = write_shard(dir.path(), Iteration{60}, ServerId{"server0"}, Incarnation{7}, model.table, stored);
  REQUIRE(files);
  REQUIRE(files->size() == 2);
  Manifest manifest = model.manifest(2);
  for (const WrittenFile& file : *files) {
    manifest.files.push_back({ServerId{"server0"}, file});
  }
  const auto committed = commit(dir.path(), manifest);
  REQUIRE(committed);
  CHECK(verify_checkpoint(committed->folder).problems.empty());
  const std::array wanted{BlockId{0}};
  const auto loaded = load_blocks(committed->folder, model.table, 0, wanted, true);
  REQUIRE(loaded);
  CHECK(*loaded->front().rows == image);
  const auto weights = load_blocks(committed->folder, model.table, std::nullopt, wanted);
  REQUIRE(weights);
  CHECK(weights->front().rows->clocks.empty());
  CHECK(weights->front().rows->values == image.values);
  manifest.files.pop_back();
  CHECK_FALSE(coverage_problems(manifest).empty());
}

TEST_CASE("rows without clocks in a run whose manifest names some do not pass for whole") {
  const TempDir dir;
  const TableModel model(9, 0);
  const RowBlock block(*model.rules, RowImage{Iteration{60}, {3}, {1, 2}, {}, {60}});
  const RowBlock::Snapshot snapshot = block.snapshot(false);
  const std::array stored{StoredBlock{BlockId{0}, {}, {}, {}, &snapshot}};
  const auto files = write_shard(dir.path(), Iteration{60}, ServerId{"server0"}, Incarnation{7}, model.table, stored);
  REQUIRE(files);
  Manifest manifest = model.manifest(2);
  for (const WrittenFile& file : *files) {
    manifest.files.push_back({ServerId{"server0"}, file});
  }
  const auto committed = commit(dir.path(), manifest);
  REQUIRE(committed);
  const auto problems = verify_checkpoint(committed->folder).problems;
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].find("has no tensor 'rows.clocks'") != std::string::npos);
}

}  // namespace ringps
