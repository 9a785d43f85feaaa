// The simulated ZeroMQ: connections from DEALERs to ROUTERs, and the coordinator's broadcast. Every message goes
// through the real codec. With ordered manners a connection behaves as TCP does; with hostile ones nothing can be
// relied on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "libps/wire/messages.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/scenario.hpp"

namespace ringps::sim {

class World;

class Network {
 public:
  Network(World& world, const NetworkManners& manners, std::uint64_t seed)
      : world_(world), manners_(manners), dice_(seed, "network") {}

  /// From a DEALER to the ROUTER that `to` has in this very life of its process.
  void send_up(Host& from, Host& to, std::uint32_t to_life, const Message& message);
  /// From a ROUTER; false if nobody is connected there.
  bool send_down(Host& from, const Route& to, const Message& message);
  void broadcast(Host& from, const Message& message);

  /// Breaks the connection and makes a new one: what was on its way is lost.
  void reconnect(Host& client, Host& router);
  void cut(Host& a, Host& b, Time until);
  /// Nothing comes from `from` to `to`.
  void cut_one_way(Host& from, Host& to, Time until);
  /// From now on nothing is lost, doubled or late.
  void calm_down();

  std::uint64_t messages() const { return messages_; }
  std::uint64_t lost() const { return lost_; }

 private:
  /// One connection in one direction.
  struct Line {
    Time free;       ///< when the last message sent so far arrives
    Time cut_until;  ///< nothing arrives before
  };
  struct Connection {
    HostIndex client = 0;
    HostIndex router = 0;
    std::uint32_t generation = 0;
    Line up;
    Line down;
  };

  Connection& connection(const Host& client, const Host& router);
  Route route_of(const Connection& connection, const Host& client) const;
  void carry(Connection* connection, Line* line, const Host& from, Host& to, std::uint32_t to_life, const Route& route,
             const Message& message);
  Duration delay();

  World& world_;
  NetworkManners manners_;
  Dice dice_;
  std::map<std::pair<HostIndex, HostIndex>, Connection> connections_;              ///< by client and router
  std::map<std::pair<HostIndex, Route>, std::pair<HostIndex, HostIndex>> routes_;  ///< by router and route
  std::map<HostIndex, Line> broadcast_lines_;
  std::uint64_t messages_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace ringps::sim
