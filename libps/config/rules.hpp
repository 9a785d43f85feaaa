// What keys must satisfy together, and defaults that depend on other keys. Private to libps/config.
#pragma once

#include "libps/config/config.hpp"
#include "libps/config/report.hpp"

namespace ringps::config_detail {

/// Reports every rule that is broken by values that are sound by themselves.
void check_rules(const Config& config, Report& report);

/// Fills in the defaults that depend on other keys. Needs a configuration that breaks no rule.
void resolve_defaults(Config& config);

}  // namespace ringps::config_detail
