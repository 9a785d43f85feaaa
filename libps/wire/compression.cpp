#include "libps/wire/compression.hpp"

#include <lz4.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/wire/limits.hpp"

namespace ringps {
namespace {

static_assert(std::endian::native == std::endian::little, "payloads are little-endian and taken as they are");

constexpr std::uint32_t sign_bit = 0x80000000U;
constexpr std::uint32_t infinity_bits = 0x7F800000U;

// ---- 16 bits --------------------------------------------------------------------------------------------------------

/// Without branches: each result is computed, and the right one chosen, so that loops become vector code.
inline std::uint32_t float16_of(std::uint32_t bits) {
  const std::uint32_t sign = (bits & sign_bit) >> 16U;
  const std::uint32_t magnitude = bits & ~sign_bit;
  // Added to a half, a small value leaves its multiple of 2^-24 in the last bits of the sum, rounded as it should be.
  const std::uint32_t small = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3F000000U;
  // Else the exponent gets another bias, and the 13 bits that go are rounded.
  const std::uint32_t large = (magnitude - 0x38000000U + 0x0FFFU + ((magnitude >> 13U) & 1U)) >> 13U;
  const std::uint32_t saturated = large < 0x7BFFU ? large : 0x7BFFU;
  const std::uint32_t not_finite =
      0x7C00U | (magnitude > infinity_bits ? 0x0200U | ((magnitude >> 13U) & 0x03FFU) : 0U);
  const std::uint32_t finite = magnitude < 0x38800000U ? small : saturated;
  return sign | (magnitude >= infinity_bits ? not_finite : finite);
}

inline std::uint32_t value_of_float16(std::uint32_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t magnitude = (bits & 0x7FFFU) << 13U;
  const std::uint32_t normal = magnitude + 0x38000000U;
  const std::uint32_t small = std::bit_cast<std::uint32_t>(std::bit_cast<float>((bits & 0x03FFU) | 0x3F000000U) - 0.5F);
  const std::uint32_t quiet = magnitude > 0x0F800000U ? 0x00400000U : 0U;
  const std::uint32_t not_finite = (magnitude + 0x70000000U) | quiet;
  const std::uint32_t finite = magnitude < 0x00800000U ? small : normal;
  return sign | (magnitude >= 0x0F800000U ? not_finite : finite);
}

inline std::uint32_t bfloat16_of(std::uint32_t bits) {
  const std::uint32_t sign = (bits & sign_bit) >> 16U;
  const std::uint32_t magnitude = bits & ~sign_bit;
  const std::uint32_t nearest = (magnitude + 0x7FFFU + ((magnitude >> 16U) & 1U)) >> 16U;
  const std::uint32_t saturated = nearest < 0x7F7FU ? nearest : 0x7F7FU;
  const std::uint32_t not_finite = (magnitude >> 16U) | (magnitude > infinity_bits ? 0x0040U : 0U);
  return sign | (magnitude >= infinity_bits ? not_finite : saturated);
}

inline std::uint32_t value_of_bfloat16(std::uint32_t bits) {
  const std::uint32_t quiet = (bits & 0x7FFFU) > 0x7F80U ? 0x00400000U : 0U;
  return (bits << 16U) | quiet;
}

template <std::uint32_t (*function)(std::uint32_t)>
std::byte* write_halves(std::span<const float> values, std::byte* to) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto half = static_cast<std::uint16_t>(function(std::bit_cast<std::uint32_t>(values[i])));
    std::memcpy(to + i * sizeof half, &half, sizeof half);
  }
  return to + values.size() * sizeof(std::uint16_t);
}

template <std::uint32_t (*function)(std::uint32_t)>
void read_halves(const std::byte* from, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, from + i * sizeof half, sizeof half);
    values[i] = std::bit_cast<float>(function(half));
  }
}

// ---- the largest elements -------------------------------------------------------------------------------------------

/// Orders by absolute value, with infinity and NaN above all others.
std::uint32_t magnitude_of(float value) {
  return std::bit_cast<std::uint32_t>(value) & ~sign_bit;
}

struct Threshold {
  std::uint32_t magnitude = 0;  ///< all that are larger are among the `count` largest …
  std::size_t equal = 0;        ///< … and so are that many that are equal
};

/// From the upper bits to the lower ones: how many have these bits, and which of them the count ends in.
Threshold threshold_of(std::span<const float> values, std::size_t count) {
  constexpr unsigned digits = 11;  // 2048 counters stay in the L1 cache; three times 11 bits are all
  constexpr std::uint32_t mask = (1U << digits) - 1;
  std::uint32_t prefix = 0;
  for (const unsigned shift : {2 * digits, digits, 0U}) {
    // Two sets in turn: else each of many equal elements waits for the one before.
    std::array<std::array<std::uint32_t, mask + 1>, 2> counters{};
    const std::uint32_t known = shift == 2 * digits ? 0U : ~0U << (shift + digits);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint32_t magnitude = magnitude_of(values[i]);
      if ((magnitude & known) == prefix) {
        ++counters[i % 2][(magnitude >> shift) & mask];
      }
    }
    std::uint32_t digit = mask;
    const auto having = [&] { return std::size_t{counters[0][digit]} + counters[1][digit]; };
    for (; having() < count; --digit) {
      count -= having();
    }
    prefix |= digit << shift;
  }
  return {prefix, count};
}

std::byte* write_top_k(std::span<const float> values, std::size_t kept_max, std::byte* to) {
  std::uint32_t count = 0;
  for (const float value : values) {
    count += magnitude_of(value) != 0 ? 1U : 0U;
  }
  check(count <= kept_max, "a gradient that is sent by its largest elements has been cut down to them");
  std::memcpy(to, &count, sizeof count);
  std::byte* place = to + sizeof count;
  std::byte* at = place + count * sizeof(std::uint32_t);
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    if (magnitude_of(values[i]) != 0) {
      std::memcpy(std::exchange(place, place + sizeof i), &i, sizeof i);
      std::memcpy(std::exchange(at, at + sizeof(float)), &values[i], sizeof(float));
    }
  }
  return at;
}

/// One block from the front of `bytes`. What is wrong with them, or null.
const char* read_top_k(std::span<const std::byte>& bytes, std::size_t kept_max, std::span<float> values) {
  constexpr std::size_t word = sizeof(std::uint32_t);
  std::uint32_t count = 0;
  if (bytes.size() < word) {
    return "a block without a count of elements";
  }
  std::memcpy(&count, bytes.data(), word);
  if (count > kept_max || bytes.size() - word < std::size_t{count} * 2 * word) {
    return "a count of elements that is larger than the job's share of the block, or than what follows it";
  }
  std::fill(values.begin(), values.end(), 0.0F);
  const std::byte* const places = bytes.data() + word;
  const std::byte* const kept = places + count * word;
  std::size_t first_free = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t place = 0;
    std::memcpy(&place, places + i * word, word);
    if (place < first_free || place >= values.size()) {
      return "places of elements that do not ascend within the block";
    }
    std::memcpy(&values[place], kept + i * word, word);
    first_free = place + std::size_t{1};
  }
  bytes = bytes.subspan(word + count * 2 * word);
  return nullptr;
}

// ---- packing --------------------------------------------------------------------------------------------------------

std::size_t word_bytes(Encoding encoding) {
  return encoding == Encoding::float16 || encoding == Encoding::bfloat16 ? 2 : 4;
}

/// `Word`: an unsigned integer.
template <class Word>
void shuffle_words(const std::byte* from, std::size_t count, std::byte* to) {
  for (std::size_t i = 0; i < count; ++i) {
    Word word = 0;
    std::memcpy(&word, from + i * sizeof word, sizeof word);
    for (std::size_t byte = 0; byte < sizeof word; ++byte) {
      to[byte * count + i] = static_cast<std::byte>(word >> (8 * byte));
    }
  }
}

template <class Word>
void unshuffle_words(const std::byte* from, std::size_t count, std::byte* to) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t word = 0;
    for (std::size_t byte = 0; byte < sizeof(Word); ++byte) {
      word |= static_cast<std::uint32_t>(from[byte * count + i]) << (8 * byte);
    }
    const auto narrow = static_cast<Word>(word);
    std::memcpy(to + i * sizeof narrow, &narrow, sizeof narrow);
  }
}

std::size_t floats_for(std::size_t bytes) {
  return (bytes + sizeof(float) - 1) / sizeof(float);
}

std::byte* bytes_of(Buffer& buffer) {
  return reinterpret_cast<std::byte*>(buffer.data());
}

std::byte* write_values(std::span<const float> values, Encoding encoding, std::size_t kept_max, std::byte* to) {
  switch (encoding) {
    case Encoding::float16:
      return write_halves<float16_of>(values, to);
    case Encoding::bfloat16:
      return write_halves<bfloat16_of>(values, to);
    case Encoding::top_k:
      return write_top_k(values, kept_max, to);
    default:
      std::memcpy(to, values.data(), values.size_bytes());
      return to + values.size_bytes();
  }
}

}  // namespace

std::uint16_t to_float16(float value) {
  return static_cast<std::uint16_t>(float16_of(std::bit_cast<std::uint32_t>(value)));
}
float from_float16(std::uint16_t bits) {
  return std::bit_cast<float>(value_of_float16(bits));
}
std::uint16_t to_bfloat16(float value) {
  return static_cast<std::uint16_t>(bfloat16_of(std::bit_cast<std::uint32_t>(value)));
}
float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(value_of_bfloat16(bits));
}

float rounded(float value, Encoding encoding) {
  return encoding == Encoding::float16    ? from_float16(to_float16(value))
         : encoding == Encoding::bfloat16 ? from_bfloat16(to_bfloat16(value))
                                          : value;
}

std::size_t kept_elements(std::size_t elements, double keep) {
  const auto share = static_cast<std::size_t>(std::ceil(keep * static_cast<double>(elements)));
  return std::clamp<std::size_t>(share, 1, elements);
}

void keep_largest(std::span<const float> gradient, std::span<float> residual, std::size_t count,
                  std::span<float> kept) {
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    residual[i] += gradient[i];
  }
  Threshold threshold = threshold_of(residual, count);
  for (std::size_t i = 0; i < residual.size(); ++i) {
    const std::uint32_t magnitude = magnitude_of(residual[i]);
    bool keeps = magnitude > threshold.magnitude;
    if (magnitude == threshold.magnitude && threshold.equal > 0) {
      --threshold.equal;
      keeps = true;
    }
    kept[i] = keeps ? residual[i] : 0.0F;
    residual[i] = keeps ? 0.0F : residual[i];
  }
}

std::size_t PayloadCoder::encoded_bytes_max(Encoding encoding, std::span<const std::uint32_t> blocks) const {
  std::size_t bytes = 0;
  for (const std::size_t elements : blocks) {
    bytes += encoding == Encoding::top_k ? sizeof(std::uint32_t) * (1 + 2 * kept_elements(elements, keep_))
                                         : elements * word_bytes(encoding);
  }
  return bytes;
}

PayloadCoder::Encoded PayloadCoder::encode(std::span<const std::span<const float>> blocks, Encoding encoding,
                                           bool pack) {
  std::size_t elements = 0;
  std::size_t bytes_max = 0;
  for (const auto& block : blocks) {
    const auto size = static_cast<std::uint32_t>(block.size());
    bytes_max += encoded_bytes_max(encoding, std::span(&size, 1));
    elements += size;
  }
  Buffer values = pool_.take(floats_for(bytes_max));
  std::byte* at = bytes_of(values);
  for (const auto& block : blocks) {
    at = write_values(block, encoding, kept_elements(block.size(), keep_), at);
  }
  const auto bytes = static_cast<std::size_t>(at - bytes_of(values));
  if (encoding == Encoding::top_k && bytes >= elements * sizeof(float)) {
    pool_.give_back(std::move(values));
    return encode(blocks, Encoding::float32, pack);
  }
  if (pack && bytes > 1) {
    shuffled_.resize(std::max(shuffled_.size(), bytes));
    word_bytes(encoding) == 2 ? shuffle_words<std::uint16_t>(bytes_of(values), bytes / 2, shuffled_.data())
                              : shuffle_words<std::uint32_t>(bytes_of(values), bytes / 4, shuffled_.data());
    Buffer packed = pool_.take(floats_for(bytes_max));
    const int packed_bytes = LZ4_compress_default(reinterpret_cast<const char*>(shuffled_.data()),
                                                  reinterpret_cast<char*>(packed.data()), static_cast<int>(bytes),
                                                  static_cast<int>(bytes - 1));  // 0 if it is not smaller
    pool_.give_back(packed);
    if (packed_bytes > 0) {
      pool_.give_back(std::move(values));
      return {Payload::of_bytes(std::move(packed), static_cast<std::size_t>(packed_bytes)), {encoding, true}};
    }
  }
  pool_.give_back(values);
  return {Payload::of_bytes(std::move(values), bytes), {encoding, false}};
}

Result<Payload> PayloadCoder::decode(const Payload& payload, PayloadFormat format,
                                     std::span<const std::uint32_t> blocks) {
  const std::size_t elements = std::accumulate(blocks.begin(), blocks.end(), std::size_t{0});
  if (elements * sizeof(float) > limits::payload_bytes_max) {  // a few bytes must not cost any amount of memory
    return Error{"blocks of " + std::to_string(elements) + " elements, more than a message may hold"};
  }
  const std::size_t word = word_bytes(format.encoding);
  const std::size_t bytes_max = encoded_bytes_max(format.encoding, blocks);
  std::span<const std::byte> bytes = payload.bytes();
  if (format.packed) {
    shuffled_.resize(std::max(shuffled_.size(), bytes_max));
    scratch_.resize(std::max(scratch_.size(), bytes_max));
    const int found =
        LZ4_decompress_safe(reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<char*>(shuffled_.data()),
                            static_cast<int>(bytes.size()), static_cast<int>(bytes_max));
    if (found < 0 || static_cast<std::size_t>(found) % word != 0) {
      return Error{"a packed payload of " + std::to_string(bytes.size()) + " bytes that is not LZ4, or more than " +
                   std::to_string(bytes_max) + " bytes of words"};
    }
    const auto count = static_cast<std::size_t>(found) / word;
    word == 2 ? unshuffle_words<std::uint16_t>(shuffled_.data(), count, scratch_.data())
              : unshuffle_words<std::uint32_t>(shuffled_.data(), count, scratch_.data());
    bytes = std::span<const std::byte>(scratch_).first(static_cast<std::size_t>(found));
  }
  if (format.encoding != Encoding::top_k && bytes.size() != bytes_max) {
    return Error{"a payload of " + std::to_string(bytes.size()) + " bytes for " + std::to_string(elements) +
                 " elements of " + std::to_string(word) + " bytes"};
  }
  Buffer buffer = pool_.take(elements);
  pool_.give_back(buffer);
  std::span<float> values = buffer.values();
  switch (format.encoding) {
    case Encoding::float32:
      std::memcpy(values.data(), bytes.data(), bytes.size());
      break;
    case Encoding::float16:
      read_halves<value_of_float16>(bytes.data(), values);
      break;
    case Encoding::bfloat16:
      read_halves<value_of_bfloat16>(bytes.data(), values);
      break;
    case Encoding::top_k:
      for (const std::size_t block : blocks) {
        if (const char* wrong = read_top_k(bytes, kept_elements(block, keep_), values.first(block))) {
          return Error{std::string("a payload with ") + wrong};
        }
        values = values.subspan(block);
      }
      if (!bytes.empty()) {
        return Error{"a payload with " + std::to_string(bytes.size()) + " bytes after its last block"};
      }
      break;
  }
  return Payload::of(std::move(buffer), elements);
}

}  // namespace ringps
