// SHA-256, of bytes as they come.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX; no consumer of this header needs OpenSSL's own

namespace ringps {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// By OpenSSL, which uses the processor's instructions for it.
class Sha256 {
 public:
  Sha256();

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }

  /// The digest of all that came since the object was made or began anew.
  Sha256Digest digest();
  /// The same as 64 lower-case hexadecimal digits.
  std::string hex();
  /// To be called after digest() or hex() before anything else may be.
  void begin_anew();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* state) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> state_;
};

/// Of one text at once.
Sha256Digest sha256_of(std::string_view text);
std::string sha256_hex(std::string_view text);

/// Whether `text` looks like what hex() returns.
bool is_sha256_hex(std::string_view text);

}  // namespace ringps
