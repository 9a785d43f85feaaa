#include "services/psctl/socks.hpp"

#include <arpa/inet.h>
#include <spdlog/fmt/fmt.h>

#include <array>

namespace ringps::socks {
namespace {

constexpr unsigned char version = 5;
constexpr unsigned char no_authentication = 0;
constexpr unsigned char command_connect = 1;
enum AddressType : unsigned char { ipv4 = 1, name = 3, ipv6 = 4 };

unsigned char byte_at(std::string_view text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

std::string numeric(int family, const char* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return inet_ntop(family, bytes, text.data(), text.size()) != nullptr ? text.data() : "";
}

}  // namespace

Parsed parse_greeting(std::string_view received) {
  if (received.size() < 2) {
    return std::optional<std::size_t>{};
  }
  const std::size_t length = 2 + std::size_t{byte_at(received, 1)};
  if (byte_at(received, 0) != version) {
    return Error{fmt::format("expected a greeting of SOCKS 5, found version {}", byte_at(received, 0))};
  }
  if (received.size() < length) {
    return std::optional<std::size_t>{};
  }
  if (received.substr(2, length - 2).find(static_cast<char>(no_authentication)) == std::string_view::npos) {
    return Error{"the client insists on authentication"};
  }
  return std::optional(length);
}

Parsed parse_request(std::string_view received, Destination& destination) {
  constexpr std::size_t fixed = 4;  // version, command, nothing, type of the address
  constexpr std::size_t port_bytes = 2;
  if (received.size() < fixed + 1) {
    return std::optional<std::size_t>{};
  }
  if (byte_at(received, 0) != version || byte_at(received, 1) != command_connect) {
    return Error{fmt::format("expected a request to connect, found version {}, command {}", byte_at(received, 0),
                             byte_at(received, 1))};
  }
  const unsigned char type = byte_at(received, 3);
  const std::size_t skip = type == name ? fixed + 1 : fixed;
  const std::size_t address_bytes = type == ipv4 ? 4 : type == ipv6 ? 16 : byte_at(received, fixed);
  if (type != ipv4 && type != ipv6 && type != name) {
    return Error{fmt::format("unknown type of address: {}", type)};
  }
  const std::size_t length = skip + address_bytes + port_bytes;
  if (received.size() < length) {
    return std::optional<std::size_t>{};
  }
  const std::string address(received.substr(skip, address_bytes));
  destination.host = type == name ? address : numeric(type == ipv4 ? AF_INET : AF_INET6, address.data());
  destination.port = static_cast<std::uint16_t>(byte_at(received, length - 2) << 8U | byte_at(received, length - 1));
  return std::optional(length);
}

std::string endpoint_of(const Destination& destination) {
  const bool brackets = destination.host.find(':') != std::string::npos;
  return fmt::format("tcp://{}{}{}:{}", brackets ? "[" : "", destination.host, brackets ? "]" : "", destination.port);
}

}  // namespace ringps::socks
