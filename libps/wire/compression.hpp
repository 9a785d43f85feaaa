// Payloads made smaller: 16 bits for a value, the largest elements of a gradient, LZ4. Pure functions of their
// arguments: the same values become the same bytes on every processor, so that synchronous runs stay reproducible to
// the bit. All loops are plain arithmetic which the compiler may vectorise; there is one form of them and no choice by
// processor.
//
// The layouts, little-endian, of the blocks of a message one after another:
//   float32, float16, bfloat16   4 or 2 bytes for each element
//   top_k                        for each block: u32 count; count u32 places within the block, ascending; count float32
//   packed                       any of these, the first bytes of all its 4- or 2-byte words, then their second bytes,
//                                and so on, as one LZ4 block. Exponents lie together then, and are much alike.
//
// No length is taken from the wire: how many bytes and elements there may be follows from the blocks that a header
// names.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "libps/base/buffer_pool.hpp"
#include "libps/base/result.hpp"
#include "libps/wire/encoding.hpp"
#include "libps/wire/payload.hpp"

namespace ringps {

/// To the nearest value, ties to even. Finite values beyond the largest one (65504) become that; infinity and NaN stay
/// what they are, so that whoever receives them can refuse them. A NaN is made quiet, as processors do.
std::uint16_t to_float16(float value);
float from_float16(std::uint16_t bits);
/// The same; the largest value is 3.3895e38.
std::uint16_t to_bfloat16(float value);
float from_bfloat16(std::uint16_t bits);

/// What the value is on the other side.
float rounded(float value, Encoding encoding);

/// How many elements of a block of `elements` top_k sends at most: at least one.
std::size_t kept_elements(std::size_t elements, double keep);

/// Error feedback. To `gradient` comes `residual`, what earlier ones have left; of the sum the `count` elements that
/// are largest by absolute value go to `kept`, the others are zero there and become the residual. Of equal ones the
/// first are kept. NaN and infinity count as the largest. All of one size.
void keep_largest(std::span<const float> gradient, std::span<float> residual, std::size_t count, std::span<float> kept);

/// Encodes and decodes payloads into buffers that are used again: at a steady pace it asks for no memory. Not
/// thread-safe.
class PayloadCoder {
 public:
  explicit PayloadCoder(double keep = 1.0) : keep_(keep) {}

  struct Encoded {
    Payload payload;
    PayloadFormat format;
  };
  /// `blocks`: their values. With `pack` the result is packed if that makes it smaller. For top_k no block may have
  /// more than kept_elements() that are not zero; where blocks are so small, or keep so many, that it would not make
  /// them smaller, they go as float32. So nothing becomes larger than it is.
  Encoded encode(std::span<const std::span<const float>> blocks, Encoding encoding, bool pack);

  /// The float32 values of blocks of so many elements. An error, whatever the bytes are, if they are not exactly that.
  Result<Payload> decode(const Payload& payload, PayloadFormat format, std::span<const std::uint32_t> blocks);

 private:
  std::size_t encoded_bytes_max(Encoding encoding, std::span<const std::uint32_t> blocks) const;

  const double keep_;
  BufferPool pool_;
  std::vector<std::byte> scratch_;
  std::vector<std::byte> shuffled_;
};

}  // namespace ringps
