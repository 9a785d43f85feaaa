// The status of a run as JSON: what `psctl status --json` prints, and what the coordinator leaves behind as its last
// word.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "libps/base/result.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

inline constexpr const char* last_status_name = "status.json";  ///< in the folder of the run

std::string_view name_of(Role role);
std::string_view name_of(RunState state);

nlohmann::ordered_json to_json(const Status& status);

/// Of the above: how the run stands, how far it came, and its failures.
Result<Status> parse_status(std::string_view text);

}  // namespace ringps
