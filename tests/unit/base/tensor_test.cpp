#include "libps/base/tensor.hpp"

#include <catch2/catch.hpp>
#include <cstdint>

#include "libps/base/aligned.hpp"

namespace ringps {
namespace {

TEST_CASE("a tensor has the product of its shape as elements") {
  CHECK(TensorSpec{"matrix", {10, 784}, {}}.elements() == 7840);
  CHECK(TensorSpec{"scalar", {}, {}}.elements() == 1);
  CHECK(TensorSpec{"empty", {0, 5}, {}}.elements() == 0);
}

TEST_CASE("tensors lie behind one another at multiples of 64 bytes") {
  CHECK(flat_offsets({}) == std::vector<std::size_t>{0});
  CHECK(flat_offsets({{"a", {784}, {}}, {"b", {1}, {}}, {"c", {17}, {}}}) ==
        std::vector<std::size_t>{0, 784, 800, 832});
}

TEST_CASE("aligned buffers start at a multiple of 64 bytes, whatever their size") {
  for (std::size_t count = 1; count < 100; ++count) {
    const Floats floats(count);
    CHECK(reinterpret_cast<std::uintptr_t>(floats.data()) % 64 == 0);
  }
}

}  // namespace
}  // namespace ringps
