// A client of a relay's proxy, from its greeting on, and the connection that is led for it.
#pragma once

#include <array>
#include <string>

#include "services/psctl/relay_pipe.hpp"
#include "services/psctl/socks.hpp"

namespace ringps {

class RelayConnection {
 public:
  enum Side : std::size_t { client = 0, server = 1 };

  RelayConnection(FileDescriptor socket, std::string client_id);

  const std::string& client_id() const { return client_id_; }
  /// Where the client wants to go; empty until it has said so.
  const std::string& destination() const { return destination_; }
  /// What the faults make of the way to the server, and of the way back.
  void set_links(LinkState to_server, LinkState to_client) { links_ = {to_server, to_client}; }

  /// The kernel says that something may be done at a socket of it.
  void on_ready(Side side, bool readable, bool writable);
  /// Does all that can be done. False: it is over.
  bool advance(Time now);
  Time next_deadline() const;

  /// A socket that has to be watched from now on; -1: none.
  int take_new_socket() { return std::exchange(new_socket_, -1); }

 private:
  enum class State : std::uint8_t { greeted, asked, held, connecting, open };

  bool receive();
  bool answer(std::string_view text) const;
  bool greet();
  bool hear_request();
  bool client_is_there();
  void connect(Time now);
  bool finish_connect(Time now);
  void try_later(Time now);

  const std::string client_id_;
  std::array<RelayEnd, 2> ends_;
  std::array<RelayPipe, 2> pipes_;  ///< from the client, from the server
  std::array<LinkState, 2> links_;  ///< to the server, to the client
  State state_ = State::greeted;
  std::string received_;
  socks::Destination wanted_;
  std::string destination_;
  Time next_try_;  ///< while the server cannot be reached
  int new_socket_ = -1;
};

}  // namespace ringps
