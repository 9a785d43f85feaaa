// The only clock. Everything else is told the time.
#pragma once

#include <cstdint>

#include "libps/base/time.hpp"

namespace ringps {

/// Monotonic.
Time now();

/// Microseconds since 1970: for incarnations, logs and records, never for decisions.
std::uint64_t unix_microseconds();

}  // namespace ringps
