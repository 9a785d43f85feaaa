// Any bytes are either a configuration that survives being written and read again, or an error; never a crash.
#include <cstddef>
#include <cstdint>
#include <string>

#include "libps/base/check.hpp"
#include "libps/config/load.hpp"
#include "libps/config/write.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto config = ringps::load_config_text(text, "fuzz.yaml");
  if (config) {
    const auto again = ringps::load_config_text(ringps::to_yaml(*config), "again.yaml");
    ringps::check(again.ok() && *again == *config, "a written configuration reads back as it was");
  }
  (void)ringps::load_config_text("", "empty.yaml", {text});
  return 0;
}
