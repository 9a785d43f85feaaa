// Structured logs on standard error: text for people, or one JSON object per line.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "libps/base/result.hpp"

namespace ringps::log {

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

/// `level`: debug, info, warn or error; `format`: text or json; `who`: the process's id, in every line.
Result<void> configure(const std::string& who, const std::string& level, const std::string& format);

}  // namespace ringps::log
