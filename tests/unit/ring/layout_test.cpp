#include "libps/ring/layout.hpp"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

namespace ringps {
namespace {

std::vector<TensorSpec> two_tensors() {
  return {{"weights", {5, 7}, {}}, {"bias", {7}, {}}};
}

TEST_CASE("a tensor is cut into blocks of block_elements, the last one with the rest") {
  const BlockTable table(two_tensors(), 10);
  REQUIRE(table.size() == 5);
  CHECK(table[BlockId{3}].elements == 5);
  CHECK(table[BlockId{3}].tensor_offset == 30);
  CHECK(table[BlockId{4}].tensor == 1);
  CHECK(table[BlockId{4}].elements == 7);
}

TEST_CASE("a tensor starts at a multiple of 64 bytes in the flat vector") {
  const BlockTable table(two_tensors(), 10);
  CHECK(table[BlockId{4}].flat_offset == 48);
  CHECK(table.flat_elements() == 64);
}

TEST_CASE("a block is named tensor.index, or just tensor when there is one") {
  const BlockTable table(two_tensors(), 10);
  CHECK(table.name(BlockId{0}) == "weights.0");
  CHECK(table.name(BlockId{3}) == "weights.3");
  CHECK(table.name(BlockId{4}) == "bias");
}

TEST_CASE("a run outside of the model is not found") {
  const BlockTable table(two_tensors(), 10);
  CHECK(table.find({1, 0, 1}) == BlockId{4});
  CHECK(table.find({0, 1, 3}) == BlockId{1});
  CHECK_FALSE(table.find({2, 0, 1}));
  CHECK_FALSE(table.find({0, 4, 1}));
  CHECK_FALSE(table.find({0, 1, 4}));
  CHECK_FALSE(table.find({0, 0, 0}));
  CHECK_FALSE(table.find({0, 1, 0xFFFFFFFF}));
  CHECK_FALSE(table.find({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}));
}

TEST_CASE("runs name exactly the blocks that they were made from") {
  CHECK(rc::check([] {
    const auto block_elements = *rc::gen::inRange<std::uint32_t>(1, 40);
    const BlockTable table(two_tensors(), block_elements);
    std::vector<BlockId> blocks;
    for (std::uint32_t b = 0; b < table.size(); ++b) {
      if (*rc::gen::arbitrary<bool>()) {
        blocks.push_back(BlockId{b});
      }
    }
    std::vector<BlockId> named;
    for (const BlockRun& run : table.runs(blocks)) {
      const auto first = table.find(run);
      RC_ASSERT(first.has_value());
      for (std::uint32_t i = 0; i < run.count; ++i) {
        named.push_back(BlockId{first->value + i});
      }
    }
    RC_ASSERT(named == blocks);
  }));
}

TEST_CASE("the shortest list of runs joins neighbours within a tensor, not across tensors") {
  const BlockTable table(two_tensors(), 10);
  const auto runs = table.runs({BlockId{0}, BlockId{1}, BlockId{3}, BlockId{4}});
  CHECK(runs == std::vector<BlockRun>{{0, 0, 2}, {0, 3, 1}, {1, 0, 1}});
}

}  // namespace
}  // namespace ringps
