#include "libps/config/suggest.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <vector>

namespace ringps::config_detail {

namespace {

/// Nothing longer than this is compared: no key or name is that long, and the work is quadratic.
constexpr std::size_t compared_length_max = 64;

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows i - 2, i - 1 and i of the table; row[j] is the distance of a's first i characters to b's first j.
  std::array<std::vector<std::size_t>, 3> rows;
  rows.fill(std::vector<std::size_t>(b.size() + 1));
  for (std::size_t j = 0; j <= b.size(); ++j) {
    rows[0][j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& above_that = rows[(i + 1) % 3];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = above[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], above_that[j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

std::string_view closest(std::string_view text, std::span<const std::string_view> candidates) {
  std::string_view best;
  if (text.size() > compared_length_max) {
    return best;
  }
  // One edit for each three characters typed: "serevrs" is servers, "hosts" is host, "cat" is not "wait".
  std::size_t allowed = std::max<std::size_t>(1, text.size() / 3);
  for (const auto candidate : candidates) {
    const std::size_t distance = edit_distance(text, candidate);
    if (distance <= allowed && distance < std::max(text.size(), candidate.size())) {
      best = candidate;
      allowed = distance == 0 ? 0 : distance - 1;
    }
    if (distance == 0) {
      break;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view candidate) {
  return candidate.empty() ? "" : fmt::format(" (did you mean '{}'?)", candidate);
}

}  // namespace ringps::config_detail
