// What faults must satisfy: each by itself, and all of them together with the cluster that they happen to.
#pragma once

#include "libps/config/config.hpp"
#include "libps/config/report.hpp"

namespace ringps::config_detail {

void check_faults(const Config& config, Report& report);

}  // namespace ringps::config_detail
