#include "tests/sim/network.hpp"

#include <algorithm>
#include <memory>
#include <span>

#include "libps/wire/codec.hpp"
#include "tests/sim/story.hpp"
#include "tests/sim/world.hpp"

namespace ringps::sim {

Network::Connection& Network::connection(const Host& client, const Host& router) {
  Connection& found = connections_[{client.index, router.index}];
  found.client = client.index;
  found.router = router.index;
  return found;
}

Route Network::route_of(const Connection& connection, const Host& client) const {
  return client.name + "/" + std::to_string(client.life) + "/" + std::to_string(connection.generation);
}

Duration Network::delay() {
  const bool late = dice_.chance(manners_.straggler);
  return dice_.between(manners_.delay_usual / 4, late ? manners_.delay_max : manners_.delay_usual);
}

void Network::send_up(Host& from, Host& to, std::uint32_t to_life, const Message& message) {
  Connection& by = connection(from, to);
  const Route route = route_of(by, from);
  routes_[{to.index, route}] = {from.index, to.index};
  carry(&by, &by.up, from, to, to_life, route, message);
}

bool Network::send_down(Host& from, const Route& to, const Message& message) {
  const auto known = routes_.find({from.index, to});
  if (known == routes_.end()) {
    return false;
  }
  Connection& by = connections_[known->second];
  Host& client = world_.hosts()[by.client];
  if (!client.process || route_of(by, client) != to) {
    return false;
  }
  carry(&by, &by.down, from, client, client.life, {}, message);
  return true;
}

void Network::broadcast(Host& from, const Message& message) {
  for (Host& to : world_.hosts()) {
    if (to.process && to.subscribed && !dice_.chance(manners_.broadcast_loss)) {
      carry(nullptr, &broadcast_lines_[to.index], from, to, to.life, {}, message);
    }
  }
}

namespace {

Message through_codec(const Message& message) {
  const std::string header = encode_header(message);
  const bool values = std::visit([]<class T>(const T&) { return carries_values(T::kind); }, message.body);
  auto read = decode(std::as_bytes(std::span(header)), values ? &message.payload : nullptr);
  if (!read) {
    violated("the codec reads what it has written", read.error());
  }
  return std::move(*read);
}

}  // namespace

void Network::carry(Connection* connection, Line* line, const Host& from, Host& to, std::uint32_t to_life,
                    const Route& route, const Message& message) {
  ++messages_;
  if (world_.tells_story()) {
    world_.tell(from.label + " -> " + to.label + "  " + describe(message));
  }
  const bool cut = world_.now() < line->cut_until;
  const bool listening = to.process && to.life == to_life;
  if (!listening || (!manners_.ordered && (cut || dice_.chance(manners_.loss)))) {
    ++lost_;
    return;
  }
  // The codec takes a third of a run's time, so one run in four has it in between.
  const auto sent = std::make_shared<const Message>(world_.scenario().seed % 4 == 0 ? through_codec(message) : message);
  const std::uint32_t generation = connection != nullptr ? connection->generation : 0;
  const int copies = !manners_.ordered && dice_.chance(manners_.duplication) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    Time arrival = world_.now() + world_.pace(to, delay());
    if (manners_.ordered) {
      arrival = std::max({arrival, line->free, line->cut_until});
      line->free = arrival;
    }
    world_.after(to, arrival - world_.now(), [this, connection, generation, &to, route, sent] {
      if (connection == nullptr || connection->generation == generation) {
        to.process->on_message(route, *sent);
      } else {
        ++lost_;
      }
    });
  }
}

void Network::reconnect(Host& client, Host& router) {
  Connection& broken = connection(client, router);
  ++broken.generation;
  if (client.process && router.role == Role::server) {
    world_.after(client, delay(), [&client, name = router.name, incarnation = router.incarnation] {
      client.process->on_disconnected(name, incarnation);
    });
  }
}

void Network::cut(Host& a, Host& b, Time until) {
  cut_one_way(a, b, until);
  cut_one_way(b, a, until);
}

void Network::cut_one_way(Host& from, Host& to, Time until) {
  const auto cut = [&](Line& line) { line.cut_until = std::max(line.cut_until, until); };
  if (to.role != Role::worker && from.role != Role::coordinator) {
    cut(connection(from, to).up);
  }
  if (from.role != Role::worker && to.role != Role::coordinator) {
    cut(connection(to, from).down);
  }
  if (from.role == Role::coordinator) {
    cut(broadcast_lines_[to.index]);
  }
}

void Network::calm_down() {
  manners_.ordered = true;
  manners_.loss = manners_.duplication = manners_.broadcast_loss = manners_.straggler = 0;
}

}  // namespace ringps::sim
