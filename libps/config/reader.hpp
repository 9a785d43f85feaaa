// From YAML text to the structs, by their tables. Private to libps/config.
#pragma once

#include <string>

#include "libps/config/config.hpp"
#include "libps/config/report.hpp"

namespace ringps::config_detail {

/// Reads a whole configuration file; `source` is its name in problems.
void read_text(const std::string& text, const std::string& source, Config& config, Report& report);

/// Reads one "section.key=value".
void read_override(const std::string& override_text, Config& config, Report& report);

}  // namespace ringps::config_detail
