#include "libps/net/event_loop.hpp"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/net/clock.hpp"

namespace ringps {

EventLoop::EventLoop(bool busy_poll) : epoll_(epoll_create1(EPOLL_CLOEXEC)), busy_poll_(busy_poll) {
  check(epoll_ >= 0, "epoll works");
}

EventLoop::~EventLoop() {
  close(epoll_);
}

void EventLoop::add(PolledSocket& socket, Handler on_ready) {
  add(Entry{socket.descriptor(), &socket, std::move(on_ready)});
}

void EventLoop::add(int descriptor, Handler on_ready) {
  add(Entry{descriptor, nullptr, std::move(on_ready)});
}

void EventLoop::add(Entry entry) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = entry.descriptor;
  check(epoll_ctl(epoll_, EPOLL_CTL_ADD, entry.descriptor, &event) == 0, "a descriptor can be waited for, once");
  entries_.push_back(std::make_shared<Entry>(std::move(entry)));
}

void EventLoop::remove(const PolledSocket& socket) {
  remove(socket.descriptor());
}

void EventLoop::remove(int descriptor) {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [&](const auto& entry) { return entry->descriptor == descriptor; });
  if (at != entries_.end()) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
    entries_.erase(at);
  }
}

/// epoll_wait, after a moment of looking again and again: a core that goes to sleep takes longer to wake up than a
/// small message takes to come. Only while nobody else wants the core, and where that has lately been of use.
int EventLoop::wait(std::span<epoll_event> events, int milliseconds) {
  constexpr Duration patience = std::chrono::microseconds(100);
  constexpr Duration others_turn = std::chrono::microseconds(5);  // a yield that takes longer has let others run
  constexpr std::uint32_t misses_max = 255;
  const auto poll = [&](int timeout) {
    return epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
  };
  if (milliseconds == 0 || !busy_poll_ || skip_ > 0) {
    skip_ -= skip_ > 0 ? 1 : 0;
    return poll(milliseconds);
  }
  if (const int count = poll(0); count != 0) {
    return count;
  }
  const Time start = now();
  for (Time before = start; before - start < patience;) {
    sched_yield();
    if (const int count = poll(0); count != 0) {
      misses_ /= 2;
      return count;
    }
    const Time after = now();
    if (after - before > others_turn) {
      break;
    }
    before = after;
  }
  misses_ = std::min(2 * misses_ + 1, misses_max);
  skip_ = misses_;
  return poll(milliseconds);
}

void EventLoop::wait_until(Time deadline) {
  ready_.clear();
  for (const auto& entry : entries_) {
    if (entry->socket != nullptr && entry->socket->ready()) {
      ready_.push_back(entry);
    }
  }
  const Duration left =
      std::max(deadline == time_never ? Duration(std::chrono::hours(1)) : deadline - now(), Duration(0));
  // Rounded up: waking a little late is fine, waking early and spinning is not.
  const auto milliseconds = ready_.empty() ? std::chrono::ceil<std::chrono::milliseconds>(left).count() : 0;
  std::array<epoll_event, 64> events{};  // more than that are told the next time
  const int count = wait(events, static_cast<int>(milliseconds));
  check(count >= 0 || errno == EINTR, "an epoll descriptor can be waited for");
  for (int i = 0; i < count; ++i) {
    const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) {
      return entry->descriptor == events[static_cast<std::size_t>(i)].data.fd;
    });
    if (at == entries_.end() || std::find(ready_.begin(), ready_.end(), *at) != ready_.end()) {
      continue;
    }
    if ((*at)->socket != nullptr) {
      (*at)->socket->may_have_changed();
    }
    ready_.push_back(*at);
  }
  for (const auto& entry : ready_) {
    if (entry->on_ready) {
      entry->on_ready();
    }
  }
}

namespace {

sigset_t signals_to_end() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void block_signals() {
  const sigset_t signals = signals_to_end();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

SignalDescriptor::SignalDescriptor() {
  const sigset_t signals = signals_to_end();
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  descriptor_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  check(descriptor_ >= 0, "signalfd works");
}

SignalDescriptor::~SignalDescriptor() {
  while (take() != 0) {  // it came too late to change how this ends
  }
  close(descriptor_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int SignalDescriptor::take() {
  signalfd_siginfo info{};
  return read(descriptor_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace ringps
