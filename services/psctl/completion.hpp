// Completion of psctl's command lines, made from the command line's own description.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace ringps {

/// A script for bash.
std::string bash_completion(const CLI::App& app);

}  // namespace ringps
