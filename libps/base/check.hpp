// Checks of our own invariants. What peers, users or disks can cause is a Result, never a check.
#pragma once

#include <string_view>

namespace ringps {

/// Where a check stands in the source. Not std::source_location: clang 14 cannot use that of GCC 12's library.
struct CodePlace {
  const char* file;
  unsigned line;
  const char* function;

  static constexpr CodePlace here(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE(),
                                  const char* function = __builtin_FUNCTION()) {
    return {file, line, function};
  }
};

/// Prints what did not hold and where, then aborts.
[[noreturn]] void check_failed(std::string_view what, const CodePlace& where);

inline void check(bool holds, std::string_view what, const CodePlace& where = CodePlace::here()) {
  if (!holds) [[unlikely]] {
    check_failed(what, where);
  }
}

}  // namespace ringps
