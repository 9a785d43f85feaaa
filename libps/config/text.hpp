// Words for problems and comments.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

#include "libps/config/schema.hpp"

namespace ringps::config_detail {

/// As a JSON string, which is also a YAML one. Bytes that are not UTF-8 are replaced.
inline std::string double_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// 'text' for a message: control characters escaped, and cut when long.
inline std::string single_quoted(std::string_view text) {
  constexpr std::size_t shown_bytes_max = 60;
  const bool cut = text.size() > shown_bytes_max;
  const std::string escaped = double_quoted(text.substr(0, shown_bytes_max));
  return fmt::format("'{}{}'", std::string_view(escaped).substr(1, escaped.size() - 2), cut ? "…" : "");
}

/// "cluster" and "servers" make "cluster.servers".
inline std::string join_path(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

/// "from 1 to 1024"; empty for what has no range.
template <class T>
std::string words(const schema::Range<T>& range) {
  if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    return fmt::format("from {} to {}", range.low, range.high);
  } else {
    return "";
  }
}

/// "sgd, momentum"
template <class Enum>
std::string allowed_names() {
  std::string all;
  for (const auto& [name, value] : names(Enum{})) {
    all += fmt::format("{}{}", all.empty() ? "" : ", ", name);
  }
  return all;
}

}  // namespace ringps::config_detail
