// Any bytes as an IDX file: read or refused, within bounded memory.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "libps/base/check.hpp"
#include "libps/data/idx.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream input(std::string(reinterpret_cast<const char*>(data), size));
  const auto array = ringps::read_idx(input, 1 + size % 3, "fuzzed");
  if (array) {
    std::size_t values = 1;
    for (const std::uint32_t extent : array->shape) {
      values *= extent;
    }
    ringps::check(array->values.size() == values, "as many values as the shape says");
  } else {
    ringps::check(array.error().starts_with("fuzzed: "), "the error names the file");
  }
  return 0;
}
