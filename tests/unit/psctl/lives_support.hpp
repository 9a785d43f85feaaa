// Moments, and lives of processes, that the tests of psctl make up.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>

#include "services/psctl/lives.hpp"

namespace ringps {

inline Time at_ms(int ms) {
  return Time{} + std::chrono::hours(1) + std::chrono::milliseconds(ms);
}

inline Life life(Role role, const std::string& id, std::uint64_t started_unix_us) {
  Life life;
  life.role = role;
  life.id = id;
  life.pid = started_unix_us;
  life.started_unix_us = started_unix_us;
  return life;
}

inline Life killed(Life life, int died_ms, std::uint64_t died_unix_us) {
  life.end = Life::End{{true, SIGKILL}, at_ms(died_ms), died_unix_us, false};
  return life;
}

}  // namespace ringps
