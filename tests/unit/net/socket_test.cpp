#include "libps/net/socket.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <thread>

#include "libps/net/clock.hpp"
#include "libps/net/event_loop.hpp"
#include "tests/unit/net/support.hpp"

namespace ringps {
namespace {

/// Sends one message up and returns whether it came within a few seconds.
bool speaks(DealerSocket& dealer, RouterSocket& router) {
  dealer.send({{"test", Role::worker, "worker0", Incarnation{1}, {}, {}}, GetView{}, {}});
  const Time give_up = now() + std::chrono::seconds(10);
  EventLoop loop;
  loop.add(dealer);
  loop.add(router);
  Route from;
  for (Message message; now() < give_up;) {
    dealer.flush();
    loop.wait_until(now() + std::chrono::milliseconds(10));
    if (router.receive(from, message, none_expected)) {
      return true;
    }
  }
  return false;
}

TEST_CASE("a peer that leaves at the moment at which we let go of it does not stop our other sockets") {
  zmq::context_t ours = make_context();
  zmq::context_t theirs = make_context();
  for (int round = 0; round < 100; ++round) {
    auto router = std::make_unique<RouterSocket>(theirs, control_queues);
    const auto endpoint = router->bind("tcp://127.0.0.1:0");
    REQUIRE(endpoint.ok());
    auto dealer = std::make_unique<DealerSocket>(ours, *endpoint, control_queues);
    REQUIRE(speaks(*dealer, *router));
    std::thread leaves([&] { router.reset(); });
    dealer.reset();
    leaves.join();
  }
}

TEST_CASE("others are told an address, not a name that each of them would have to look up") {
  zmq::context_t context = make_context();
  RouterSocket router(context, control_queues);
  const auto endpoint = router.bind("tcp://127.0.0.1:0", "localhost");
  REQUIRE(endpoint.ok());
  CHECK_THAT(*endpoint, Catch::StartsWith("tcp://127.0.0.1:"));
}

TEST_CASE("a name that stands for no address cannot be advertised") {
  zmq::context_t context = make_context();
  RouterSocket router(context, control_queues);
  const auto endpoint = router.bind("tcp://127.0.0.1:0", "no such host");
  REQUIRE_FALSE(endpoint.ok());
  CHECK_THAT(endpoint.error(), Catch::Contains("'no such host'"));
}

}  // namespace
}  // namespace ringps
