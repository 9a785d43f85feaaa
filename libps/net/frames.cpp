#include "libps/net/frames.hpp"

#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "libps/base/value_memory.hpp"
#include "libps/wire/codec.hpp"

namespace ringps {
namespace {

zmq::message_t payload_frame(const Payload& payload) {
  if (payload.size() < large_value_bytes_min) {
    return {payload.data(), payload.size()};
  }
  // ZeroMQ lets go of it on any thread, at any time: the frame holds its own share.
  auto* share = new Payload(payload);
  return {const_cast<std::byte*>(payload.data()), payload.size(),
          [](void*, void* hint) { delete static_cast<Payload*>(hint); }, share};
}

bool send_frames(zmq::socket_t& socket, const Route* route, const std::string& header, const Payload* payload,
                 const std::optional<LentPlace>& place) {
  constexpr auto dontwait = zmq::send_flags::dontwait;
  constexpr auto more = zmq::send_flags::dontwait | zmq::send_flags::sndmore;
  try {
    if (route != nullptr && !socket.send(zmq::buffer(*route), more)) {
      return false;
    }
    if (!socket.send(zmq::buffer(header), payload != nullptr ? more : dontwait)) {
      return false;
    }
    // A multipart message that has begun is taken whole.
    if (place) {
      return socket.send(zmq::message_t(), more) && socket.send(zmq::buffer(&*place, sizeof *place), dontwait);
    }
    return payload == nullptr || socket.send(payload_frame(*payload), dontwait);
  } catch (const zmq::error_t& error) {
    if (error.num() == EHOSTUNREACH || error.num() == EAGAIN) {
      return false;
    }
    throw;
  }
}

std::span<const std::byte> bytes_of(const zmq::message_t& frame) {
  return {static_cast<const std::byte*>(frame.data()), frame.size()};
}

/// The payload of a message whose frames begin at index `first`.
Result<Payload> payload_of(Frames& frames, std::size_t first, MemoryLink* link) {
  if (frames.count == first + 2) {
    auto owner = std::make_shared<zmq::message_t>(std::move(frames.frame[first + 1]));
    const std::span bytes = bytes_of(*owner);
    return Payload(std::move(owner), bytes);
  }
  if (link == nullptr || !frames.frame[first + 1].empty()) {
    return Error{"a payload that lies in shared memory, from somebody who shares none, or beside another one"};
  }
  return link->borrow(bytes_of(frames.frame[first + 2]));
}

}  // namespace

bool send_message(zmq::socket_t& socket, const Route* route, const Message& message, MemoryLink* link) {
  const Kind kind = std::visit([]<class T>(const T&) { return T::kind; }, message.body);
  thread_local std::string header;  // its memory is used again
  encode_header(message, header);
  const std::optional<LentPlace> place = link == nullptr ? std::nullopt : link->lend(message.payload);
  const bool sent = send_frames(socket, route, header, carries_values(kind) ? &message.payload : nullptr, place);
  if (place && !sent) {
    link->take_back(*place);
  }
  return sent;
}

bool receive_frames(zmq::socket_t& socket, Frames& frames) {
  frames.count = 0;
  zmq::message_t excess;
  for (;;) {
    zmq::message_t& into = frames.count < frames.frame.size() ? frames.frame[frames.count] : excess;
    if (!socket.recv(into, zmq::recv_flags::dontwait)) {
      return false;
    }
    ++frames.count;
    if (!into.more()) {
      return true;
    }
  }
}

Result<void> decode_frames(Frames& frames, std::size_t first, MemoryLink* link, Message& message) {
  const std::size_t count = frames.count - first;
  if (frames.count <= first || count > 3) {
    return Error{std::to_string(frames.count) +
                 " frames; a message has a header, at most one payload, and at most a place where that lies"};
  }
  const std::span header = bytes_of(frames.frame[first]);
  if (count == 1) {
    return decode(header, nullptr, message);
  }
  const auto payload = payload_of(frames, first, link);
  return payload ? decode(header, &*payload, message) : Error{payload.error()};
}

}  // namespace ringps
