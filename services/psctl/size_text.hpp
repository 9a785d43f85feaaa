// Numbers of bytes, for people.
#pragma once

#include <cstdint>
#include <string>

namespace ringps {

/// "512 B", "3.4 MiB"
std::string size_text(std::uint64_t bytes);

}  // namespace ringps
