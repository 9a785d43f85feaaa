// How the values of a payload may be written on the way between workers and servers. compression.hpp writes and reads
// them.
#pragma once

#include <cstdint>
#include <tuple>

namespace ringps {

enum class Encoding : std::uint8_t {
  float32 = 0,   ///< as they are
  float16 = 1,   ///< IEEE 754 binary16
  bfloat16 = 2,  ///< the upper half of a float32
  top_k = 3,     ///< of each block the elements that are not zero, with their places
};

/// What a payload of blocks of tensors is.
struct PayloadFormat {
  Encoding encoding = Encoding::float32;
  bool packed = false;  ///< by bytes of elements, then by LZ4

  /// Raw floats, for which nobody has to do anything.
  bool is_plain() const { return encoding == Encoding::float32 && !packed; }

  static auto fields(auto& f) { return std::tie(f.encoding, f.packed); }
  friend bool operator==(const PayloadFormat&, const PayloadFormat&) = default;
};

/// What a job's workers and servers do to their payloads. What goes between servers is never compressed, and neither
/// are rows of tables.
struct Compression {
  Encoding gradients = Encoding::float32;  ///< from worker to server
  Encoding weights = Encoding::float32;    ///< from server to worker; never top_k
  double keep = 1.0;                       ///< of top_k: the share of each block's elements that is sent
  bool lz4 = false;                        ///< in both directions, where it makes a payload smaller

  bool of_gradients() const { return gradients != Encoding::float32 || lz4; }
  bool of_weights() const { return weights != Encoding::float32 || lz4; }
  /// What a payload between a worker and a server may be. A gradient goes as it is where top_k would not make it
  /// smaller.
  bool gradients_may_be(PayloadFormat format) const {
    const bool as_it_is = gradients == Encoding::top_k && format.encoding == Encoding::float32;
    return (format.encoding == gradients || as_it_is) && (lz4 || !format.packed);
  }
  bool weights_may_be(PayloadFormat format) const { return format.encoding == weights && (lz4 || !format.packed); }
  /// Whether training takes another course with it than without.
  bool is_lossy() const { return gradients != Encoding::float32 || weights != Encoding::float32; }

  friend bool operator==(const Compression&, const Compression&) = default;
};

}  // namespace ringps
