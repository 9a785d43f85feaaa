#include "libps/wire/compression.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include "libps/base/aligned.hpp"
#include "libps/base/random.hpp"

namespace ringps {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr std::uint32_t float_bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

/// All kinds of floats: any bits, and values of a gradient's size.
Floats any_floats(std::size_t count, std::uint64_t seed) {
  const KeyedRandom random(seed, "any floats");
  Floats values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = static_cast<std::uint32_t>(random.below(2 * i, std::uint64_t{1} << 32U));
    values[i] = i % 2 == 0 ? std::bit_cast<float>(bits) : (random.uniform(2 * i + 1) - 0.5F) * 0.01F;
  }
  return values;
}

/// The nearest of all values that 16 bits can have, by looking at them all: the sorted ones from zero on.
class Nearest {
 public:
  Nearest(float (*from)(std::uint16_t), std::uint16_t largest) {
    for (std::uint32_t bits = 0; bits <= largest; ++bits) {
      values_.push_back(from(static_cast<std::uint16_t>(bits)));
    }
  }

  std::uint16_t operator()(float value) const {
    const double wanted = std::fabs(static_cast<double>(value));
    const auto above = std::lower_bound(values_.begin(), values_.end(), wanted);
    auto place = static_cast<std::size_t>(above - values_.begin());
    if (above == values_.end()) {
      place = values_.size() - 1;
    } else if (place > 0) {
      const double up = values_[place] - wanted;
      const double down = wanted - values_[place - 1];
      place -= down < up || (down == up && place % 2 == 1) ? 1 : 0;  // ties: to the even bits
    }
    return static_cast<std::uint16_t>(place | (std::signbit(value) ? 0x8000U : 0U));
  }

 private:
  std::vector<double> values_;
};

using Blocks = std::vector<std::span<const float>>;

struct Cut {
  Blocks blocks;
  std::vector<std::uint32_t> sizes;
};

Cut cut(const Floats& values, std::vector<std::uint32_t> sizes) {
  Cut made{{}, std::move(sizes)};
  std::size_t at = 0;
  for (const std::uint32_t size : made.sizes) {
    made.blocks.push_back(std::span<const float>(values).subspan(at, size));
    at += size;
  }
  return made;
}

Floats floats_of(const Payload& payload) {
  Floats values(payload.size() / sizeof(float));
  std::memcpy(values.data(), payload.data(), payload.size());
  return values;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

Payload bytes_payload(std::vector<std::uint32_t> words, std::size_t bytes_off = 0) {
  const auto memory = std::make_shared<const std::vector<std::uint32_t>>(std::move(words));
  return Payload(memory, std::as_bytes(std::span(*memory)).first(memory->size() * 4 - bytes_off));
}

std::string decode_error(const Payload& payload, PayloadFormat format, std::vector<std::uint32_t> sizes,
                         double keep = 1.0) {
  PayloadCoder coder(keep);
  const auto decoded = coder.decode(payload, format, sizes);
  return decoded ? "" : decoded.error();
}

// ---- 16 bits --------------------------------------------------------------------------------------------------------

TEST_CASE("each of the 65536 halves comes back from its float as it was, but that a NaN is quiet") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const bool nan16 = (bits & 0x7FFFU) > 0x7C00U;
    const bool nan_b16 = (bits & 0x7FFFU) > 0x7F80U;
    if (to_float16(from_float16(half)) != (nan16 ? half | 0x0200U : half) ||
        to_bfloat16(from_bfloat16(half)) != (nan_b16 ? half | 0x0040U : half)) {
      FAIL("half " << bits);
    }
  }
}

TEST_CASE("values of halves are what IEEE 754 says") {
  CHECK(from_float16(0x3C00) == 1.0F);
  CHECK(from_float16(0xC000) == -2.0F);
  CHECK(from_float16(0x7BFF) == 65504.0F);
  CHECK(from_float16(0x0001) == std::ldexp(1.0F, -24));
  CHECK(from_float16(0x0400) == std::ldexp(1.0F, -14));
  CHECK(float_bits(from_float16(0x8000)) == 0x80000000U);
  CHECK(from_float16(0x7C00) == infinity);
  CHECK(std::isnan(from_float16(0x7C01)));
  CHECK(from_bfloat16(0x3F80) == 1.0F);
}

TEST_CASE("a float becomes the nearest half, and of two the even one") {
  const Nearest nearest16(from_float16, 0x7BFF);
  const Nearest nearest_b16(from_bfloat16, 0x7F7F);
  const auto check_one = [&](float value) {
    if (!std::isfinite(value)) {
      return;
    }
    if (to_float16(value) != nearest16(value) || to_bfloat16(value) != nearest_b16(value)) {
      FAIL("value " << value << ", bits " << float_bits(value));
    }
  };
  const Floats values = any_floats(400'000, 1);
  std::for_each(values.begin(), values.end(), check_one);
  for (std::uint32_t bits = 0; bits < 0x7BFF; ++bits) {  // between two halves, and right beside the middle
    const float middle =
        (from_float16(static_cast<std::uint16_t>(bits)) + from_float16(static_cast<std::uint16_t>(bits + 1))) / 2;
    for (const float value : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, infinity), -middle}) {
      check_one(value);
    }
  }
}

TEST_CASE("what is finite stays finite, and infinity and NaN stay what they are") {
  for (const float large : {65504.0F, 65519.0F, 65520.0F, 1e6F, std::numeric_limits<float>::max()}) {
    CHECK(from_float16(to_float16(large)) == 65504.0F);
    CHECK(from_float16(to_float16(-large)) == -65504.0F);
  }
  CHECK(from_bfloat16(to_bfloat16(std::numeric_limits<float>::max())) == std::bit_cast<float>(0x7F7F0000U));
  for (const Encoding encoding : {Encoding::float16, Encoding::bfloat16}) {
    CHECK(rounded(infinity, encoding) == infinity);
    CHECK(rounded(-infinity, encoding) == -infinity);
    for (const std::uint32_t nan : {0x7FC00000U, 0x7F800001U, 0xFFFFFFFFU, 0xFF800400U}) {
      CHECK(std::isnan(rounded(std::bit_cast<float>(nan), encoding)));
    }
  }
}

#ifdef __F16C__
TEST_CASE("halves are those of the processor's own conversion, to the bit") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (float_bits(from_float16(half)) != float_bits(_cvtsh_ss(half))) {
      FAIL("half " << bits);
    }
  }
  const Floats values = any_floats(1'000'000, 2);
  for (const float value : values) {
    const bool saturates = std::isfinite(value) && std::fabs(value) > 65504.0F;
    const int half = _mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(value), _MM_FROUND_TO_NEAREST_INT));
    if (!saturates && to_float16(value) != static_cast<std::uint16_t>(half)) {
      FAIL("value " << value << ", bits " << float_bits(value));
    }
  }
}
#endif

TEST_CASE("a payload of halves is each of its elements alone, whatever stands beside them") {
  const Floats values = any_floats(1003, 3);
  for (const Encoding encoding : {Encoding::float16, Encoding::bfloat16}) {
    const Cut all = cut(values, {1, 1000, 2});
    PayloadCoder coder;
    const auto encoded = coder.encode(all.blocks, encoding, false);
    CHECK(encoded.format == PayloadFormat{encoding, false});
    CHECK(encoded.payload.size() == 2 * values.size());
    const auto decoded = coder.decode(encoded.payload, encoded.format, all.sizes);
    REQUIRE(decoded.ok());
    Floats expected;
    std::transform(values.begin(), values.end(), std::back_inserter(expected),
                   [&](float value) { return rounded(value, encoding); });
    CHECK(same_bits(floats_of(*decoded), expected));
  }
}

// ---- the largest elements -------------------------------------------------------------------------------------------

TEST_CASE("how many elements are kept: the share, rounded up, at least one") {
  CHECK(kept_elements(1000, 0.01) == 10);
  CHECK(kept_elements(1001, 0.01) == 11);
  CHECK(kept_elements(1, 0.01) == 1);
  CHECK(kept_elements(7, 1.0) == 7);
}

TEST_CASE("the largest elements are kept, the first ones of equal ones, and the others are the residual") {
  CHECK(rc::check([] {
    const auto size = *rc::gen::inRange<std::size_t>(1, 60);
    const auto count = *rc::gen::inRange<std::size_t>(1, size + 1);
    Floats gradient(size);
    Floats residual(size);
    for (std::size_t i = 0; i < size; ++i) {  // few values, so that many are equal, also but for their signs
      gradient[i] = static_cast<float>(*rc::gen::inRange(-4, 5)) * 0.25F;
      residual[i] = static_cast<float>(*rc::gen::inRange(-4, 5)) * 0.25F;
    }
    Floats sum(size);
    std::transform(gradient.begin(), gradient.end(), residual.begin(), sum.begin(), std::plus<>());
    std::vector<std::size_t> order(size);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return std::fabs(sum[a]) > std::fabs(sum[b]); });
    Floats expected(size, 0.0F);
    for (std::size_t k = 0; k < count; ++k) {
      expected[order[k]] = sum[order[k]];
    }
    Floats kept(size);
    keep_largest(gradient, residual, count, kept);
    RC_ASSERT(kept == expected);
    for (std::size_t i = 0; i < size; ++i) {
      RC_ASSERT(kept[i] + residual[i] == sum[i]);
      RC_ASSERT(kept[i] == 0.0F || residual[i] == 0.0F);
    }
  }));
}

TEST_CASE("the largest of many elements are those that sorting finds") {
  Floats gradient = any_floats(20'000, 4);
  for (float& value : gradient) {
    value = std::isnan(value) ? 0.5F : value;
  }
  Floats sorted = gradient;
  std::transform(sorted.begin(), sorted.end(), sorted.begin(), [](float value) { return std::fabs(value); });
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  for (const std::size_t count : {1U, 7U, 200U, 10'000U, 20'000U}) {
    Floats residual(gradient.size(), 0.0F);
    Floats kept(gradient.size());
    keep_largest(gradient, residual, count, kept);
    Floats found;
    for (const float value : kept) {
      if (value != 0.0F) {
        found.push_back(std::fabs(value));
      }
    }
    std::sort(found.begin(), found.end(), std::greater<>());
    sorted.resize(gradient.size());
    CHECK(std::equal(found.begin(), found.end(), sorted.begin()));
    CHECK(found.size() == count);
  }
}

TEST_CASE("NaN and infinity are among what is kept, so that they are noticed") {
  for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    Floats gradient{1.0F, 3e38F, bad, 2.0F};
    Floats residual(4, 0.0F);
    Floats kept(4);
    keep_largest(gradient, residual, 1, kept);
    CHECK_FALSE(std::isfinite(kept[2]));
    CHECK(residual[2] == 0.0F);
  }
}

TEST_CASE("what is kept arrives, with zeros in between") {
  Floats values(300, 0.0F);
  values[0] = 1.5F;
  values[99] = -2.0F;
  values[100] = 0.25F;
  values[299] = 1e-30F;
  const Cut all = cut(values, {100, 150, 50});
  for (const bool pack : {false, true}) {
    PayloadCoder coder(0.1);
    const auto encoded = coder.encode(all.blocks, Encoding::top_k, pack);
    CHECK(encoded.format.encoding == Encoding::top_k);
    if (!pack) {
      CHECK(encoded.payload.size() == 3 * 4 + 4 * 8);
    }
    const auto decoded = coder.decode(encoded.payload, encoded.format, all.sizes);
    REQUIRE(decoded.ok());
    CHECK(same_bits(floats_of(*decoded), values));
  }
}

TEST_CASE("blocks that the largest elements would not make smaller go as they are") {
  const Floats values{1.0F, 2.0F, 3.0F};
  PayloadCoder coder(1.0);
  const Cut all = cut(values, {1, 2});
  const auto encoded = coder.encode(all.blocks, Encoding::top_k, false);
  CHECK(encoded.format.is_plain());
  CHECK(same_bits(floats_of(encoded.payload), values));
}

// ---- packing --------------------------------------------------------------------------------------------------------

TEST_CASE("what is packed comes out as it went in, and is never larger") {
  CHECK(rc::check([] {
    const auto seed = *rc::gen::inRange<std::uint64_t>(0, 1'000'000);
    const auto sizes = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange(1U, 400U)));
    Floats values = any_floats(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}), seed);
    if (seed % 2 == 0) {
      std::for_each(values.begin(), values.end(), [](float& value) { value = value > 0.003F ? 0.5F : 0.0F; });
    }
    const Cut all = cut(values, sizes);
    PayloadCoder coder;
    for (const Encoding encoding : {Encoding::float32, Encoding::float16, Encoding::bfloat16}) {
      const auto plain = coder.encode(all.blocks, encoding, false);
      const auto packed = coder.encode(all.blocks, encoding, true);
      RC_ASSERT(packed.payload.size() <= plain.payload.size());
      const auto expected = coder.decode(plain.payload, plain.format, all.sizes);
      const auto found = coder.decode(packed.payload, packed.format, all.sizes);
      RC_ASSERT(expected.ok() && found.ok());
      RC_ASSERT(same_bits(floats_of(*found), floats_of(*expected)));
    }
  }));
}

TEST_CASE("what packing does not make smaller is not packed") {
  const KeyedRandom random(1, "noise");
  Floats noise(1000);
  for (std::size_t i = 0; i < noise.size(); ++i) {
    noise[i] = std::bit_cast<float>(static_cast<std::uint32_t>(random.below(i, std::uint64_t{1} << 32U)));
  }
  PayloadCoder coder;
  const Cut all = cut(noise, {1000});
  const auto encoded = coder.encode(all.blocks, Encoding::float32, true);
  CHECK(encoded.format.is_plain());
  CHECK(same_bits(floats_of(encoded.payload), noise));
}

// ---- hostile bytes --------------------------------------------------------------------------------------------------

TEST_CASE("a payload of any other length than its blocks' is refused") {
  for (const Encoding encoding : {Encoding::float32, Encoding::float16, Encoding::bfloat16}) {
    const std::size_t word = encoding == Encoding::float32 ? 4 : 2;
    const auto memory = std::make_shared<const std::vector<std::byte>>(64);
    for (std::size_t bytes = 0; bytes <= 64; ++bytes) {
      const Payload payload(memory, std::span(*memory).first(bytes));
      CHECK(decode_error(payload, {encoding, false}, {3, 4}).empty() == (bytes == 7 * word));
    }
  }
}

TEST_CASE("places that are out of the block, or do not ascend, are refused, and so is a false count") {
  const PayloadFormat top_k{Encoding::top_k, false};
  const std::uint32_t one = float_bits(1.0F);
  CHECK(decode_error(bytes_payload({2, 0, 9, one, one}), top_k, {10}).empty());
  CHECK(decode_error(bytes_payload({0}), top_k, {10}).empty());
  CHECK_THAT(decode_error(bytes_payload({2, 0, 10, one, one}), top_k, {10}), Catch::Contains("do not ascend"));
  CHECK_THAT(decode_error(bytes_payload({2, 3, 3, one, one}), top_k, {10}), Catch::Contains("do not ascend"));
  CHECK_THAT(decode_error(bytes_payload({2, 3, 2, one, one}), top_k, {10}), Catch::Contains("do not ascend"));
  CHECK_THAT(decode_error(bytes_payload({1, 0xFFFFFFFF, one}), top_k, {10}), Catch::Contains("do not ascend"));
  CHECK_THAT(decode_error(bytes_payload({3, 0, 9, one, one}), top_k, {10}), Catch::Contains("a count"));
  CHECK_THAT(decode_error(bytes_payload({0xFFFFFFFF, 0, one}), top_k, {10}), Catch::Contains("a count"));
  CHECK_THAT(decode_error(bytes_payload({2, 0, 9, one, one}), top_k, {10}, 0.1), Catch::Contains("the job's share"));
  CHECK_THAT(decode_error(bytes_payload({1, 0, one}), top_k, {10, 10}), Catch::Contains("without a count"));
  CHECK_THAT(decode_error(bytes_payload({1, 0, one}, 2), top_k, {10}), Catch::Contains("a count"));
  CHECK_THAT(decode_error(bytes_payload({1, 0, one, 7}), top_k, {10}), Catch::Contains("4 bytes after its last block"));
  CHECK_THAT(decode_error(Payload(), top_k, {10}), Catch::Contains("without a count"));
}

TEST_CASE("a packed payload that is cut off, changed, or unpacks to more or less than its blocks is refused") {
  Floats values(200, 0.5F);
  PayloadCoder coder;
  const Cut all = cut(values, {200});
  const auto encoded = coder.encode(all.blocks, Encoding::float32, true);
  REQUIRE(encoded.format.packed);
  CHECK(decode_error(encoded.payload, encoded.format, {200}).empty());
  CHECK_THAT(decode_error(encoded.payload, encoded.format, {199}), Catch::Contains("more than 796 bytes"));
  CHECK_THAT(decode_error(encoded.payload, encoded.format, {201}), Catch::Contains("800 bytes for 201 elements"));
  CHECK_FALSE(decode_error(encoded.payload, {Encoding::float16, true}, {200}).empty());
  CHECK_FALSE(decode_error(Payload(), encoded.format, {200}).empty());
  const auto memory =
      std::make_shared<std::vector<std::byte>>(encoded.payload.bytes().begin(), encoded.payload.bytes().end());
  for (std::size_t bytes = 0; bytes < memory->size(); ++bytes) {
    CHECK_FALSE(decode_error(Payload(memory, std::span(*memory).first(bytes)), encoded.format, {200}).empty());
  }
}

TEST_CASE("a few bytes do not make a server ask for more memory than a message may fill") {
  CHECK_THAT(decode_error(bytes_payload({0}), {Encoding::float32, true}, std::vector<std::uint32_t>(100, 1U << 20U)),
             Catch::Contains("more than a message may hold"));
}

TEST_CASE("any bytes in any format are refused, or are as many values as the blocks have") {
  CHECK(rc::check([] {
    const auto words = *rc::gen::container<std::vector<std::uint32_t>>(
        rc::gen::oneOf(rc::gen::inRange(0U, 12U), rc::gen::arbitrary<std::uint32_t>()));
    const PayloadFormat format{static_cast<Encoding>(*rc::gen::inRange(0, 4)), *rc::gen::arbitrary<bool>()};
    const auto sizes = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange(1U, 12U)));
    PayloadCoder coder;
    const auto decoded = coder.decode(bytes_payload(words), format, sizes);
    if (decoded) {
      RC_ASSERT(decoded->size() / sizeof(float) == std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}));
    }
  }));
}

}  // namespace
}  // namespace ringps
