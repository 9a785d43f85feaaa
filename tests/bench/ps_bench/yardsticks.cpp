#include "tests/bench/ps_bench/yardsticks.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <zmq.hpp>

#include "libps/base/aligned.hpp"
#include "services/psctl/process.hpp"

namespace ringps::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t memory_bytes = 64U << 20U;
constexpr int repeats = 5;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Bytes per second of the fastest of several runs.
template <class Work>
double best_rate(const Work& work) {
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    work();
    best = std::max(best, static_cast<double>(memory_bytes) / seconds_since(start));
  }
  return best;
}

zmq::socket_t socket_of(zmq::context_t& context, zmq::socket_type type) {
  zmq::socket_t socket(context, type);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::rcvhwm, 0);
  return socket;
}

fs::path self() {
  return fs::read_symlink("/proc/self/exe");
}

}  // namespace

double memory_copy_rate() {
  Floats from(memory_bytes / sizeof(float), 1.0F);
  Floats to(from.size(), 0.0F);
  return best_rate([&] { std::memcpy(to.data(), from.data(), memory_bytes); });
}

double fused_step_rate() {
  Floats gradient(memory_bytes / sizeof(float), 1.0F);
  Floats weights(gradient.size(), 0.0F);
  return best_rate([&] {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i] -= 0.1F * gradient[i];
    }
  });
}

int echo_server(const std::string& bind, int endpoint_descriptor) {
  zmq::context_t context(1);
  zmq::socket_t socket = socket_of(context, zmq::socket_type::router);
  socket.bind(bind);
  const std::string endpoint = socket.get(zmq::sockopt::last_endpoint) + "\n";
  if (write(endpoint_descriptor, endpoint.data(), endpoint.size()) < 0) {
    return 1;
  }
  close(endpoint_descriptor);
  for (zmq::message_t frame;;) {
    if (!socket.recv(frame)) {
      return 1;
    }
    socket.send(frame, frame.more() ? zmq::send_flags::sndmore : zmq::send_flags::none);  // moves the frame: no copy
  }
}

int echo_client(const std::string& endpoint, std::size_t message_bytes, std::size_t messages, std::size_t rounds,
                const fs::path& result) {
  zmq::context_t context(1);
  zmq::socket_t socket = socket_of(context, zmq::socket_type::dealer);
  socket.connect(endpoint);
  std::vector<char> values(message_bytes * messages, 'x');
  std::vector<double> seconds;
  for (std::size_t round = 0; round <= rounds; ++round) {
    const auto start = Clock::now();
    for (std::size_t m = 0; m < messages; ++m) {
      char* const at = values.data() + m * message_bytes;
      if (message_bytes < 16384) {  // as ringps does: a copy is cheaper than a reference
        socket.send(zmq::const_buffer(at, message_bytes));
      } else {
        socket.send(zmq::message_t(at, message_bytes, [](void*, void*) {}), zmq::send_flags::none);
      }
    }
    for (std::size_t m = 0; m < messages; ++m) {
      zmq::message_t frame;
      if (!socket.recv(frame) || frame.size() != message_bytes) {
        return 1;
      }
    }
    if (round > 0) {  // the first one is for warming up
      seconds.push_back(seconds_since(start));
    }
  }
  std::ofstream(result) << nlohmann::json(seconds);
  return 0;
}

Result<std::vector<std::vector<double>>> run_echo(const Echo& echo, const fs::path& scratch) {
  const std::string bind = echo.transport == "tcp" ? "tcp://127.0.0.1:0" : "ipc://" + (scratch / "echo.sock").string();
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    return Error{"cannot make a pipe to the echo's server"};
  }
  auto server = ChildProcess::start({self().string(), "echo-server", bind}, scratch / "echo-server.log", ends[1]);
  close(ends[1]);
  std::string endpoint;
  for (char c = 0; server && read(ends[0], &c, 1) == 1 && c != '\n';) {
    endpoint += c;
  }
  close(ends[0]);
  if (endpoint.empty()) {
    return Error{"the echo's server does not start: see " + (scratch / "echo-server.log").string()};
  }
  std::vector<ChildProcess> clients;
  const auto result_of = [&](std::size_t c) { return scratch / fmt::format("echo-{}.json", c); };
  for (std::size_t c = 0; c < echo.clients; ++c) {
    auto client =
        ChildProcess::start({self().string(), "echo-client", endpoint, std::to_string(echo.message_bytes),
                             std::to_string(echo.messages), std::to_string(echo.rounds), result_of(c).string()},
                            scratch / "echo-client.log");
    if (!client) {
      return client.failure();
    }
    clients.push_back(std::move(*client));
  }
  std::vector<std::vector<double>> seconds;
  for (std::size_t c = 0; c < clients.size(); ++c) {
    pollfd ended{clients[c].descriptor(), POLLIN, 0};
    poll(&ended, 1, -1);
    if (clients[c].reap() != ProcessExit{false, 0}) {
      return Error{"a client of the echo has failed: see " + (scratch / "echo-client.log").string()};
    }
    std::ifstream in(result_of(c));
    seconds.push_back(nlohmann::json::parse(in).get<std::vector<double>>());
  }
  return seconds;
}

}  // namespace ringps::bench
