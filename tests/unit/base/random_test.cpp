#include "libps/base/random.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <set>

namespace ringps {
namespace {

TEST_CASE("a keyed random number depends on seed, purpose, index and counter, and on each of them") {
  const KeyedRandom random(1, "a", 2);
  CHECK(random.bits(3) == KeyedRandom(1, "a", 2).bits(3));
  CHECK(random.bits(3) != KeyedRandom(9, "a", 2).bits(3));
  CHECK(random.bits(3) != KeyedRandom(1, "b", 2).bits(3));
  CHECK(random.bits(3) != KeyedRandom(1, "a", 9).bits(3));
  CHECK(random.bits(3) != random.bits(4));
}

TEST_CASE("the random numbers of a key never change, so that old runs can be continued") {
  CHECK(KeyedRandom(42, "purpose", 7).bits(0) == 0xE3322758E50F5F71);
  CHECK(KeyedRandom(42, "purpose", 7).bits(1) == 0x5BC3ED39C116E2DC);
}

TEST_CASE("neighbouring indices and counters do not share numbers") {
  std::set<std::uint64_t> seen;
  for (std::uint64_t index = 0; index < 100; ++index) {
    const KeyedRandom random(1, "streams", index);
    for (std::uint64_t counter = 0; counter < 100; ++counter) {
      seen.insert(random.bits(counter));
    }
  }
  CHECK(seen.size() == 10000);
}

TEST_CASE("uniform numbers lie in [0, 1) and have the right mean and variance") {
  const KeyedRandom random(1, "uniform");
  constexpr int count = 100000;
  double sum = 0;
  double squares = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double value = random.uniform(i);
    CHECK_FALSE((value < 0 || value >= 1));
    sum += value;
    squares += value * value;
  }
  CHECK(sum / count == Approx(0.5).margin(0.005));  // standard deviation: 0.0009
  CHECK(squares / count == Approx(1.0 / 3).margin(0.005));
}

TEST_CASE("bounded integers stay below the bound and reach every value about equally often") {
  CHECK(rc::check([](std::uint64_t seed, std::uint64_t bound) {
    RC_PRE(bound > 0);
    RC_ASSERT(KeyedRandom(seed, "below").below(0, bound) < bound);
  }));
  const KeyedRandom random(1, "below");
  int seen[6] = {};
  for (std::uint64_t i = 0; i < 6000; ++i) {
    ++seen[random.below(i, 6)];
  }
  for (const int times : seen) {
    CHECK(std::abs(times - 1000) < 150);  // standard deviation: 29
  }
}

}  // namespace
}  // namespace ringps
