// Waits for sockets, file descriptors and deadlines, and calls whoever they belong to. One thread.
#pragma once

#include <csignal>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>
#include <zmq.hpp>

#include "libps/base/time.hpp"

namespace ringps {

class EventLoop {
 public:
  using Handler = std::function<void()>;

  /// `on_ready` runs whenever the socket may have something to receive (or, if `wants_write()`, may take something).
  void add(zmq::socket_ref socket, Handler on_ready, std::function<bool()> wants_write = nullptr);
  void add(int descriptor, Handler on_ready);
  void remove(zmq::socket_ref socket);

  /// Waits until `deadline` at the latest, then runs the handlers of all that are ready.
  void wait_until(Time deadline);

 private:
  struct Entry {
    Handler on_ready;
    std::function<bool()> wants_write;
  };
  std::vector<zmq::pollitem_t> items_;
  std::vector<std::shared_ptr<const Entry>> entries_;
  std::vector<std::shared_ptr<const Entry>> ready_;  ///< scratch: a handler may add and remove entries
};

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
