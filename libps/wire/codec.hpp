// The one codec: messages.hpp's structs to bytes and back. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "libps/base/result.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// The header frame of a message. Its payload, if the kind carries one, is the second frame as it stands.
std::string encode_header(const Message& message);
/// The same into a string whose memory is used again.
void encode_header(const Message& message, std::string& header);

/// The message of one or two frames. Refused, with words that say what is wrong: a wrong number of frames for the kind,
/// a foreign protocol version, an unknown kind, wrong types or numbers of fields, anything beyond limits.hpp, trailing
/// bytes, a plain payload that is not a whole number of floats. Never throws on bad bytes.
Result<Message> decode(std::span<const std::byte> header, const Payload* payload);
/// The same into a message whose memory is used again: one that held the same kind before costs no allocation. What is
/// left in it after an error is of no use.
Result<void> decode(std::span<const std::byte> header, const Payload* payload, Message& message);

/// A view alone, as it stands in the coordinator's journal.
std::string encode_view(const View& view);
Result<View> decode_view(std::string_view bytes);

}  // namespace ringps
