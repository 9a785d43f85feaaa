// What the machine and ZeroMQ themselves can do, measured beside ringps in the same run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps::bench {

/// Bytes copied per second, 64 MiB at a time.
double memory_copy_rate();

/// Bytes of gradient per second in w -= lr * g over 64 MiB, the simplest optimizer in place.
double fused_step_rate();

/// Seconds of each of so many rounds that look `ids` random rows of a std::unordered_map of `rows` up, copy them out,
/// and look them up again to add to them: what a table's pull and push come to, on one thread and without any message.
/// Width 1 or 16.
std::vector<double> map_seconds(std::uint64_t rows, std::uint32_t width, std::uint64_t ids, std::uint64_t rounds);

/// Seconds of each of so many rounds of what a synchronous iteration of so many workers does to memory: their gradients
/// are summed, the sum is applied to the weights, and each worker gets a copy of these. On one thread, without a
/// message.
std::vector<double> sums_and_copies_seconds(std::size_t workers, std::size_t elements, std::size_t rounds);

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

/// Seconds of each round in which one client sends one message to each of so many servers over UNIX sockets, and waits
/// until all of them have come back.
Result<std::vector<double>> run_fan_out(std::size_t servers, std::size_t message_bytes, std::size_t rounds,
                                        const std::filesystem::path& scratch);

/// The ends, each a process of its own; they return its exit code. The server writes its endpoint to
/// `endpoint_descriptor`, and ends when its parent does.
int echo_server(const std::string& bind, int endpoint_descriptor);
int echo_client(const std::string& endpoint, std::size_t message_bytes, std::size_t messages, std::size_t rounds,
                const std::filesystem::path& result);
int fan_out_client(const std::vector<std::string>& endpoints, std::size_t message_bytes, std::size_t rounds,
                   const std::filesystem::path& result);

}  // namespace ringps::bench
