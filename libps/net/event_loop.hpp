// Waits for sockets, file descriptors and deadlines, and calls whoever they belong to. One thread.
#pragma once

#include <sys/epoll.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/net/socket.hpp"

namespace ringps {

class EventLoop {
 public:
  using Handler = std::function<void()>;

  /// `busy_poll`: for loops that wait for answers to small messages: see wait().
  explicit EventLoop(bool busy_poll = false);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Wakes up when the socket may have something to receive, or takes what waits to be sent; then `on_ready` runs.
  /// Whoever owns the socket receives until nothing is there. It outlives its place here.
  void add(PolledSocket& socket, Handler on_ready = nullptr);
  void add(int descriptor, Handler on_ready = nullptr);
  void remove(const PolledSocket& socket);
  void remove(int descriptor);

  /// Waits until `deadline` at the latest, then runs the handlers of all that are ready.
  void wait_until(Time deadline);

 private:
  struct Entry {
    int descriptor;
    PolledSocket* socket;  ///< null: a plain descriptor
    Handler on_ready;
  };
  void add(Entry entry);
  int wait(std::span<epoll_event> events, int milliseconds);

  const int epoll_;
  const bool busy_poll_;
  std::uint32_t misses_ = 0;  ///< of busy polling, of late
  std::uint32_t skip_ = 0;    ///< waits without it
  std::vector<std::shared_ptr<const Entry>> entries_;
  std::vector<std::shared_ptr<const Entry>> ready_;  ///< scratch: a handler may add and remove entries
};

/// Leaves SIGINT and SIGTERM to the other threads from now on. For threads that may begin before there is a
/// SignalDescriptor.
void block_signals();

/// Blocks SIGINT and SIGTERM in this thread, and in those it starts from now on, and makes them readable instead.
class SignalDescriptor {
 public:
  SignalDescriptor();
  ~SignalDescriptor();
  SignalDescriptor(const SignalDescriptor&) = delete;
  SignalDescriptor& operator=(const SignalDescriptor&) = delete;

  int descriptor() const { return descriptor_; }
  /// The signal that has come, 0 if none.
  int take();

 private:
  int descriptor_;
  sigset_t before_{};
};

}  // namespace ringps
