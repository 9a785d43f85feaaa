// Reading a configuration: everything that is wrong with it is reported at once, one problem on a line, as
//   run.yaml:7:12: cluster.servers: expected a whole number from 1 to 1024, found 'five'
//   <override 'train.iteratons=5'>: unknown key 'train.iteratons' (did you mean 'iterations'?)
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"

namespace ringps {

/// "section.key=value" each; the value is YAML. They replace what the file says, in order.
using Overrides = std::vector<std::string>;

/// Reads, checks and resolves (sets all defaults that depend on other keys) a configuration file of at most 1 MiB.
Result<Config> load_config(const std::filesystem::path& file, const Overrides& overrides = {});

/// The same for text; `source` stands for the file's name in problems.
Result<Config> load_config_text(const std::string& text, const std::string& source, const Overrides& overrides = {});

/// All combinations of the values in "a.b=1,2,4" "c.d=x,y", the last key varying fastest; at most 10000. Commas within
/// [], {} or quotes belong to a value. Keys and values are checked only when a configuration is loaded with them.
Result<std::vector<Overrides>> expand_sweep(const std::vector<std::string>& arguments);

}  // namespace ringps
