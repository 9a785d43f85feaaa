// Which running cluster a command speaks to, and how.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "libps/base/result.hpp"
#include "libps/base/time.hpp"
#include "libps/config/config.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// How long a coordinator may take to answer a command.
inline constexpr Duration answer_patience = std::chrono::seconds(2);

/// As the command line names it: by the folder of the run, or by the configuration and the coordinator's endpoint.
struct Target {
  std::string run_dir;
  std::string config;
  std::string endpoint;

  void add_to(CLI::App& command);
};

struct FoundCluster {
  std::string endpoint;  ///< of the coordinator
  Config config;
};

Result<FoundCluster> find(const Target& target);

/// Puts a request to the coordinator, and says `done` (unless it is empty) once it has been heard. Returns psctl's exit
/// code.
int request(const Target& target, const Body& body, const std::string& done);

Result<Status> ask_status(const FoundCluster& found);

}  // namespace ringps
