// One question to a coordinator, and its answer.
#pragma once

#include <string>

#include "libps/base/result.hpp"
#include "libps/base/time.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// Asks again and again until an answer comes or `patience` is over; always as one request, so that whoever counts
/// requests carries it out once. The answer may be Refused. An error: nobody answers.
Result<Message> ask(const std::string& endpoint, const std::string& cluster, const Body& question, Duration patience);

}  // namespace ringps
