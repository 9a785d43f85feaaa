// Everything that is measured: what, beside what, and what the comparison has to come to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps::bench {

struct Target {
  enum class Kind : std::uint8_t { none, at_most, at_least } kind = Kind::none;
  double value = 0;
};

/// One measured number. The target is one of value / yardstick, or where there is no yardstick, of the value.
struct Reading {
  std::string name;  ///< "group/…"
  std::string unit;  ///< "s", "B/s", "B" or "/s"
  double value = 0;
  std::string beside;    ///< what the yardstick is; empty: there is none
  double yardstick = 0;  ///< in the same unit
  Target target;
  nlohmann::json details = nlohmann::json::object();
};

/// What a case may use while it is measured.
struct Round {
  std::filesystem::path scratch;
  std::map<std::string, double> values;  ///< of this round's readings so far, by name
};

/// One thing that is done in every round, and the readings that come of it.
struct Case {
  std::string name;                ///< that of its reading, or what the names of its readings begin with
  std::vector<std::string> needs;  ///< names of the cases before it that it is compared with
  std::function<Result<std::vector<Reading>>(const Round&)> measure;
};

/// How much of it.
struct Scope {
  bool brief = false;                  ///< a little of everything, to see that it works
  std::size_t largest_mib = 1024;      ///< models
  double volume_mib = 2048;            ///< of gradients, in each case with models of a MiB and more
  std::vector<std::string> overrides;  ///< of the configuration, in all cases
};

/// In the order in which they are to be measured.
std::vector<Case> all_cases(const Scope& scope);

}  // namespace ringps::bench
