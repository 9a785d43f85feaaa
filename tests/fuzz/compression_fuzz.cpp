// Any bytes as a payload of blocks, in every format: refused, or as many values as the blocks have, which can be
// encoded and decoded again. The first bytes say which format and which blocks.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "libps/base/check.hpp"
#include "libps/wire/compression.hpp"

namespace {

using namespace ringps;

void encode_again(PayloadCoder& coder, const Payload& values, PayloadFormat format,
                  const std::vector<std::uint32_t>& sizes) {
  std::vector<float> floats(values.size() / sizeof(float));
  std::memcpy(floats.data(), values.data(), values.size());
  std::vector<std::span<const float>> blocks;
  std::size_t at = 0;
  for (const std::uint32_t size : sizes) {
    blocks.push_back(std::span<const float>(floats).subspan(at, size));
    at += size;
  }
  const auto encoded = coder.encode(blocks, format.encoding, format.packed);
  const auto decoded = coder.decode(encoded.payload, encoded.format, sizes);
  check(decoded.ok() && decoded->size() == values.size(), "what is encoded can be decoded");
  for (std::size_t i = 0; i < floats.size(); ++i) {
    float again = 0;
    std::memcpy(&again, decoded->data() + i * sizeof again, sizeof again);
    const bool zeros = again == 0.0F && floats[i] == 0.0F;  // top_k does not send a zero, nor its sign
    check(zeros || std::memcmp(&again, &floats[i], sizeof again) == 0, "values are the same after another turn");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const PayloadFormat format{static_cast<Encoding>(data[0] & 3U), (data[0] & 4U) != 0};
  const std::size_t count = 1 + (data[0] >> 3U) % 4;
  std::vector<std::uint32_t> sizes;
  for (std::uint32_t b = 0; b < count; ++b) {
    sizes.push_back(1 + data[1] % 64 + 3 * b);
  }
  const auto bytes = std::make_shared<const std::vector<std::uint8_t>>(data + 2, data + size);
  PayloadCoder coder(0.5);
  const auto decoded = coder.decode(Payload(bytes, std::as_bytes(std::span(*bytes))), format, sizes);
  if (decoded) {
    check(decoded->size() / sizeof(float) == std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}),
          "a payload that is taken has as many values as its blocks");
    encode_again(coder, *decoded, format, sizes);
  }
  return 0;
}
