// The server process: a shard behind a ROUTER socket.
#pragma once

#include <memory>
#include <optional>

#include "libps/core/shard.hpp"
#include "libps/net/control_link.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/net/peers.hpp"
#include "libps/net/socket.hpp"
#include "libps/role/role.hpp"
#include "services/server/disk.hpp"

namespace ringps {

class Server {
 public:
  Server(const Job& job, RoleOptions options);

  Result<void> bind();
  /// Serves until the run is over; comes back under a new incarnation whenever it was removed. Returns the exit code.
  int run();

 private:
  /// One incarnation: what is lost when it is removed.
  struct Life {
    Life(Server& server, Incarnation incarnation);
    EventLoop loop{true};
    Shard shard;
    Disk disk;
    Peers peers;
    ControlLink link;
  };

  Ended live(Life& life);
  bool receive_some(Life& life);
  void tick(Life& life);
  void take_events(Life& life);
  void carry_out(Life& life);

  const Job& job_;
  const RoleOptions options_;
  SignalDescriptor signals_;  // before any thread starts
  zmq::context_t context_;
  RouterSocket router_;
  std::string endpoint_;
  Shard::Effects effects_;
  Message received_;  ///< its memory is used again
  std::optional<Ended> ended_;
  std::uint64_t malformed_ = 0;
  bool first_life_ = true;
};

}  // namespace ringps
