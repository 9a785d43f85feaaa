// Messages as ZeroMQ carries them: a header, where there is a payload that or, if it lies in shared memory, an empty
// frame and the place; before all of them, at a ROUTER, the route.
#pragma once

#include <array>
#include <cstddef>
#include <zmq.hpp>

#include "libps/base/result.hpp"
#include "libps/core/shard.hpp"
#include "libps/net/memory_link.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// Sends the header and, where there is one, the payload, or where that lies in shared memory an empty frame and the
/// place. `route`: first frame, or null. `link`: to the same peer, or null. False: would block, or the route is gone.
bool send_message(zmq::socket_t& socket, const Route* route, const Message& message, MemoryLink* link = nullptr);

struct Frames {
  std::array<zmq::message_t, 4> frame;
  std::size_t count = 0;  ///< of all that came
};

/// All frames of the next message; those beyond the fourth are dropped but counted. False if none is there.
bool receive_frames(zmq::socket_t& socket, Frames& frames);

/// Decodes the frames from index `first` on. `link`: to the sender, or null.
Result<void> decode_frames(Frames& frames, std::size_t first, MemoryLink* link, Message& message);

}  // namespace ringps
