// Connections that are led through the relay, over loopback sockets at ports that the system chooses.
#include "services/psctl/relay.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <zmq.hpp>

#include "libps/net/clock.hpp"
#include "services/psctl/relay_pipe.hpp"

namespace ringps {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds relay_patience{20'000};

/// Somebody who listens.
class Listener {
 public:
  explicit Listener(zmq::context_t& context) : socket_(context, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.bind("tcp://127.0.0.1:0");
  }
  std::string endpoint() const { return socket_.get(zmq::sockopt::last_endpoint); }
  zmq::socket_t& socket() { return socket_; }

 private:
  zmq::socket_t socket_;
};

/// Somebody who connects through a proxy.
zmq::socket_t connected(zmq::context_t& context, const std::string& endpoint, const std::string& proxy) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::socks_proxy, proxy);
  socket.connect(endpoint);
  return socket;
}

void send(zmq::socket_t& socket, const std::string& text) {
  REQUIRE(socket.send(zmq::buffer(text), zmq::send_flags::dontwait));
}

std::string received(zmq::socket_t& socket) {
  zmq::pollitem_t item{socket.handle(), 0, ZMQ_POLLIN, 0};
  zmq::poll(&item, 1, relay_patience);
  zmq::message_t message;
  return socket.recv(message, zmq::recv_flags::dontwait) ? message.to_string() : "nothing came";
}

bool has_more(zmq::socket_t& socket) {
  zmq::pollitem_t item{socket.handle(), 0, ZMQ_POLLIN, 0};
  return zmq::poll(&item, 1, milliseconds(0)) > 0;
}

/// worker0 and worker1 are connected with server0, each through a proxy of its own.
struct Network {
  Network() {
    auto started = Relay::start();
    REQUIRE(started);
    relay = std::move(started).value();
    relay->name(server0.endpoint(), "server0");
    relay->name(server1.endpoint(), "server1");
    worker0 = connected(context, server0.endpoint(), *relay->proxy_for("worker0"));
    worker1 = connected(context, server1.endpoint(), *relay->proxy_for("worker1"));
    send(worker0, "hello");
    CHECK(received(server0.socket()) == "hello");
    settle();
  }

  /// What the relay was told before has happened, and what it had to move has been moved: it has served another
  /// connection since, there and back, twice.
  void settle() {
    for (const char* text : {"once", "twice"}) {
      send(worker1, text);
      CHECK(received(server1.socket()) == text);
      send(server1.socket(), text);
      CHECK(received(worker1) == text);
    }
  }

  zmq::context_t context{1};
  Listener server0{context};
  Listener server1{context};
  std::unique_ptr<Relay> relay;
  zmq::socket_t worker0;
  zmq::socket_t worker1;
};

LinkFault cut(const std::string& from, const std::string& to, bool one_way = false) {
  return {from, to, one_way, true, {}, 0};
}

TEST_CASE("a process has one proxy in all its lives, and others have theirs") {
  const auto relay = Relay::start();
  REQUIRE(relay);
  const auto first = (*relay)->proxy_for("worker0");
  REQUIRE(first);
  CHECK(*first == *(*relay)->proxy_for("worker0"));
  CHECK(*first != *(*relay)->proxy_for("worker1"));
}

TEST_CASE("what is sent through a cut comes when it is healed, in order, and the connection has not broken") {
  Network network;
  network.relay->set_faults({cut("workers", "server0")});
  network.settle();
  send(network.worker0, "first");
  send(network.worker0, "second");
  send(network.server0.socket(), "answer");
  network.settle();
  CHECK(!has_more(network.server0.socket()));
  CHECK(!has_more(network.worker0));
  network.relay->set_faults({});
  CHECK(received(network.server0.socket()) == "first");
  CHECK(received(network.server0.socket()) == "second");
  CHECK(received(network.worker0) == "answer");
}

TEST_CASE("a one-way cut lets the other direction through") {
  Network network;
  network.relay->set_faults({cut("worker0", "servers", true)});
  network.settle();
  send(network.worker0, "held");
  send(network.server0.socket(), "let through");
  CHECK(received(network.worker0) == "let through");
  CHECK(!has_more(network.server0.socket()));
  network.relay->set_faults({cut("server0", "worker0", true)});
  CHECK(received(network.server0.socket()) == "held");
}

TEST_CASE("a connection that is begun through a cut stands when it is healed") {
  Network network;
  network.relay->set_faults({cut("worker2", "all")});
  auto late = connected(network.context, network.server0.endpoint(), *network.relay->proxy_for("worker2"));
  network.worker0.close();
  network.settle();
  network.relay->set_faults({});
  send(late, "late");
  CHECK(received(network.server0.socket()) == "late");
}

TEST_CASE("the end of one side is told to the other, after the cut") {
  Network network;
  zmq::socket_t monitor(network.context, zmq::socket_type::pair);
  REQUIRE(zmq_socket_monitor(network.worker0.handle(), "inproc://monitor", ZMQ_EVENT_DISCONNECTED) == 0);
  monitor.connect("inproc://monitor");
  network.relay->set_faults({cut("all", "all")});
  network.relay->set_faults({cut("worker0", "server0")});
  network.settle();
  network.server0.socket().close();
  network.settle();
  CHECK(!has_more(monitor));
  network.relay->set_faults({});
  CHECK(received(monitor) != "nothing came");
}

TEST_CASE("a slow link delays what is sent, and limits how much") {
  Network network;
  network.relay->set_faults({{"worker0", "server0", true, false, milliseconds(50), 0}});
  network.settle();
  Time sent = now();
  send(network.worker0, "late");
  CHECK(received(network.server0.socket()) == "late");
  CHECK(now() - sent >= milliseconds(50));
  network.relay->set_faults({{"worker0", "server0", true, false, {}, 1'000'000}});
  network.settle();
  sent = now();
  send(network.worker0, std::string(120'000, 'x'));
  CHECK(received(network.server0.socket()).size() == 120'000);
  CHECK(now() - sent >= milliseconds(90));  // 100, less what had been saved
}

TEST_CASE("who is not there is tried again until he is") {
  zmq::context_t context(1);
  auto relay = Relay::start();
  REQUIRE(relay);
  std::string endpoint;
  {
    const Listener gone(context);
    endpoint = gone.endpoint();
  }
  auto client = connected(context, endpoint, *(*relay)->proxy_for("worker0"));
  zmq::socket_t server(context, zmq::socket_type::dealer);
  server.set(zmq::sockopt::linger, 0);
  const Time give_up = now() + relay_patience;
  for (bool bound = false; !bound;) {  // the system may take a moment to let go of the port
    REQUIRE(now() < give_up);
    bound = zmq_bind(server.handle(), endpoint.c_str()) == 0;
  }
  send(client, "at last");
  CHECK(received(server) == "at last");
}

TEST_CASE("a budget of bytes lets the rate pass on average, in pieces that are worth a call") {
  ByteBudget budget;
  const Time start = Time{} + std::chrono::hours(1);
  Time later;
  CHECK(budget.allow(start, 0, 12345, later) == 12345);
  std::size_t passed = 0;
  Time at = start;
  while (passed < 1'000'000) {
    const std::size_t allowed = budget.allow(at, 500'000, 1'000'000 - passed, later);
    budget.spend(allowed);
    passed += allowed;
    if (allowed == 0) {
      REQUIRE(later > at);
      at = later;
    }
  }
  CHECK(seconds(at - start) == Approx(2).margin(0.03));
}

TEST_CASE("faults of links mean processes and groups, and add up") {
  const std::vector<LinkFault> faults = {{"workers", "server1", false, false, milliseconds(10), 5000},
                                         {"worker0", "servers", true, false, milliseconds(20), 9000},
                                         {"coordinator", "all", true, true, {}, 0}};
  CHECK(state_of(faults, "worker0", "server1").delay == milliseconds(20));
  CHECK(state_of(faults, "worker0", "server1").bytes_per_second == 5000);
  CHECK(state_of(faults, "server1", "worker0").delay == milliseconds(10));
  CHECK(state_of(faults, "server0", "worker0").bytes_per_second == 0);
  CHECK(state_of(faults, "coordinator", "worker3").cut);
  CHECK(!state_of(faults, "worker3", "coordinator").cut);
  CHECK(heals("all", "all", faults[0]));
  CHECK(heals("servers", "workers", faults[0]));
  CHECK(!heals("server0", "workers", faults[0]));
  CHECK(!heals("server1", "worker0", faults[0]));
}

}  // namespace
}  // namespace ringps
