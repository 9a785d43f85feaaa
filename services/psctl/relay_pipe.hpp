// One direction of a relayed connection: what has been read at one end and not yet been written at the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/storage/file.hpp"
#include "services/psctl/link_fault.hpp"

namespace ringps {

/// One end of a connection. The flags say what the kernel has announced and not yet taken back (EAGAIN).
struct RelayEnd {
  FileDescriptor socket;  ///< does not block
  bool readable = false;
  bool writable = false;
};

/// How many bytes may pass, at a rate that is reached on average.
class ByteBudget {
 public:
  /// Of `wanted` bytes, those that may pass now. 0: `later` says when to ask again.
  std::size_t allow(Time now, std::uint64_t bytes_per_second, std::size_t wanted, Time& later);
  void spend(std::size_t bytes) { saved_ -= static_cast<double>(bytes); }

 private:
  double saved_ = 0;  ///< bytes that may pass at `at_`
  Time at_;
};

class RelayPipe {
 public:
  /// Moves all that may be moved now. False: the connection is broken.
  bool pump(Time now, const LinkState& link, RelayEnd& source, RelayEnd& sink);
  /// When there will be more to move, though nothing happens at the sockets.
  Time next_deadline() const { return next_deadline_; }
  /// The source has ended, and the sink has been told.
  bool finished() const { return finished_; }

 private:
  struct Chunk {
    Time due;
    std::vector<char> bytes;
    std::size_t written = 0;
  };

  bool read(Time now, const LinkState& link, RelayEnd& source);
  bool write(Time now, const LinkState& link, RelayEnd& sink);

  std::deque<Chunk> chunks_;
  std::size_t queued_bytes_ = 0;
  ByteBudget budget_;
  Time next_deadline_ = time_never;
  bool ended_ = false;
  bool finished_ = false;
};

}  // namespace ringps
