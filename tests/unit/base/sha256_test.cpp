#include "libps/base/sha256.hpp"

#include <catch2/catch.hpp>

using namespace ringps;

TEST_CASE("the digest of a text is that of FIPS 180-2, however the text is cut up") {
  const std::string expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(sha256_hex("abc") == expected);
  Sha256 sha256;
  sha256.update("a");
  sha256.update("");
  sha256.update("bc");
  CHECK(sha256.hex() == expected);
}

TEST_CASE("a digest is 64 lower-case hexadecimal digits") {
  CHECK(is_sha256_hex(sha256_hex("")));
  CHECK_FALSE(is_sha256_hex(""));
  CHECK_FALSE(is_sha256_hex(std::string(63, 'a')));
  CHECK_FALSE(is_sha256_hex(std::string(64, 'g')));
  CHECK_FALSE(is_sha256_hex(std::string(64, 'A')));
}
