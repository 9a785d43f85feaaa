// What the tests of sockets and of links beside them share.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "libps/net/socket.hpp"

namespace ringps {

/// For peers that send nothing malformed.
inline const OnMalformed none_expected = [](const std::string& reason) { FAIL(reason); };

}  // namespace ringps
