#include "services/psctl/ask.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "libps/net/clock.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/net/socket.hpp"

namespace ringps {

Result<Message> ask(const std::string& endpoint, const std::string& cluster, const Body& question, Duration patience) {
  constexpr Duration repeat_interval = std::chrono::milliseconds(300);
  zmq::context_t context = make_context();
  EventLoop loop;
  std::optional<DealerSocket> socket;
  try {
    socket.emplace(context, endpoint, control_queues);
  } catch (const zmq::error_t& error) {
    return Error{
        fmt::format("'{}' is no endpoint ({}); expected tcp://HOST:PORT or ipc://PATH", endpoint, error.what())};
  }
  loop.add(*socket, [&] { socket->flush(); });
  const Incarnation incarnation{unix_microseconds()};
  const Time give_up = now() + patience;
  Time repeat = now();
  const Message message{{cluster, Role::control, "psctl", incarnation, {}, RequestId{1}}, question, {}};
  while (now() < give_up) {
    if (now() >= repeat) {
      repeat = now() + repeat_interval;
      if (!socket->has_unsent()) {
        socket->send(message);
      }
    }
    loop.wait_until(std::min(repeat, give_up));
    Message answer;
    if (socket->receive(answer, [](const std::string&) {})) {
      return answer;
    }
  }
  return Error{fmt::format("no coordinator answers at {} within {:.1f} s", endpoint, seconds(patience))};
}

}  // namespace ringps
