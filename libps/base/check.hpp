// Checks of our own invariants. What peers, users or disks can cause is a Result, never a check.
#pragma once

#include <source_location>
#include <string_view>

namespace ringps {

/// Prints what did not hold and where, then aborts.
[[noreturn]] void check_failed(std::string_view what, const std::source_location& where);

inline void check(bool holds, std::string_view what, const std::source_location& where = std::source_location::current()) {
  if (!holds) [[unlikely]] {
    check_failed(what, where);
  }
}

}  // namespace ringps
