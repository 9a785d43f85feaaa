// The connections to the servers of a view: one DEALER each, kept as long as the server stays. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>
#include <zmq.hpp>

#include "libps/net/event_loop.hpp"
#include "libps/net/socket.hpp"
#include "libps/ring/view.hpp"

namespace ringps {

class Peers {
 public:
  /// Both outlive it.
  Peers(zmq::context_t& context, EventLoop& loop, Queues queues);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  /// Connects to those that are new and lets go of those that are gone. `self`: is not connected to.
  void follow(const View& view, std::string_view self = "");
  /// `server`: index in the view.
  void send(std::uint32_t server, Message message);
  /// The next message from any of them, if one is there.
  bool receive(Message& message, const OnMalformed& on_malformed);
  /// Those whose connection has broken since the last call; it is taken up again by itself.
  std::vector<ServerMember> take_broken();

 private:
  /// What the event loop has seen of a peer.
  struct News {
    bool ready = false;   ///< something may be there to receive
    bool broken = false;  ///< the connection was, since somebody asked
  };
  struct Peer {
    ServerMember server;
    std::unique_ptr<DealerSocket> socket;  ///< null: this very server
    std::shared_ptr<News> news;
  };

  void let_go(const Peer& peer);

  zmq::context_t& context_;
  EventLoop& loop_;
  const Queues queues_;
  Epoch epoch_;
  std::vector<Peer> peers_;  ///< as in the view
};

}  // namespace ringps
