// The part of SOCKS 5 that ZeroMQ speaks as a client: no authentication, CONNECT. Source: RFC 1928. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libps/base/result.hpp"

namespace ringps::socks {

/// What a client has sent so far is either whole, then this says how many bytes it was; or more is to come; or an
/// error.
using Parsed = Result<std::optional<std::size_t>>;

/// The greeting: which ways to authenticate the client knows. An error unless "none" is among them.
Parsed parse_greeting(std::string_view received);

/// Where the client wants to go.
struct Destination {
  std::string host;  ///< a name, or an address without brackets
  std::uint16_t port = 0;
};

/// As ZeroMQ writes it: tcp://host:port, tcp://[host]:port.
std::string endpoint_of(const Destination& destination);

Parsed parse_request(std::string_view received, Destination& destination);

/// "No authentication, then."
inline constexpr std::string_view greeting_answer{"\x05\x00", 2};
/// "You are connected."
inline constexpr std::string_view connected_answer{"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10};

}  // namespace ringps::socks
