// "did you mean 'x'?"
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ringps::config_detail {

/// Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other.
/// Source: optimal string alignment distance (Damerau 1964; Levenshtein 1966).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The closest of the candidates, or empty when none is close enough to be what was meant.
std::string_view closest(std::string_view text, std::span<const std::string_view> candidates);

/// " (did you mean 'x'?)", or empty for an empty candidate.
std::string did_you_mean(std::string_view candidate);

}  // namespace ringps::config_detail
