// Any bytes as a LIBSVM file: read or refused, and the same whether they are parsed as a whole or in pieces.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "libps/base/check.hpp"
#include "libps/data/libsvm.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto read = [&](std::size_t chunk_bytes) {
    std::istringstream input(text);
    return ringps::read_libsvm(input, "fuzzed", {.threads = 1, .chunk_bytes = chunk_bytes});
  };
  const auto whole = read(1U << 16U);
  const auto pieces = read(1 + size / 3);
  ringps::check(whole.ok() == pieces.ok(), "pieces are read if the whole is");
  if (!whole) {
    ringps::check(whole.error().starts_with("fuzzed:"), "the error names the file");
    return 0;
  }
  ringps::check(*whole == *pieces, "pieces make the whole");
  ringps::check(whole->count() > 0 && whole->row_begin.size() == whole->count() + 1, "each sample has a row");
  for (std::size_t i = 0; i < whole->count(); ++i) {
    std::size_t end = 0;
    for (const ringps::SparseEntry& entry : whole->row(i)) {
      ringps::check(entry.feature >= end && entry.feature < whole->features, "features ascend and are counted");
      end = entry.feature + std::size_t{1};
    }
  }
  return 0;
}
