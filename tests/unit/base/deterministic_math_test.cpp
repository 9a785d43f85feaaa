#include "libps/base/deterministic_math.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace ringps {
namespace {

/// Distance in units of the last place of `expected`.
double error_ulps(double found, double expected) {
  const double ulp = std::nextafter(std::abs(expected), std::numeric_limits<double>::infinity()) - std::abs(expected);
  return std::abs(found - expected) / ulp;
}

double any_between(double low, double high) {
  const double unit = static_cast<double>(*rc::gen::arbitrary<std::uint64_t>() >> 11U) * 0x1.0p-53;
  return low + (high - low) * unit;
}

TEST_CASE("the exponential agrees with the C library's to a few units in the last place") {
  CHECK(rc::check([] {
    const double x = any_between(-708, 708) * *rc::gen::element(1.0, 0.01, 1e-6);
    RC_ASSERT(error_ulps(exponential(x), std::exp(x)) <= 2.0);
  }));
  CHECK(exponential(0.0) == 1.0);
}

TEST_CASE("the exponential saturates at both ends and keeps NaN") {
  CHECK(exponential(-1e300) == exponential(-708));
  CHECK(exponential(-708) < 1e-307);
  CHECK(exponential(1e300) == exponential(708));
  CHECK(std::isfinite(exponential(1e300)));
  CHECK(std::isnan(exponential(std::numeric_limits<double>::quiet_NaN())));
}

TEST_CASE("the logarithm agrees with the C library's to a few units in the last place") {
  CHECK(rc::check([] {
    const double x = std::ldexp(any_between(1, 2), *rc::gen::inRange(-1000, 1000));
    RC_ASSERT(error_ulps(logarithm(x), std::log(x)) <= 3.0);
    const double near_one = any_between(0.7, 1.5);
    RC_ASSERT(error_ulps(logarithm(near_one), std::log(near_one)) <= 3.0);
  }));
  CHECK(logarithm(1.0) == 0.0);
  CHECK(std::isnan(logarithm(std::numeric_limits<double>::quiet_NaN())));
  CHECK(std::isinf(logarithm(std::numeric_limits<double>::infinity())));
}

TEST_CASE("sine and cosine agree with the C library's") {
  CHECK(rc::check([] {
    const double x = any_between(-100, 100);
    RC_ASSERT(std::abs(sine_cosine(x).sine - std::sin(x)) < 5e-16);
    RC_ASSERT(std::abs(sine_cosine(x).cosine - std::cos(x)) < 5e-16);
  }));
  CHECK(sine_cosine(0).sine == 0.0);
  CHECK(sine_cosine(0).cosine == 1.0);
}

TEST_CASE("the elementary functions have the bits they have always had") {
  CHECK(exponential(1.0) == 0x1.5bf0a8b145769p+1);
  CHECK(exponential(-0.3) == 0x1.7b4c869c37c04p-1);
  CHECK(logarithm(10.0) == 0x1.26bb1bbb55515p+1);
  CHECK(sine_cosine(2.5).sine == 0x1.326af0dcfcabp-1);
  CHECK(sine_cosine(2.5).cosine == -0x1.9a2f7ef858b7dp-1);
}

}  // namespace
}  // namespace ringps
