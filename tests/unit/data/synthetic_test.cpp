#include "libps/data/synthetic.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <numeric>

namespace ringps {
namespace {

using Image = std::array<std::uint8_t, digit_features>;

TEST_CASE("synthetic digits have the shape of MNIST and about equally many of each label") {
  const auto dataset = synthetic_digits(1, 5000, 500);
  CHECK(dataset.name == "synthetic digits");
  CHECK(dataset.train.count() == 5000);
  CHECK(dataset.test.count() == 500);
  CHECK(dataset.train.features == 784);
  CHECK(dataset.train.pixels.size() == 5000 * 784);
  for (std::uint8_t label = 0; label < 10; ++label) {
    const auto count = std::count(dataset.train.labels.begin(), dataset.train.labels.end(), label);
    CHECK(std::abs(count - 500) < 110);  // standard deviation: 21
  }
}

TEST_CASE("synthetic digits are ink in the middle of empty paper") {
  const auto train = synthetic_digits(1, 2000, 1).train;
  const double sum = std::accumulate(train.pixels.begin(), train.pixels.end(), 0.0);
  CHECK(sum / static_cast<double>(train.pixels.size()) / 255 == Approx(0.13).margin(0.04));  // MNIST: 0.13
  double corners = 0;
  for (std::size_t i = 0; i < train.count(); ++i) {
    const auto image = train.image(i);
    CHECK(*std::max_element(image.begin(), image.end()) > 150);
    corners += image[0] + image[27] + image[27 * 28] + image[783];
  }
  CHECK(corners / static_cast<double>(train.count()) < 1.0);
}

TEST_CASE("an image depends on seed, split and index only, and on each of them") {
  Image a;
  Image b;
  draw_digit(1, Split::train, 7, a);
  draw_digit(1, Split::train, 7, b);
  CHECK(a == b);
  const auto train = synthetic_digits(1, 10, 1).train;
  CHECK(std::equal(a.begin(), a.end(), train.image(7).begin()));
  draw_digit(2, Split::train, 7, b);
  CHECK(a != b);
  draw_digit(1, Split::test, 7, b);
  CHECK(a != b);
  draw_digit(1, Split::train, 8, b);
  CHECK(a != b);
}

TEST_CASE("the synthetic digits of a seed are the same with every compiler and on every machine") {
  CHECK(digest(synthetic_digits(1, 1000, 200)) == "2273422b9c2212c0e09cf8099cc70d3c55729370529ebc4c4b47d596a798f67e");
}

}  // namespace
}  // namespace ringps
