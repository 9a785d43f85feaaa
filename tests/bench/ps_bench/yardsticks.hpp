// What the machine and ZeroMQ themselves can do, measured beside ringps in the same run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps::bench {

/// Bytes copied per second, 64 MiB at a time.
double memory_copy_rate();

/// Bytes of gradient per second in w -= lr * g over 64 MiB, the simplest optimizer in place.
double fused_step_rate();

/// Raw DEALER/ROUTER echo between processes: each client sends `messages` of `message_bytes` without a copy, waits for
/// all of them to come back, and does it again, `rounds` times.
struct Echo {
  std::string transport = "tcp";  ///< tcp or ipc
  std::size_t clients = 1;
  std::size_t message_bytes = 0;
  std::size_t messages = 1;
  std::size_t rounds = 1;
};

/// Seconds of each round of each client. `scratch`: a folder for sockets and results.
Result<std::vector<std::vector<double>>> run_echo(const Echo& echo, const std::filesystem::path& scratch);

/// The two ends, each a process of its own; they return its exit code. The server writes its endpoint to
/// `endpoint_descriptor`, and ends when its parent does.
int echo_server(const std::string& bind, int endpoint_descriptor);
int echo_client(const std::string& endpoint, std::size_t message_bytes, std::size_t messages, std::size_t rounds,
                const std::filesystem::path& result);

}  // namespace ringps::bench
