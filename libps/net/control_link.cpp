#include "libps/net/control_link.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "libps/base/log.hpp"
#include "libps/net/clock.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/net/socket.hpp"

namespace ringps {
namespace {

constexpr Duration farewell_timeout = std::chrono::seconds(1);

/// What the coordinator says again and again is passed on when it is new, and else seldom: whoever trains is not woken
/// up for every heartbeat, but may not have been able to use it the first time.
class Repetitions {
 public:
  bool is_to_be_passed_on(Time now, HeartbeatAnswer answer) {
    constexpr Duration interval = std::chrono::milliseconds(250);
    answer.timings_through = {};  // moves on all the time, and nobody is in a hurry to hear of it
    if (answer == passed_on_ && now - passed_on_at_ < interval) {
      return false;
    }
    passed_on_ = answer;
    passed_on_at_ = now;
    return true;
  }
  void begin_anew() { passed_on_.reset(); }

 private:
  std::optional<HeartbeatAnswer> passed_on_;
  Time passed_on_at_;
};

void log_malformed(const std::string& reason) {
  log::warn("a message from the coordinator was not understood: {}", reason);
}

}  // namespace

ControlLink::ControlLink(const JobSpec& job, Member::Identity identity, std::string coordinator)
    : job_(job), identity_(std::move(identity)), coordinator_(std::move(coordinator)), thread_([this] { run(); }) {}

ControlLink::~ControlLink() {
  farewell_.store(true);
  tell(Leave{});
  thread_.join();
}

void ControlLink::set_waiting_for(std::string text) {
  const std::lock_guard lock(waiting_for_mutex_);
  waiting_for_ = std::move(text);
}

Member::Activity ControlLink::activity() {
  const std::lock_guard lock(waiting_for_mutex_);
  const Epoch restore_epoch{restore_epoch_.load(std::memory_order_acquire)};
  return {turns_.load(std::memory_order_relaxed), Iteration{iteration_.load(std::memory_order_relaxed)}, restore_epoch,
          waiting_for_, refused_.load(std::memory_order_relaxed)};
}

void ControlLink::run() {
  // Of its own: heartbeats wait neither for large messages nor for a name server (ZeroMQ looks names up on the thread
  // that does all else of a context).
  zmq::context_t context = make_context();
  DealerSocket dealer(context, coordinator_, control_queues);
  dealer.set_linger(farewell_timeout);
  std::optional<SubscriberSocket> subscriber;
  std::string subscribed;
  EventLoop loop;
  Member member(job_, identity_);
  Member::Effects effects;
  Repetitions repetitions;
  bool ended = false;

  const auto carry_out = [&] {
    for (Member::Effect& effect : std::exchange(effects, {})) {
      if (auto* send = std::get_if<Member::Send>(&effect)) {
        dealer.send(std::move(send->message));
      } else if (auto* subscribe = std::get_if<Member::Subscribe>(&effect)) {
        if (std::exchange(subscribed, subscribe->endpoint) != subscribe->endpoint) {
          if (subscriber) {
            loop.remove(*subscriber);
          }
          subscriber.emplace(context, subscribed);
          loop.add(*subscriber);
        }
      } else if (auto* adopt = std::get_if<Member::Adopt>(&effect)) {
        repetitions.begin_anew();
        events_.put(std::move(adopt->view));
      } else if (auto* heard = std::get_if<Member::Heard>(&effect)) {
        if (repetitions.is_to_be_passed_on(now(), heard->answer)) {
          events_.put(heard->answer);
        }
      } else {
        ended = true;
        events_.put(std::get<Ended>(effect));
      }
    }
  };

  loop.add(dealer, [&] { dealer.flush(); });
  loop.add(orders_.descriptor());
  member.on_start(now(), effects);
  carry_out();
  Time give_up = time_never;
  for (;;) {
    loop.wait_until(std::min(member.next_deadline(), give_up));
    Message message;
    while (dealer.receive(message, log_malformed)) {
      member.on_message(now(), message, effects);
    }
    while (subscriber && subscriber->receive(message, log_malformed)) {
      member.on_message(now(), message, effects);
    }
    for (Order& order : orders_.take_all()) {
      order.reliable ? member.tell(now(), std::move(order.body), effects) : member.send(std::move(order.body), effects);
    }
    member.on_tick(now(), activity(), effects);
    carry_out();
    if (farewell_.load()) {
      give_up = give_up == time_never ? now() + farewell_timeout : give_up;
      if ((member.all_told() && orders_.empty()) || now() >= give_up) {
        return;
      }
    }
  }
}

}  // namespace ringps
