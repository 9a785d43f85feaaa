#include "libps/wire/codec.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <set>

#include "libps/wire/limits.hpp"
#include "tests/unit/wire/any_message.hpp"

namespace ringps {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Payload payload_of(std::size_t floats) {
  return Payload::of(std::make_shared<const std::vector<float>>(floats, 0.5F));
}

bool takes_payload(const Message& message) {
  return std::visit([]<class T>(const T&) { return carries_values(T::kind); }, message.body);
}

Result<Message> decode_again(const Message& message, const Payload& payload) {
  return decode(bytes_of(encode_header(message)), takes_payload(message) ? &payload : nullptr);
}

TEST_CASE("every message comes out of the codec as it went in") {
  const Payload payload = payload_of(3);
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    CAPTURE(kind);
    CHECK(rc::check([&] {
      const Message message = any_message(kind);
      const auto decoded = decode_again(message, payload);
      RC_ASSERT(decoded.ok());
      RC_ASSERT(same(*decoded, message));
      RC_ASSERT(decoded->payload.size() == (takes_payload(message) ? 12U : 0U));
    }));
  }
}

TEST_CASE("a message that is decoded into another one leaves nothing of it") {
  const Payload payload = payload_of(3);
  CHECK(rc::check([&] {
    const auto kind = *rc::gen::inRange<std::size_t>(0, kinds);
    const Message message = any_message(kind);
    Message into = any_message(*rc::gen::element(kind, *rc::gen::inRange<std::size_t>(0, kinds)));
    into.payload = payload_of(5);
    const std::string header = encode_header(message);
    RC_ASSERT(decode(bytes_of(header), takes_payload(message) ? &payload : nullptr, into).ok());
    RC_ASSERT(same(into, message));
    RC_ASSERT(into.payload.size() == (takes_payload(message) ? 12U : 0U));
  }));
}

TEST_CASE("a header goes into a string that held another one") {
  std::string header(1000, 'x');
  const Message message{{}, Stop{RunState::completed, "all done"}, {}};
  encode_header(message, header);
  CHECK(header == encode_header(message));
}

TEST_CASE("numbers of kinds are distinct") {
  std::set<Kind> numbers;
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    std::visit([&]<class T>(const T&) { numbers.insert(T::kind); }, empty_body(kind));
  }
  CHECK(numbers.size() == kinds);
}

TEST_CASE("a whole number as a double comes out as it went in") {
  for (const double value : {0.0, 1.0, -1.0, 50.0, -3.0, 1e300, 0.1, -0.1}) {
    Message message;
    message.body = Progress{{}, {}, {}, {{Iteration{1}, value, value}}};
    const auto decoded = decode_again(message, {});
    REQUIRE(decoded.ok());
    CHECK(std::get<Progress>(decoded->body).evaluations.front().accuracy == value);
  }
}

TEST_CASE("a payload is handed on without a copy") {
  const Payload payload = payload_of(5);
  Message message;
  message.body = Values{Iteration{4}};
  const auto decoded = decode_again(message, payload);
  REQUIRE(decoded.ok());
  CHECK(decoded->payload.data() == payload.data());
}

TEST_CASE("a kind that carries values needs the second frame, and no other may have one") {
  const Payload payload = payload_of(1);
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    Message message;
    message.body = empty_body(kind);
    const auto decoded = decode(bytes_of(encode_header(message)), takes_payload(message) ? nullptr : &payload);
    REQUIRE_FALSE(decoded.ok());
    CHECK_THAT(decoded.error(), Catch::Contains("payload frame"));
  }
}

TEST_CASE("a header cut off at any byte is refused") {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    CHECK(rc::check([&] {
      const Message message = any_message(kind);
      const std::string whole = encode_header(message);
      const Payload payload = payload_of(1);
      for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto decoded =
            decode(bytes_of(std::string_view(whole).substr(0, length)), takes_payload(message) ? &payload : nullptr);
        RC_ASSERT(!decoded.ok());
      }
    }));
  }
}

TEST_CASE("any change of a header's bytes is refused or gives a message that encodes again") {
  CHECK(rc::check([] {
    const Message message = any_message(*rc::gen::inRange<std::size_t>(0, kinds));
    std::string bytes = encode_header(message);
    const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
    bytes[at] = static_cast<char>(*rc::gen::arbitrary<std::uint8_t>());
    const Payload payload = payload_of(1);
    const auto decoded = decode(bytes_of(bytes), takes_payload(message) ? &payload : nullptr);
    if (decoded) {
      RC_ASSERT(decode_again(*decoded, payload).ok());
    }
  }));
}

TEST_CASE("bytes after the end of a header are refused") {
  const Message message{{}, GetView{}, {}};
  const auto decoded = decode(bytes_of(encode_header(message) + '\0'), nullptr);
  REQUIRE_FALSE(decoded.ok());
  CHECK_THAT(decoded.error(), Catch::Contains("1 bytes after its end"));
}

TEST_CASE("a payload that is no whole number of floats, or too large, is refused") {
  const auto refused = [](std::size_t bytes) {
    const auto memory = std::make_shared<std::vector<std::byte>>(bytes);
    const Payload payload(memory, *memory);
    Message message;
    message.body = Values{Iteration{1}};
    return !decode(bytes_of(encode_header(message)), &payload).ok();
  };
  CHECK(refused(1));
  CHECK(refused(7));
  CHECK_FALSE(refused(limits::payload_bytes_max));
  CHECK(refused(limits::payload_bytes_max + 4));
  CHECK_FALSE(refused(0));
}

TEST_CASE("a view comes out of the journal's codec as it went in, and cut off it is refused") {
  CHECK(rc::check([] {
    View view;
    fill(view);
    const std::string bytes = encode_view(view);
    const auto decoded = decode_view(bytes);
    RC_ASSERT(decoded.ok());
    RC_ASSERT(*decoded == view);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      RC_ASSERT(!decode_view(std::string_view(bytes).substr(0, length)).ok());
    }
  }));
}

TEST_CASE("a view that gives a slice to a worker it does not have is refused") {
  View view;
  view.epoch = Epoch{1};
  view.servers = {{{"server0"}, Incarnation{1}, "here"}};
  view.settled_ring = {{{"server0"}, Incarnation{1}}};
  view.workers = {{{"worker0"}, Incarnation{1}}};
  view.slice_worker = {0, no_worker};
  CHECK(decode_view(encode_view(view)).ok());
  view.slice_worker = {0, 1};
  CHECK_FALSE(decode_view(encode_view(view)).ok());
}

TEST_CASE("a view without servers is refused, unless it is none at all") {
  CHECK(decode_view(encode_view(View{})).ok());
  View view;
  view.epoch = Epoch{1};
  CHECK_FALSE(decode_view(encode_view(view)).ok());
}

}  // namespace
}  // namespace ringps
