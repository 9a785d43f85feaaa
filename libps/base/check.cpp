#include "libps/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace ringps {

void check_failed(std::string_view what, const CodePlace& where) {
  std::fprintf(stderr, "ringps bug: %.*s, at %s:%u in %s\n", static_cast<int>(what.size()), what.data(), where.file,
               where.line, where.function);
  std::abort();
}

}  // namespace ringps
