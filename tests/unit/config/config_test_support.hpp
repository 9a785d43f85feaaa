#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "libps/config/load.hpp"

namespace ringps {

/// All that is wrong with the text, in a file called t.yaml; fails the test when nothing is.
inline std::string problems(const std::string& text, const Overrides& overrides = {}) {
  const auto config = load_config_text(text, "t.yaml", overrides);
  REQUIRE_FALSE(config.ok());
  return config.error();
}

/// The configuration in the text; fails the test when something is wrong with it.
inline Config loaded(const std::string& text, const Overrides& overrides = {}) {
  const auto config = load_config_text(text, "t.yaml", overrides);
  INFO((config.ok() ? "" : config.error()));
  REQUIRE(config.ok());
  return *config;
}

/// An entry of `faults`.
inline FaultConfig kill_at(std::uint64_t iteration, const std::string& process) {
  FaultConfig fault;
  fault.at_iteration = iteration;
  fault.kill = process;
  return fault;
}

}  // namespace ringps
