// JSON from files that somebody may have damaged or made up.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "libps/base/result.hpp"

namespace ringps {

/// One JSON value and nothing behind it. Refuses duplicate keys, which the library would let overwrite each other, and
/// nesting deeper than `nesting_max`.
Result<nlohmann::json> parse_json(std::string_view text, std::size_t nesting_max);

}  // namespace ringps
