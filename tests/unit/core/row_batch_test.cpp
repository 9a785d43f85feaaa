// Rows of a gradient, grouped by the blocks that they belong to.
#include "libps/core/row_batch.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "libps/rows/row_list.hpp"

namespace ringps {
namespace {

BlockTable two_tables() {
  TableSpec narrow;
  narrow.name = "narrow";
  narrow.width = 1;
  narrow.buckets = 3;
  TableSpec wide;
  wide.name = "wide";
  wide.width = 2;
  wide.buckets = 2;
  return BlockTable({{"w", {5}, {}}}, 4, {narrow, wide});
}

std::vector<BlockId> blocks_of_tables(const BlockTable& table) {
  std::vector<BlockId> blocks;
  for (std::uint32_t b = table.first_of_table(0).value; b < table.size(); ++b) {
    blocks.push_back(BlockId{b});
  }
  return blocks;
}

const std::byte* bytes_of(const Buffer& buffer) {
  return reinterpret_cast<const std::byte*>(buffer.data());
}

}  // namespace

TEST_CASE("blocks of tables come after those of tensors, and have their names") {
  const BlockTable table = two_tables();
  CHECK(table.size() == 7);
  CHECK(table.flat_elements() == 16);
  CHECK(!table.is_rows(BlockId{1}));
  CHECK(table.is_rows(BlockId{2}));
  CHECK(table.name(BlockId{2}) == "narrow.0");
  CHECK(table.name(BlockId{6}) == "wide.1");
  CHECK(table.table_of(BlockId{6}) == 1);
  CHECK(table.find({2, 1, 1}) == BlockId{6});
  CHECK(!table.find({2, 1, 2}));
  CHECK(!table.find({3, 0, 1}));
  CHECK(table.runs(blocks_of_tables(table)) == std::vector<BlockRun>{{1, 0, 3}, {2, 0, 2}});
}

TEST_CASE(
    "rows travel by block in the order in which they were named, and their values come back to where they belong") {
  const BlockTable table = two_tables();
  const std::vector<std::vector<std::uint64_t>> ids{{7, 3, 7, 900, 12}, {5, 5, 8}};
  RowBatch batch(table, ids);
  CHECK(batch.offsets() == std::vector<std::size_t>{0, 5, 11});
  CHECK(!batch.is_whole());
  const auto blocks = blocks_of_tables(table);
  const Buffer lists = batch.ids_of(blocks);
  const std::byte* at = bytes_of(lists);
  std::size_t rows = 0;
  std::vector<float> answer;
  for (const BlockId block : blocks) {
    const RowList list(at, 0);
    CHECK(list.count() == batch.rows_in(block));
    for (std::size_t i = 0; i < list.count(); ++i) {
      CHECK(table.block_of(table.table_of(block), list.id(i)) == block);
      for (std::uint32_t e = 0; e < table.tables()[table.table_of(block)].width; ++e) {
        answer.push_back(static_cast<float>(list.id(i)) + 0.25F * static_cast<float>(e));
      }
    }
    rows += list.count();
    at += list.bytes();
  }
  CHECK(rows == 8);
  REQUIRE(batch.value_bytes(blocks) == answer.size() * sizeof(float));
  batch.take(blocks, std::as_bytes(std::span(answer)).data());
  CHECK(batch.is_whole());
  const auto narrow = batch.values(0);
  CHECK(std::vector<float>(narrow.begin(), narrow.end()) == std::vector<float>{7, 3, 7, 900, 12});
  const auto wide = batch.values(1);
  CHECK(std::vector<float>(wide.begin(), wide.end()) == std::vector<float>{5, 5.25F, 5, 5.25F, 8, 8.25F});
}

TEST_CASE("gradients of rows that were named twice travel twice, the first before the second") {
  const BlockTable table = two_tables();
  RowBatch batch(table, {{7, 3, 7}, {}});
  const std::vector<float> gradient{0.5F, 1.0F, 2.0F};
  const BlockId block = table.block_of(0, 7);
  const Buffer lists = batch.gradients_of(std::span(&block, 1), gradient);
  const RowList list(bytes_of(lists), 1);
  std::vector<float> of_seven;
  for (std::size_t i = 0; i < list.count(); ++i) {
    float value = 0;
    std::memcpy(&value, list.values(i), sizeof value);
    if (list.id(i) == 7) {
      of_seven.push_back(value);
    }
  }
  CHECK(of_seven == std::vector<float>{0.5F, 2.0F});
  CHECK(lists.size() * sizeof(float) == batch.gradient_bytes(block));
}

TEST_CASE("a batch without rows is whole at once") {
  const BlockTable table = two_tables();
  CHECK(RowBatch(table, {{}, {}}).is_whole());
}

}  // namespace ringps
