#include "tests/bench/ps_bench/yardsticks.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <zmq.hpp>

#include "libps/base/aligned.hpp"
#include "services/psctl/process.hpp"
#include "tests/bench/ps_bench/cluster.hpp"

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

/// Sends `values` as one message without a copy, or with one where that is cheaper, as ringps does.
void send_from(zmq::socket_t& socket, char* values, std::size_t bytes) {
  if (bytes < 16384) {
    socket.send(zmq::const_buffer(values, bytes));
  } else {
    socket.send(zmq::message_t(values, bytes, [](void*, void*) {}), zmq::send_flags::none);
  }
}

bool receives(zmq::socket_t& socket, std::size_t bytes) {
  zmq::message_t frame;
  return socket.recv(frame) && frame.size() == bytes;
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

template <std::size_t width>
std::vector<double> map_seconds_of(std::uint64_t rows, std::uint64_t ids, std::uint64_t rounds) {
  std::unordered_map<std::uint64_t, std::array<float, width>> table;
  table.reserve(rows);
  for (std::uint64_t n = 0; n < rows; ++n) {
    table[row_id(n)] = {};
  }
  std::vector<float> pulled(ids * width);
  const std::vector<float> gradient(ids * width, 1e-6F);
  std::vector<double> seconds;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    const auto chosen = random_ids(round, rows, ids);
    for (std::uint64_t i = 0; i < ids; ++i) {
      const auto& row = table[chosen[i]];
      std::copy(row.begin(), row.end(), &pulled[i * width]);
    }
    for (std::uint64_t i = 0; i < ids; ++i) {
      auto& row = table[chosen[i]];
      for (std::size_t e = 0; e < width; ++e) {
        row[e] -= gradient[i * width + e];
      }
    }
    seconds.push_back(seconds_since(start));
  }
  return seconds;
}

}  // namespace

std::vector<double> map_seconds(std::uint64_t rows, std::uint32_t width, std::uint64_t ids, std::uint64_t rounds) {
  return width == 1 ? map_seconds_of<1>(rows, ids, rounds) : map_seconds_of<16>(rows, ids, rounds);
}

double memory_copy_rate() {
  Floats from(memory_bytes / sizeof(float), 1.0F);
  Floats to(from.size(), 0.0F);
  return best_rate([&] { std::memcpy(to.data(), from.data(), memory_bytes); });
}

std::vector<double> sums_and_copies_seconds(std::size_t workers, std::size_t elements, std::size_t rounds) {
  constexpr std::size_t block = 1024;
  const std::vector<Floats> gradients(workers, Floats(elements, 1e-6F));
  std::vector<Floats> copies(workers, Floats(elements, 0.0F));
  Floats weights(elements, 0.0F);
  std::vector<double> seconds;
  for (std::size_t round = 0; round <= rounds; ++round) {
    const auto start = Clock::now();
    for (std::size_t begin = 0; begin < elements; begin += block) {
      const std::size_t end = std::min(begin + block, elements);
      std::array<float, block> sum{};
      for (const Floats& gradient : gradients) {
        for (std::size_t i = begin; i < end; ++i) {
          sum[i - begin] += gradient[i];
        }
      }
      for (std::size_t i = begin; i < end; ++i) {
        weights[i] -= 0.1F * sum[i - begin];
      }
    }
    for (Floats& copy : copies) {
      std::memcpy(copy.data(), weights.data(), elements * sizeof(float));
    }
    if (round > 0) {
      seconds.push_back(seconds_since(start));
    }
  }
  return seconds;
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
      send_from(socket, values.data() + m * message_bytes, message_bytes);
    }
    for (std::size_t m = 0; m < messages; ++m) {
      if (!receives(socket, message_bytes)) {
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

int fan_out_client(const std::vector<std::string>& endpoints, std::size_t message_bytes, std::size_t rounds,
                   const fs::path& result) {
  zmq::context_t context(1);
  std::vector<zmq::socket_t> sockets;
  for (const std::string& endpoint : endpoints) {
    sockets.push_back(socket_of(context, zmq::socket_type::dealer));
    sockets.back().connect(endpoint);
  }
  std::vector<char> values(message_bytes * sockets.size(), 'x');
  std::vector<double> seconds;
  for (std::size_t round = 0; round <= rounds; ++round) {
    const auto start = Clock::now();
    for (std::size_t s = 0; s < sockets.size(); ++s) {
      send_from(sockets[s], values.data() + s * message_bytes, message_bytes);
    }
    for (zmq::socket_t& socket : sockets) {
      if (!receives(socket, message_bytes)) {
        return 1;
      }
    }
    if (round > 0) {
      seconds.push_back(seconds_since(start));
    }
  }
  std::ofstream(result) << nlohmann::json(seconds);
  return 0;
}

namespace {

struct EchoServer {
  ChildProcess process;
  std::string endpoint;
};

Result<EchoServer> start_echo_server(const std::string& transport, const fs::path& scratch, const std::string& name) {
  const std::string bind = transport == "tcp" ? "tcp://127.0.0.1:0" : "ipc://" + (scratch / name).string() + ".sock";
  const fs::path log = scratch / (name + ".log");
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Error{"cannot make a pipe to the echo's server"};
  }
  auto server = ChildProcess::start({self().string(), "echo-server", bind}, log, ends[1]);
  close(ends[1]);
  std::string endpoint;
  for (char c = 0; server && read(ends[0], &c, 1) == 1 && c != '\n';) {
    endpoint += c;
  }
  close(ends[0]);
  if (endpoint.empty()) {
    return Error{"the echo's server does not start: see " + log.string()};
  }
  return EchoServer{std::move(*server), endpoint};
}

/// What a client has written, once it has ended.
Result<std::vector<double>> seconds_of(ChildProcess& client, const fs::path& log, const fs::path& result) {
  pollfd ended{client.descriptor(), POLLIN, 0};
  poll(&ended, 1, -1);
  if (client.reap() != ProcessExit{false, 0}) {
    return Error{"a client of the echo has failed: see " + log.string()};
  }
  std::ifstream in(result);
  return nlohmann::json::parse(in).get<std::vector<double>>();
}

}  // namespace

Result<std::vector<std::vector<double>>> run_echo(const Echo& echo, const fs::path& scratch) {
  const auto server = start_echo_server(echo.transport, scratch, "echo");
  if (!server) {
    return server.failure();
  }
  const fs::path log = scratch / "echo-client.log";
  std::vector<ChildProcess> clients;
  const auto result_of = [&](std::size_t c) { return scratch / fmt::format("echo-{}.json", c); };
  for (std::size_t c = 0; c < echo.clients; ++c) {
    auto client =
        ChildProcess::start({self().string(), "echo-client", server->endpoint, std::to_string(echo.message_bytes),
                             std::to_string(echo.messages), std::to_string(echo.rounds), result_of(c).string()},
                            log);
    if (!client) {
      return client.failure();
    }
    clients.push_back(std::move(*client));
  }
  std::vector<std::vector<double>> seconds;
  for (std::size_t c = 0; c < clients.size(); ++c) {
    auto of_client = seconds_of(clients[c], log, result_of(c));
    if (!of_client) {
      return of_client.failure();
    }
    seconds.push_back(std::move(*of_client));
  }
  return seconds;
}

Result<std::vector<double>> run_fan_out(std::size_t servers, std::size_t message_bytes, std::size_t rounds,
                                        const fs::path& scratch) {
  std::vector<EchoServer> started;
  const fs::path log = scratch / "fan-out-client.log";
  const fs::path result = scratch / "fan-out.json";
  std::vector<std::string> command = {self().string(), "fan-out-client", std::to_string(message_bytes),
                                      std::to_string(rounds), result.string()};
  for (std::size_t s = 0; s < servers; ++s) {
    auto server = start_echo_server("ipc", scratch, fmt::format("fan-out-{}", s));
    if (!server) {
      return server.failure();
    }
    command.push_back(server->endpoint);
    started.push_back(std::move(*server));
  }
  auto client = ChildProcess::start(command, log);
  if (!client) {
    return client.failure();
  }
  return seconds_of(*client, log, result);
}

}  // namespace ringps::bench
