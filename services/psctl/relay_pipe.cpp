#include "services/psctl/relay_pipe.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace ringps {
namespace {

constexpr std::size_t chunk_bytes = 64U << 10U;
constexpr std::size_t queued_bytes_max = 256U << 10U;
/// What is on its way through a slow link; beyond it the sender waits, as it does for any full link.
constexpr std::size_t delayed_bytes_max = 8U << 20U;

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

Duration duration_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

std::size_t ByteBudget::allow(Time now, std::uint64_t bytes_per_second, std::size_t wanted, Time& later) {
  if (bytes_per_second == 0) {
    saved_ = 0;
    at_ = now;
    return wanted;
  }
  const auto rate = static_cast<double>(bytes_per_second);
  const double saved_max = std::max(rate * 0.02, 1500.0);
  const double quantum = std::min({static_cast<double>(wanted), std::max(rate * 0.005, 1.0), saved_max});
  saved_ = std::min(saved_ + rate * seconds(now - at_), saved_max);
  at_ = now;
  if (saved_ < quantum) {
    later = now + duration_of((quantum - saved_) / rate) + std::chrono::microseconds(1);
    return 0;
  }
  return std::min(wanted, static_cast<std::size_t>(saved_));
}

bool RelayPipe::pump(Time now, const LinkState& link, RelayEnd& source, RelayEnd& sink) {
  next_deadline_ = time_never;
  if (link.cut || finished_) {
    return true;
  }
  return read(now, link, source) && write(now, link, sink);
}

bool RelayPipe::read(Time now, const LinkState& link, RelayEnd& source) {
  const std::size_t queue_max = link.delay > Duration{} ? delayed_bytes_max : queued_bytes_max;
  while (!ended_ && source.readable && queued_bytes_ < queue_max) {
    Chunk chunk{now + link.delay, std::vector<char>(chunk_bytes), 0};
    const ssize_t got = recv(source.socket.get(), chunk.bytes.data(), chunk.bytes.size(), MSG_DONTWAIT);
    if (got < 0) {
      source.readable = false;
      return would_block();
    }
    ended_ = got == 0;
    chunk.bytes.resize(static_cast<std::size_t>(got));
    queued_bytes_ += chunk.bytes.size();
    chunks_.push_back(std::move(chunk));  // an empty one marks the end, which is late as well
  }
  return true;
}

bool RelayPipe::write(Time now, const LinkState& link, RelayEnd& sink) {
  while (!chunks_.empty()) {
    Chunk& chunk = chunks_.front();
    if (chunk.due > now) {
      next_deadline_ = chunk.due;
      return true;
    }
    const std::size_t left = chunk.bytes.size() - chunk.written;
    if (left > 0) {
      const std::size_t allowed = sink.writable ? budget_.allow(now, link.bytes_per_second, left, next_deadline_) : 0;
      if (allowed == 0) {
        return true;
      }
      const ssize_t sent =
          send(sink.socket.get(), chunk.bytes.data() + chunk.written, allowed, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) {
        sink.writable = false;
        return would_block();
      }
      chunk.written += static_cast<std::size_t>(sent);
      queued_bytes_ -= static_cast<std::size_t>(sent);
      budget_.spend(link.bytes_per_second == 0 ? 0 : static_cast<std::size_t>(sent));
    }
    if (chunk.written == chunk.bytes.size()) {
      chunks_.pop_front();
    }
  }
  if (ended_) {
    finished_ = true;
    shutdown(sink.socket.get(), SHUT_WR);
  }
  return true;
}

}  // namespace ringps
