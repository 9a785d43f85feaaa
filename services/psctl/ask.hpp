// One question to a coordinator, and its answer.
#pragma once

#include <string>

#include "libps/base/result.hpp"
#include "libps/base/time.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// Asks again and again until an answer comes or `patience` is over. An error: nobody answers, or the answer is
/// Refused.
Result<Message> ask(const std::string& endpoint, const std::string& cluster, const Body& question, Duration patience);

}  // namespace ringps
