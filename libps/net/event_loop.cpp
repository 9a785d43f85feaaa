#include "libps/net/event_loop.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "libps/base/check.hpp"
#include "libps/net/clock.hpp"

namespace ringps {

void EventLoop::add(zmq::socket_ref socket, Handler on_ready, std::function<bool()> wants_write) {
  items_.push_back({socket.handle(), 0, ZMQ_POLLIN, 0});
  entries_.push_back(std::make_shared<Entry>(Entry{std::move(on_ready), std::move(wants_write)}));
}

void EventLoop::add(int descriptor, Handler on_ready) {
  items_.push_back({nullptr, descriptor, ZMQ_POLLIN, 0});
  entries_.push_back(std::make_shared<Entry>(Entry{std::move(on_ready), nullptr}));
}

void EventLoop::remove(zmq::socket_ref socket) {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].socket == socket.handle()) {
      items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(i));
      entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }
}

void EventLoop::wait_until(Time deadline) {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const bool write = entries_[i]->wants_write && entries_[i]->wants_write();
    items_[i].events = static_cast<short>(write ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN);
  }
  const Duration left =
      std::max(deadline == time_never ? Duration(std::chrono::hours(1)) : deadline - now(), Duration(0));
  // Rounded up: waking a little late is fine, waking early and spinning is not.
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left);
  try {
    zmq::poll(items_, milliseconds);
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) {
      return;
    }
    throw;
  }
  ready_.clear();
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].revents != 0) {
      ready_.push_back(entries_[i]);
    }
  }
  for (const auto& entry : ready_) {
    entry->on_ready();
  }
}

SignalDescriptor::SignalDescriptor() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  descriptor_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  check(descriptor_ >= 0, "signalfd works");
}

SignalDescriptor::~SignalDescriptor() {
  close(descriptor_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int SignalDescriptor::take() {
  signalfd_siginfo info{};
  return read(descriptor_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace ringps
