// Headers that no program of ours writes, packed by hand.
#include <catch2/catch.hpp>
#include <functional>
#include <msgpack.hpp>
#include <sstream>

#include "libps/wire/codec.hpp"
#include "libps/wire/limits.hpp"

namespace ringps {
namespace {

using Packer = msgpack::packer<std::ostringstream>;
using Write = std::function<void(Packer&)>;

std::string pack(const Write& write) {
  std::ostringstream out;
  Packer packer(out);
  write(packer);
  return out.str();
}

std::string why_refused(const std::string& header) {
  const auto decoded = decode(std::as_bytes(std::span(header)), nullptr);
  REQUIRE_FALSE(decoded.ok());
  return decoded.error();
}

Write number(std::uint64_t value) {
  return [value](Packer& out) { out.pack_uint64(value); };
}
Write text(const std::string& value) {
  return [value](Packer& out) { out.pack(value); };
}
Write list(std::vector<Write> entries) {
  return [entries = std::move(entries)](Packer& out) {
    out.pack_array(static_cast<std::uint32_t>(entries.size()));
    for (const Write& entry : entries) {
      entry(out);
    }
  };
}

/// Of a BlocksWritten without files; each test replaces one field.
std::vector<Write> good_fields() {
  return {number(protocol_version),
          number(static_cast<std::uint64_t>(Kind::blocks_written)),
          text("cluster"),
          number(1),
          text("server0"),
          number(7),
          number(2),
          number(3),
          number(50),
          number(2),
          number(2),
          list({})};
}

std::string header_with(std::size_t field, Write replacement) {
  auto fields = good_fields();
  fields[field] = std::move(replacement);
  return pack(list(fields));
}

TEST_CASE("the header that the tests below spoil is a good one") {
  const std::string header = pack(list(good_fields()));
  const auto decoded = decode(std::as_bytes(std::span(header)), nullptr);
  REQUIRE(decoded.ok());
  CHECK(std::get<BlocksWritten>(decoded->body).iteration == Iteration{50});
}

TEST_CASE("no bytes, and bytes that are no array, are refused") {
  why_refused("");
  why_refused("GET / HTTP/1.1\r\n\r\n");
  why_refused(pack(number(1)));
  why_refused(pack(text("hello")));
  why_refused(pack(list({})));
}

TEST_CASE("another protocol version is refused by name") {
  CHECK_THAT(why_refused(header_with(0, number(protocol_version + 1))), Catch::Contains("protocol version"));
  why_refused(header_with(0, text("1")));
}

TEST_CASE("an unknown kind is refused by its number") {
  CHECK_THAT(why_refused(header_with(1, number(200))), Catch::Contains("unknown kind 200"));
  why_refused(header_with(1, number(0)));
  why_refused(header_with(1, number(256)));
}

TEST_CASE("a field of another type is refused, whichever it is") {
  const Write others[] = {list({}),
                          list({number(1)}),
                          [](Packer& out) { out.pack_nil(); },
                          [](Packer& out) { out.pack_true(); },
                          [](Packer& out) { out.pack_double(0.5); },
                          [](Packer& out) { out.pack_int64(-1); }};
  for (std::size_t field = 0; field + 1 < good_fields().size(); ++field) {
    for (const Write& other : others) {
      why_refused(header_with(field, other));
    }
  }
  const std::size_t files = good_fields().size() - 1;
  why_refused(header_with(files, number(0)));
  why_refused(header_with(files, text("")));
  why_refused(header_with(files, list({number(1)})));
}

TEST_CASE("a field too few or too many is refused") {
  auto fields = good_fields();
  fields.pop_back();
  why_refused(pack(list(fields)));
  fields = good_fields();
  fields.push_back(number(0));
  why_refused(pack(list(fields)));
}

TEST_CASE("a number that does not fit its type is refused") {
  auto fields = good_fields();
  fields[1] = number(static_cast<std::uint64_t>(Kind::refused));
  fields.resize(8);
  fields.push_back(number(256));  // the reason has one byte
  fields.push_back(text(""));
  why_refused(pack(list(fields)));
}

TEST_CASE("a number may have any of msgpack's lengths, signed or not, as long as it is not negative and whole") {
  using namespace std::string_literals;
  const auto with_request = [](const std::string& number) {
    auto fields = good_fields();
    std::string header = pack(list({fields.begin(), fields.begin() + 7}));
    header[0] = static_cast<char>(0x90 | fields.size());
    return header + number + pack(list({fields.begin() + 8, fields.end()})).substr(1);
  };
  for (const std::string& seven : {"\x07"s, "\xcc\x07"s, "\xcd\0\x07"s, "\xce\0\0\0\x07"s, "\xcf\0\0\0\0\0\0\0\x07"s,
                                   "\xd0\x07"s, "\xd1\0\x07"s, "\xd2\0\0\0\x07"s, "\xd3\0\0\0\0\0\0\0\x07"s}) {
    const std::string header = with_request(seven);
    const auto decoded = decode(std::as_bytes(std::span(header)), nullptr);
    REQUIRE(decoded.ok());
    CHECK(decoded->envelope.request == RequestId{7});
  }
  for (const std::string& other : {"\xff"s, "\xd0\xff"s, "\xd1\xff\x07"s, "\xd2\x80\0\0\0"s, "\xd3\xff\0\0\0\0\0\0\0"s,
                                   "\xca\0\0\0\0"s, "\xcb\0\0\0\0\0\0\0\0"s, "\xc1"s}) {
    why_refused(with_request(other));
  }
}

TEST_CASE("a role that there is not is refused") {
  why_refused(header_with(3, number(4)));
}

TEST_CASE("names beyond their limit are refused") {
  const std::string longest(limits::name_bytes_max, 'x');
  for (const std::size_t field : {std::size_t{2}, std::size_t{4}}) {
    const std::string header = header_with(field, text(longest));
    CHECK(decode(std::as_bytes(std::span(header)), nullptr).ok());
    why_refused(header_with(field, text(longest + "x")));
  }
}

TEST_CASE("a text beyond its limit is refused") {
  auto fields = good_fields();
  fields[1] = number(static_cast<std::uint64_t>(Kind::failed));
  fields.resize(8);
  fields.push_back(text(std::string(limits::text_bytes_max, 'x')));
  const std::string header = pack(list(fields));
  CHECK(decode(std::as_bytes(std::span(header)), nullptr).ok());
  fields.back() = text(std::string(limits::text_bytes_max + 1, 'x'));
  why_refused(pack(list(fields)));
}

TEST_CASE("a header beyond its limit is refused before it is looked at") {
  CHECK_THAT(why_refused(std::string(limits::header_bytes_max + 1, '\x90')), Catch::Contains("at most"));
}

TEST_CASE("lengths that promise gigabytes are refused without the memory being asked for") {
  using namespace std::string_literals;
  for (const std::string& bomb : {"\xdd\xff\xff\xff\xff"s, "\xdf\xff\xff\xff\xff"s, "\xdb\xff\xff\xff\xff"s,
                                  "\xc6\xff\xff\xff\xff"s, "\xc9\xff\xff\xff\xff\x01"s}) {
    why_refused(bomb);
    why_refused("\x9b\x01"s + bomb);
  }
}

TEST_CASE("arrays within arrays without end are refused") {
  why_refused(std::string(limits::header_bytes_max, '\x91'));
}

TEST_CASE("maps, binary and extension types have no place in a header") {
  using namespace std::string_literals;
  for (const std::string& foreign : {"\x81\x01\x01"s, "\xc4\x01\x01"s, "\xd4\x01\x01"s}) {
    why_refused(foreign);
    for (std::size_t field = 0; field < good_fields().size(); ++field) {
      why_refused(header_with(field, [&](Packer& out) { out.pack_bin(1), out.pack_bin_body("x", 1); }));
    }
  }
}

TEST_CASE("a list with more entries than allowed is refused") {
  const std::vector<Write> entries(limits::list_entries_max + 1, number(0));
  why_refused(header_with(10, list(entries)));
}

}  // namespace
}  // namespace ringps
