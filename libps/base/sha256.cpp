#include "libps/base/sha256.hpp"

#include <openssl/evp.h>

#include <algorithm>

#include "libps/base/check.hpp"

namespace ringps {

void Sha256::Free::operator()(evp_md_ctx_st* state) const {
  EVP_MD_CTX_free(state);
}

Sha256::Sha256() : state_(EVP_MD_CTX_new()) {
  begin_anew();
}

void Sha256::begin_anew() {
  check(state_ && EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr) == 1, "OpenSSL has SHA-256");
}

void Sha256::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size()) == 1, "SHA-256 takes any bytes");
}

Sha256Digest Sha256::digest() {
  Sha256Digest digest{};
  check(EVP_DigestFinal_ex(state_.get(), digest.data(), nullptr) == 1, "SHA-256 ends once");
  return digest;
}

std::string Sha256::hex() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest()) {
    text += digits[byte >> 4U];
    text += digits[byte & 0xFU];
  }
  return text;
}

Sha256Digest sha256_of(std::string_view text) {
  thread_local Sha256 sha256;  // a ring hashes some thousand short names: making the object would take most of the time
  sha256.begin_anew();
  sha256.update(text);
  return sha256.digest();
}

std::string sha256_hex(std::string_view text) {
  Sha256 sha256;
  sha256.update(text);
  return sha256.hex();
}

bool is_sha256_hex(std::string_view text) {
  return text.size() == 2 * sizeof(Sha256Digest) &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace ringps
