#include "libps/optim/clip.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

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

}  // namespace
}  // namespace ringps
