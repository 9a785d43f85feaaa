#include "libps/optim/initialise.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include "tests/unit/optim/bits.hpp"

namespace ringps {
namespace {

std::vector<float> initialised(const TensorSpec& tensor, std::uint64_t seed) {
  std::vector<float> values(tensor.elements());
  initialise(tensor, seed, 0, values);
  return values;
}

TEST_CASE("blocks initialised one by one equal the tensor initialised at once") {
  const TensorSpec tensor{"fc", {10, 30}, {-0.25F, 0.5F}};
  const auto whole = initialised(tensor, 5);
  CHECK(rc::check([&] {
    const auto first = *rc::gen::inRange<std::size_t>(0, 300);
    const auto count = *rc::gen::inRange<std::size_t>(0, 301 - first);
    std::vector<float> block(count);
    initialise(tensor, 5, first, block);
    RC_ASSERT(same_bits(block, std::span(whole).subspan(first, count)));
  }));
}

TEST_CASE("initial values are uniform in [low, high)") {
  const auto values = initialised({"w", {100000}, {-1.0F, 3.0F}}, 1);
  CHECK(*std::min_element(values.begin(), values.end()) >= -1.0F);
  CHECK(*std::max_element(values.begin(), values.end()) < 3.0F);
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 100000.0;
  CHECK(mean == Approx(1.0).margin(0.02));  // standard deviation of the mean: 0.0037
  const auto below_zero = std::count_if(values.begin(), values.end(), [](float v) { return v < 0.0F; });
  CHECK(static_cast<double>(below_zero) == Approx(25000).margin(700));  // standard deviation: 137
}

TEST_CASE("the upper end of the range is excluded even where rounding would reach it") {
  const float high = 16777216.0F;
  const auto values = initialised({"w", {10000}, {high - 2.0F, high}}, 1);
  CHECK(std::all_of(values.begin(), values.end(), [&](float v) { return v >= high - 2.0F && v < high; }));
}

TEST_CASE("equal ends give a constant") {
  CHECK(initialised({"zeros", {3}, {}}, 1) == std::vector<float>{0.0F, 0.0F, 0.0F});
  CHECK(initialised({"ones", {2}, {1.0F, 1.0F}}, 1) == std::vector<float>{1.0F, 1.0F});
}

TEST_CASE("seed and name each change the initial values") {
  const Initialiser unit{0.0F, 1.0F};
  const auto values = initialised({"a", {8}, unit}, 1);
  CHECK(values == initialised({"a", {8}, unit}, 1));
  CHECK(values != initialised({"a", {8}, unit}, 2));
  CHECK(values != initialised({"b", {8}, unit}, 1));
}

}  // namespace
}  // namespace ringps
