// SHA-256, of bytes as they come.
#pragma once

#include <sodium.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ringps {

class Sha256 {
 public:
  Sha256();

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }

  /// 64 lower-case hexadecimal digits. Ends the object: nothing may be called afterwards.
  std::string hex();

 private:
  crypto_hash_sha256_state state_{};
};

/// Of one text at once.
std::string sha256_hex(std::string_view text);

/// Whether `text` looks like what hex() returns.
bool is_sha256_hex(std::string_view text);

}  // namespace ringps
