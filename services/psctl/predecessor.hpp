// The options of the system that this one succeeds, so that its command lines translate one to one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libps/config/load.hpp"

namespace ringps {

/// Its experiment, with its defaults, as a configuration.
extern const char* const predecessor_config;

struct PredecessorFlags {
  std::optional<std::uint32_t> num_servers;
  std::optional<std::uint32_t> num_workers;  ///< per server
  std::optional<std::uint64_t> num_iterations;
  std::optional<std::uint64_t> checkpoint;  ///< interval of checkpoints, and at which workers take new weights
  std::optional<bool> do_failure_test;
  std::optional<std::string> server_to_fail;
  std::optional<std::uint64_t> iteration_to_fail;
  std::optional<std::uint64_t> eval_interval;

  bool any() const;
};

/// What the flags that were given change in a configuration.
Overrides overrides_of(const PredecessorFlags& flags);

/// Its short options have several letters, which is not the custom: -ns becomes --num-servers, and so on.
std::vector<std::string> spell_out_predecessor_flags(std::vector<std::string> arguments);

}  // namespace ringps
