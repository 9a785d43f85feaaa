// The status of a running cluster as people read it. Pure.
#pragma once

#include <string>

#include "libps/wire/messages.hpp"

namespace ringps {

/// A headline, what is waited for, a table of the processes, and what has failed.
std::string to_text(const Status& status);

}  // namespace ringps
