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

TEST_CASE("digests of nothing, of more than a block, and of a million bytes are those of FIPS 180-2") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("a digest is 64 lower-case hexadecimal digits") {
  CHECK(is_sha256_hex(sha256_hex("")));
  CHECK_FALSE(is_sha256_hex(""));
  CHECK_FALSE(is_sha256_hex(std::string(63, 'a')));
  CHECK_FALSE(is_sha256_hex(std::string(64, 'g')));
  CHECK_FALSE(is_sha256_hex(std::string(64, 'A')));
}
