// A manifest that somebody made up: either refused, or the same after a second way through JSON.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libps/base/check.hpp"
#include "libps/storage/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto manifest = ringps::parse_manifest({reinterpret_cast<const char*>(data), size});
  if (manifest) {
    (void)ringps::coverage_problems(*manifest);
    const auto again = ringps::parse_manifest(ringps::to_json(*manifest));
    ringps::check(again.ok() && *again == *manifest, "a manifest survives the way through JSON");
  }
  return 0;
}
