// Writing a configuration.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "libps/config/config.hpp"

namespace ringps {

/// Every key with its value and, as a comment, its meaning. Loading it gives the same configuration again.
/// `to_yaml(Config{})` is the reference of all keys and defaults.
std::string to_yaml(const Config& config);

/// The same values as one JSON object, in the order of the tables.
nlohmann::ordered_json to_json(const Config& config);

/// What must be the same in all processes of a cluster, one "path=value" on a line. Compare a digest of it when a
/// process joins. Paths of files, faults, outputs and other matters of one process are not in it.
std::string canonical_text(const Config& config);

}  // namespace ringps
