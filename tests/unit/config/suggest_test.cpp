#include "libps/config/suggest.hpp"

#include <array>
#include <catch2/catch.hpp>

namespace ringps::config_detail {

TEST_CASE("the edit distance counts insertions, deletions, substitutions and swaps") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("serevrs", "servers") == 1);
  CHECK(edit_distance("ca", "abc") == 3);  // the restricted kind: 2 without the restriction
}

TEST_CASE("the closest candidate is suggested, if any is close") {
  constexpr std::array<std::string_view, 4> candidates{"servers", "workers", "host", "replicas"};
  CHECK(closest("server", candidates) == "servers");
  CHECK(closest("wrokers", candidates) == "workers");
  CHECK(closest("hots", candidates) == "host");
  CHECK(closest("bananas", candidates).empty());
  CHECK(closest("", candidates).empty());
  CHECK(closest(std::string(1000, 's'), candidates).empty());
  CHECK(closest("x", std::array<std::string_view, 1>{"y"}).empty());
}

}  // namespace ringps::config_detail
