#include "libps/optim/clip.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "libps/base/random.hpp"

namespace ringps {
namespace {

TEST_CASE("a gradient that is longer than allowed is shortened and keeps its direction") {
  std::vector<float> gradient{3.0F, 0.0F, -4.0F};
  clip(gradient, 2.5);
  CHECK(gradient == std::vector<float>{1.5F, 0.0F, -2.0F});
}

TEST_CASE("a gradient that is short enough stays as it is, and so does one that is not finite") {
  std::vector<float> gradient{3.0F, 4.0F};
  clip(gradient, 5.0);
  CHECK(gradient == std::vector<float>{3.0F, 4.0F});

  std::vector<float> infinite{1.0F, std::numeric_limits<float>::infinity()};
  clip(infinite, 0.5);
  CHECK(infinite[0] == 1.0F);
  CHECK(std::isinf(infinite[1]));
}

TEST_CASE("tensors and rows are one gradient, in which what is said of a row several times is one coordinate") {
  const KeyedRandom random(1, "clip");
  for (std::uint64_t round = 0; round < 50; ++round) {
    std::uint64_t counter = round * 10000;
    const auto number = [&] { return random.uniform(counter++) - 0.5F; };
    std::vector<float> flat(random.below(counter++, 30));
    std::generate(flat.begin(), flat.end(), number);
    std::vector<std::vector<std::uint64_t>> ids(2);
    std::vector<std::vector<float>> values(2);
    double squares = 0;
    for (const float each : flat) {
      squares += static_cast<double>(each) * static_cast<double>(each);
    }
    for (std::size_t t = 0; t < 2; ++t) {
      const std::size_t width = 1 + 2 * t;
      ids[t].resize(random.below(counter++, 20));
      std::map<std::pair<std::uint64_t, std::size_t>, double> sums;
      for (std::uint64_t& id : ids[t]) {
        id = random.below(counter++, 6) * 0x9E3779B97F4A7C15ULL;
        for (std::size_t e = 0; e < width; ++e) {
          values[t].push_back(number());
          sums[{id, e}] += static_cast<double>(values[t].back());
        }
      }
      for (const auto& [coordinate, sum] : sums) {
        squares += sum * sum;
      }
    }
    const double norm = std::sqrt(squares);
    const double allowed = round % 5 == 0 ? norm * 1.001 : 0.7 * norm;
    const auto factor = round % 5 == 0 ? 1.0F : 0.7F;
    auto clipped = flat;
    auto clipped_rows = values;
    const std::vector<RowGradients> rows{{ids[0], clipped_rows[0]}, {ids[1], clipped_rows[1]}};
    clip(clipped, rows, allowed);
    for (std::size_t i = 0; i < flat.size(); ++i) {
      REQUIRE(clipped[i] == Approx(flat[i] * factor).margin(1e-7));
    }
    for (std::size_t t = 0; t < 2; ++t) {
      for (std::size_t i = 0; i < values[t].size(); ++i) {
        REQUIRE(clipped_rows[t][i] == Approx(values[t][i] * factor).margin(1e-7));
      }
    }
  }
}

TEST_CASE("the norm of rows does not depend on the order in which a model names them") {
  const std::vector<std::uint64_t> ids{3, 1, 2};
  std::vector<float> values{0.1F, 0.2F, 0.3F};
  const std::vector<std::uint64_t> others{2, 3, 1};
  std::vector<float> same{0.3F, 0.1F, 0.2F};
  clip({}, std::vector<RowGradients>{{ids, values}}, 0.05);
  clip({}, std::vector<RowGradients>{{others, same}}, 0.05);
  CHECK(same == std::vector<float>{values[2], values[0], values[1]});
}

}  // namespace
}  // namespace ringps
