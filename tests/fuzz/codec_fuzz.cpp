// Any bytes as a header, with and without a payload, and as a view: refused, or a message that encodes and decodes
// again.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "libps/base/check.hpp"
#include "libps/wire/codec.hpp"

namespace {

using namespace ringps;

void decode_twice(std::span<const std::byte> header, const Payload* payload) {
  const auto message = decode(header, payload);
  if (message) {
    const std::string again = encode_header(*message);
    check(decode(std::as_bytes(std::span(again)), payload).ok(), "what was decoded can be encoded and decoded again");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  decode_twice(std::as_bytes(std::span(bytes)), nullptr);
  const Payload payload = Payload::of(std::make_shared<const std::vector<float>>(4, 1.0F));
  decode_twice(std::as_bytes(std::span(bytes)), &payload);
  if (const auto view = decode_view(bytes)) {
    const auto again = decode_view(encode_view(*view));
    check(again.ok() && *again == *view, "a view is the same after it was encoded and decoded again");
  }
  return 0;
}
