// The rules of the source tree: which folder may include which, and what the pure folders must not touch.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ringps {

/// What is wrong in one file, each as "path:line: what was found; what the rule is". `path` is relative to the root of
/// the source tree and decides which rules apply; `text` is the file's content.
std::vector<std::string> rule_violations(std::string_view path, std::string_view text);

}  // namespace ringps
