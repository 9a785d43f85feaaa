// Elementary functions with the same bits on every machine. The C library picks among several versions of its own by
// what the processor can do (fused multiply-add or not), and their last bits differ; these use only + - * / in a fixed
// order. Use them wherever the result gets into weights or data. Errors are a few units in the last place of a double.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace ringps {

namespace deterministic_math {

/// c[0] + x c[1] + x^2 c[2] + …, by Estrin's scheme: neighbours first, then as a polynomial in x^2. Half as long a
/// chain of dependent operations as Horner's.
template <std::size_t n>
constexpr double polynomial(double x, const double (&c)[n]) {
  if constexpr (n == 1) {
    return c[0];
  } else {
    double pairs[(n + 1) / 2]{};
    for (std::size_t i = 0; i < n / 2; ++i) {
      pairs[i] = c[2 * i] + x * c[2 * i + 1];
    }
    if constexpr (n % 2 == 1) {
      pairs[n / 2] = c[n - 1];
    }
    return polynomial(x * x, pairs);
  }
}

/// Added to a small double, leaves its nearest integer in the low bits of the sum, in two's complement.
inline constexpr double round_magic = 0x1.8p52;

}  // namespace deterministic_math

/// e^x. Saturates below -708 and above 708, where doubles end; NaN gives NaN.
constexpr double exponential(double x) {
  using namespace deterministic_math;
  constexpr double log2_e = 0x1.71547652b82fep+0;
  constexpr double ln2_high = 0x1.62e42fefa0000p-1;  // 20 zero bits at the end: exact when multiplied by n
  constexpr double ln2_low = 0x1.cf79abc9e3b3ap-40;
  constexpr double taylor[] = {
      1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
      1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
  const double bounded = x < -708.0 ? -708.0 : (x > 708.0 ? 708.0 : x);
  const double shifted = bounded * log2_e + round_magic;
  const double n = shifted - round_magic;
  const double rest = (bounded - n * ln2_high) - n * ln2_low;  // |rest| <= ln(2) / 2
  const double power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023U) << 52U);  // 2^n
  return polynomial(rest, taylor) * power;
}

/// ln x for normal x > 0; NaN and infinity give themselves.
constexpr double logarithm(double x) {
  using namespace deterministic_math;
  constexpr double ln2 = 0x1.62e42fefa39efp-1;
  constexpr std::uint64_t mantissa_bits = (std::uint64_t{1} << 52U) - 1;
  constexpr double series[] = {2.0,      2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                               2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};
  if (!(x <= 0x1.fffffffffffffp1023)) {
    return x;
  }
  // x = 2^exponent * mantissa with mantissa in [sqrt(1/2), sqrt(2)); ln by the series of 2 atanh(s).
  constexpr std::uint64_t half_root_mantissa = 0x6A09E667F3BCDULL;  // of sqrt(2)
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t above = (bits & mantissa_bits) >= half_root_mantissa ? 1 : 0;
  const double mantissa = std::bit_cast<double>((bits & mantissa_bits) | ((1023U - above) << 52U));
  const double exponent = static_cast<double>(static_cast<std::int64_t>((bits >> 52U) + above) - 1023);
  const double s = (mantissa - 1.0) / (mantissa + 1.0);
  return exponent * ln2 + s * polynomial(s * s, series);
}

struct SineCosine {
  double sine;
  double cosine;
};

/// For |x| below a million.
constexpr SineCosine sine_cosine(double x) {
  using namespace deterministic_math;
  constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
  constexpr double half_pi_high = 0x1.921fb54400000p+0;  // 22 zero bits at the end: exact when multiplied by n
  constexpr double half_pi_low = 0x1.0b4611a626331p-34;
  constexpr double sine_series[] = {1.0,          -1.0 / 6,        1.0 / 120,        -1.0 / 5040,
                                    1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000};
  constexpr double cosine_series[] = {1.0,
                                      -1.0 / 2,
                                      1.0 / 24,
                                      -1.0 / 720,
                                      1.0 / 40320,
                                      -1.0 / 3628800,
                                      1.0 / 479001600,
                                      -1.0 / 87178291200,
                                      1.0 / 20922789888000};
  const double shifted = x * two_over_pi + round_magic;
  const double n = shifted - round_magic;
  const double rest = (x - n * half_pi_high) - n * half_pi_low;  // |rest| <= pi / 4
  const double sine = rest * polynomial(rest * rest, sine_series);
  const double cosine = polynomial(rest * rest, cosine_series);
  switch (std::bit_cast<std::uint64_t>(shifted) & 3U) {  // which quarter of the circle
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace ringps
