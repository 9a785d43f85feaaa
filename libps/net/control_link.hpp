// A member's connection to the coordinator, on a thread of its own: heartbeats are never behind a large message or a
// long computation. The data side puts in what it has to tell and takes out what it has to know.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>
#include <zmq.hpp>

#include "libps/core/member.hpp"
#include "libps/net/mailbox.hpp"

namespace ringps {

class ControlLink {
 public:
  using Event = std::variant<View, HeartbeatAnswer, Ended>;

  /// Starts to join at once. `job` outlives the link.
  ControlLink(const JobSpec& job, Member::Identity identity, std::string coordinator);
  /// Says farewell (Leave) and waits a moment until everything told has been heard.
  ~ControlLink();
  ControlLink(const ControlLink&) = delete;
  ControlLink& operator=(const ControlLink&) = delete;

  /// Readable while there are events.
  int descriptor() const { return events_.descriptor(); }
  std::vector<Event> take_events() { return events_.take_all(); }

  /// Until the coordinator has acknowledged it.
  void tell(Body body) { orders_.put({std::move(body), true}); }
  /// Once.
  void send(Body body) { orders_.put({std::move(body), false}); }

  /// One turn of the data loop: cheap enough for every one.
  void turn(Iteration iteration, Epoch restore_epoch, std::uint64_t refused) {
    turns_.fetch_add(1, std::memory_order_relaxed);
    refused_.store(refused, std::memory_order_relaxed);
    iteration_.store(iteration.value, std::memory_order_relaxed);
    restore_epoch_.store(restore_epoch.value, std::memory_order_release);  // after the iteration that it vouches for
  }
  /// In words, for status and logs; now and then.
  void set_waiting_for(std::string text);

 private:
  struct Order {
    Body body;
    bool reliable = false;
  };

  void run();
  Member::Activity activity();

  const JobSpec& job_;
  const Member::Identity identity_;
  const std::string coordinator_;

  Mailbox<Order> orders_;
  Mailbox<Event> events_;
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<std::uint64_t> iteration_{0};
  std::atomic<std::uint64_t> restore_epoch_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::mutex waiting_for_mutex_;
  std::string waiting_for_;
  std::atomic<bool> farewell_{false};
  std::thread thread_;  ///< last: it uses all the others
};

}  // namespace ringps
