// A safetensors header that somebody made up: either refused, or tensors that lie one after another in the data.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "libps/base/check.hpp"
#include "libps/storage/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t data_bytes = 0;
  if (size < sizeof data_bytes) {
    return 0;
  }
  std::memcpy(&data_bytes, data, sizeof data_bytes);
  const std::string_view json(reinterpret_cast<const char*>(data) + sizeof data_bytes, size - sizeof data_bytes);
  const auto header = ringps::parse_safetensors_header(json, data_bytes);
  if (header) {
    std::uint64_t end = 0;
    for (const ringps::TensorEntry& tensor : header->tensors) {
      ringps::check(tensor.begin == end && tensor.end >= tensor.begin, "tensors follow one another");
      ringps::check(ringps::tensor_bytes(tensor.shape).value() == tensor.bytes(), "a tensor has its shape's length");
      end = tensor.end;
    }
    ringps::check(end == data_bytes, "tensors cover the data");
  }
  return 0;
}
