#include "libps/optim/reduce.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "tests/unit/optim/bits.hpp"

namespace ringps {
namespace {

std::vector<float> reference(const std::vector<std::vector<float>>& contributions, float scale, std::size_t count) {
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count && !contributions.empty(); ++i) {
    volatile float sum = contributions[0][i];
    for (std::size_t k = 1; k < contributions.size(); ++k) {
      sum = sum + contributions[k][i];
    }
    result[i] = sum * scale;
  }
  return result;
}

/// Reduces copies of the contributions that are shifted by `shift`, `shift` + 1 … bytes.
std::vector<float> reduced(const std::vector<std::vector<float>>& contributions, float scale, std::size_t count,
                           std::size_t shift) {
  std::vector<ShiftedCopy> copies;
  for (const auto& contribution : contributions) {
    copies.emplace_back(contribution, (shift + copies.size()) % 64);
  }
  std::vector<const std::byte*> pointers;
  for (const auto& copy : copies) {
    pointers.push_back(copy.data());
  }
  std::vector<float> sum(count, 7.0F);
  reduce(pointers, 0, scale, sum);
  return sum;
}

TEST_CASE("a reduction equals the plain sum in slice order, at every alignment and length") {
  CHECK(rc::check([] {
    const auto count =
        *rc::gen::oneOf(rc::gen::inRange<std::size_t>(0, 100), rc::gen::inRange<std::size_t>(2000, 5000));
    const auto slices = *rc::gen::inRange<std::size_t>(0, 10);
    const auto shift = *rc::gen::inRange<std::size_t>(0, 64);
    std::vector<std::vector<float>> contributions;
    for (std::size_t k = 0; k < slices; ++k) {
      contributions.push_back(random_floats(count));
    }
    const float scale = 1.0F / static_cast<float>(slices + 1);
    RC_ASSERT(same_bits(reduced(contributions, scale, count, shift), reference(contributions, scale, count)));
  }));
}

TEST_CASE("the order of the contributions decides the bits, so it must be the slice order") {
  const std::vector<std::vector<float>> contributions{{1.0e8F}, {1.0F}, {-1.0e8F}};
  CHECK(reduced(contributions, 1.0F, 1, 0) == std::vector<float>{0.0F});
  CHECK(reduced({contributions[0], contributions[2], contributions[1]}, 1.0F, 1, 0) == std::vector<float>{1.0F});
}

TEST_CASE("a reduction of a part of a block gives the bits of that part of the whole") {
  CHECK(rc::check([] {
    const std::vector<std::vector<float>> contributions{random_floats(70), random_floats(70), random_floats(70)};
    const auto whole = reduced(contributions, 0.5F, 70, 0);
    const auto begin = *rc::gen::inRange<std::size_t>(0, 70);
    std::vector<std::vector<float>> rest;
    for (const auto& contribution : contributions) {
      rest.emplace_back(contribution.begin() + static_cast<std::ptrdiff_t>(begin), contribution.end());
    }
    RC_ASSERT(same_bits(reduced(rest, 0.5F, 70 - begin, 3), std::span(whole).subspan(begin)));
  }));
}

TEST_CASE("the first value that is not finite is found, wherever it is") {
  const float bad = GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::signaling_NaN());
  const std::size_t count = GENERATE(1U, 7U, 8U, 64U, 2047U, 2048U, 2049U, 5000U);
  for (std::size_t at = 0; at < count; at += 1 + count / 50) {
    std::vector<float> values(count, std::numeric_limits<float>::max());
    values[at] = bad;
    values.back() = bad;
    for (std::size_t shift = 0; shift < 4; ++shift) {
      CHECK(first_not_finite(ShiftedCopy(values, shift).data(), count) == at);
    }
  }
}

TEST_CASE("finite values of every kind pass as finite") {
  CHECK(first_not_finite(nullptr, 0) == 0);
  CHECK(rc::check([] {
    const auto count = *rc::gen::inRange<std::size_t>(0, 300);
    const auto values = *rc::gen::container<std::vector<float>>(count, finite_float());
    RC_ASSERT(first_not_finite(ShiftedCopy(values, *rc::gen::inRange<std::size_t>(0, 8)).data(), count) == count);
  }));
}

}  // namespace
}  // namespace ringps
