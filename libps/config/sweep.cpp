#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <string_view>

#include "libps/config/load.hpp"

namespace ringps {

namespace {

constexpr std::size_t combinations_max = 10'000;

/// Splits at commas that are outside of brackets, braces and quotes.
std::vector<std::string> split_values(std::string_view text) {
  std::vector<std::string> values(1);
  int depth = 0;
  char quote = '\0';
  for (const char c : text) {
    if (quote != '\0') {
      quote = c == quote ? '\0' : quote;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      values.emplace_back();
      continue;
    }
    values.back() += c;
  }
  return values;
}

}  // namespace

Result<std::vector<Overrides>> expand_sweep(const std::vector<std::string>& arguments) {
  std::vector<Overrides> combinations(1);
  for (const auto& argument : arguments) {
    const auto equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{fmt::format("<sweep '{}'>: expected section.key=value,value…", argument)};
    }
    const auto values = split_values(std::string_view(argument).substr(equals + 1));
    if (combinations.size() * values.size() > combinations_max) {
      return Error{fmt::format("<sweep '{}'>: makes more than {} combinations", argument, combinations_max)};
    }
    std::vector<Overrides> extended;
    for (const auto& combination : combinations) {
      for (const auto& value : values) {
        if (value.empty()) {
          return Error{fmt::format("<sweep '{}'>: a value is missing before or after a comma", argument)};
        }
        extended.push_back(combination);
        extended.back().push_back(argument.substr(0, equals + 1) + value);
      }
    }
    combinations = std::move(extended);
  }
  return combinations;
}

}  // namespace ringps
