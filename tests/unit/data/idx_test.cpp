#include "libps/data/idx.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <sstream>
#include <string>

#include "tests/unit/data/idx_files.hpp"

namespace ringps {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

const std::string two_images = idx({2, 1, 3}, "abcdef");

Result<IdxArray> read(const std::string& bytes, std::size_t dimensions = 3) {
  std::istringstream input(bytes);
  return read_idx(input, dimensions, "file");
}

std::string idx_error(const std::string& bytes, std::size_t dimensions = 3) {
  const auto array = read(bytes, dimensions);
  REQUIRE_FALSE(array);
  CHECK_THAT(array.error(), StartsWith("file: "));
  return array.error();
}

TEST_CASE("an IDX array reads the same plain, gzipped and gzipped in several members") {
  const std::string plain = two_images;
  for (const auto& bytes :
       {plain, gzipped(plain), gzipped(plain.substr(0, 7)) + gzipped("") + gzipped(plain.substr(7))}) {
    const auto array = read(bytes);
    REQUIRE(array);
    CHECK(array->shape == std::vector<std::uint32_t>{2, 1, 3});
    CHECK(std::string(array->values.begin(), array->values.end()) == "abcdef");
  }
}

TEST_CASE("any array of bytes comes back from its file") {
  CHECK(rc::check([] {
    const auto size =
        *rc::gen::oneOf(rc::gen::inRange<std::size_t>(0, 100), rc::gen::inRange<std::size_t>(60000, 200000));
    const auto seed = *rc::gen::inRange<std::size_t>(1, 100);
    std::string values(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
      values[i] = static_cast<char>(i * i / seed);
    }
    const auto plain = idx({static_cast<std::uint32_t>(size)}, values);
    const auto array = read(*rc::gen::element(plain, gzipped(plain)), 1);
    RC_ASSERT(array.ok());
    RC_ASSERT(std::string(array.value().values.begin(), array.value().values.end()) == values);
  }));
}

TEST_CASE("a truncated file is refused wherever it ends") {
  for (std::size_t length = 0; length < two_images.size(); ++length) {
    CHECK_THAT(idx_error(two_images.substr(0, length)), Contains("truncated"));
  }
  const std::string packed = gzipped(two_images);
  for (std::size_t length = 0; length < packed.size(); ++length) {
    idx_error(packed.substr(0, length));
  }
  CHECK_THAT(idx_error(packed.substr(0, packed.size() - 1)), Contains("truncated"));
}

TEST_CASE("a wrong magic number is refused and named") {
  CHECK_THAT(idx_error(idx({3}, "abc")), Contains("0x00000801") && Contains("0x00000803") && Contains("3 dimensions"));
  CHECK_THAT(idx_error("PK\x03\x04 not an IDX file"), Contains("magic number is 0x504b0304"));
}

TEST_CASE("anything behind the array is refused") {
  CHECK_THAT(idx_error(two_images + "x"), Contains("more behind the 6 bytes"));
  CHECK_THAT(idx_error(gzipped(two_images + "x")), Contains("more behind the 6 bytes"));
  CHECK_THAT(idx_error(gzipped(two_images) + gzipped("x")), Contains("more behind the 6 bytes"));
  CHECK_THAT(idx_error(gzipped(two_images) + "x"), Contains("not gzip behind the end"));
}

TEST_CASE("a corrupt gzip file is refused") {
  std::string packed = gzipped(two_images);
  packed[packed.size() - 8] ^= 1;  // the checksum
  CHECK_THAT(idx_error(packed), Contains("corrupt (incorrect data check)"));
  packed = gzipped(two_images);
  packed[2] = 9;  // the compression method
  CHECK_THAT(idx_error(packed), Contains("corrupt (unknown compression method)"));
}

TEST_CASE("a header that announces more than the limit is refused, and one that announces too much is not believed") {
  CHECK_THAT(idx_error(idx({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "")), Contains("limit"));
  CHECK_THAT(idx_error(idx({0, 1, 3}, "x")), Contains("more behind the 0 bytes"));
  CHECK_THAT(idx_error(idx({0x40000000}, "abc"), 1), Contains("announces 1073741824 bytes of values, 3 are there"));
}

TEST_CASE("random bytes are read or refused, never worse") {
  CHECK(rc::check([] {
    auto bytes = *rc::gen::arbitrary<std::string>();
    const auto prefix = *rc::gen::element<std::string>("", "\x1F\x8B\x08", big_endian(0x803), gzipped(two_images));
    std::istringstream input(prefix + bytes);
    const auto array = read_idx(input, 3, "file");
    RC_ASSERT((array.ok() || array.error().starts_with("file: ")));
  }));
}

}  // namespace
}  // namespace ringps
