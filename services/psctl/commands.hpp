// The commands of psctl. Each adds itself to the command line; the chosen one sets `action`, which returns psctl's exit
// code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "libps/role/role.hpp"

namespace ringps {

using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action);
void add_validate(CLI::App& app, Action& action);
void add_ring(CLI::App& app, Action& action);
void add_checkpoint(CLI::App& app, Action& action);
void add_data(CLI::App& app, Action& action);
void add_status(CLI::App& app, Action& action);   ///< status, stop and health
void add_members(CLI::App& app, Action& action);  ///< servers and workers
void add_figures(CLI::App& app, Action& action);
void add_completion(CLI::App& app, Action& action);

/// A command with an example below its help.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& does, const std::string& examples);

/// "psctl: …" on standard error; returns `code`.
int complain(const std::string& text, ExitCode code);

}  // namespace ringps
