#include "libps/client/client.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "libps/base/check.hpp"
#include "libps/base/log.hpp"
#include "libps/core/worker_core.hpp"
#include "libps/net/clock.hpp"
#include "libps/net/control_link.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/net/peers.hpp"
#include "libps/net/socket.hpp"

namespace ringps {
namespace {

/// Whatever is urgent wakes a worker up, but for a race that it may begin; and to wake hundreds of workers of one
/// machine every now and then takes time from all of them.
constexpr Duration turn_interval_max = std::chrono::milliseconds(100);
constexpr Duration racer_turn_interval_max = std::chrono::milliseconds(20);

}  // namespace

struct Client::Connection {
  Connection(JobSpec job_in, const Options& options, Hooks hooks_in)
      : job(std::move(job_in)),
        hooks(std::move(hooks_in)),
        incarnation{unix_microseconds()},
        context(make_context()),
        peers(context, loop, bulk_queues(job.message_bytes)),
        core(job, options.id, incarnation),
        link(
            job,
            {Role::worker, options.id.value, incarnation, "", options.job_digest, static_cast<std::uint64_t>(getpid())},
            options.coordinator) {
    loop.add(signals.descriptor(), [this] { on_signal(); });
    loop.add(link.descriptor());
  }

  void on_signal() {
    if (signals.take() != 0 && !ended) {
      ended = Ended{RunState::interrupted, Ended::Why::run_over, "a signal has come"};
    }
  }

  void carry_out() {
    if (core.view().epoch != followed) {
      followed = core.view().epoch;
      peers.follow(core.view());
      if (hooks.on_view) {
        hooks.on_view(core.view());
      }
    }
    // Carrying an effect out causes no others, so the list can be walked in place and used again.
    for (ClientCore::Effect& effect : effects) {
      if (auto* send = std::get_if<ClientCore::Send>(&effect)) {
        peers.send(send->server, std::move(send->message));
      } else if (auto* reached = std::get_if<ClientCore::Reached>(&effect)) {
        if (hooks.on_weights) {
          hooks.on_weights(reached->weights);
        }
      } else {
        link.tell(Failed{std::get<ClientCore::GiveUp>(effect).text});
      }
    }
    effects.clear();
  }

  void receive_all() {
    const auto log_malformed = [this](const std::string& reason) {
      if (++malformed <= 10) {
        log::warn("an answer was not understood: {}", reason);
      }
    };
    while (peers.receive(received, log_malformed)) {
      core.on_message(now(), received, effects);
      received.payload = {};
      carry_out();
    }
    for (ControlLink::Event& event : link.take_events()) {
      if (auto* view = std::get_if<View>(&event)) {
        core.on_view(now(), *view, effects);
        carry_out();
      } else if (auto* heard = std::get_if<HeartbeatAnswer>(&event)) {
        if (hooks.on_heard) {
          hooks.on_heard(*heard);
        }
      } else if (!ended) {
        ended = std::get<Ended>(event);
      }
    }
  }

  void turn() {
    const Time at = now();
    if (at >= next_tick) {
      next_tick = at + (job.speculate ? racer_turn_interval_max : turn_interval_max);
      core.on_tick(at, effects);
      carry_out();
      link.set_waiting_for(core.waiting_for());
    }
    for (const ServerMember& server : peers.take_broken()) {
      link.tell(Suspect{server.id, server.incarnation});
    }
    link.turn(core.version(), core.view().restore.epoch, malformed);
    if (hooks.on_turn) {
      hooks.on_turn(at);
    }
  }

  const JobSpec job;
  const Hooks hooks;
  const Incarnation incarnation;
  SignalDescriptor signals;  // before any thread starts
  zmq::context_t context;
  EventLoop loop{true};
  Peers peers;
  WorkerCore core;
  ClientCore::Effects effects;
  Message received;  ///< its memory is used again
  Epoch followed;    ///< of the view that the peers are those of
  std::uint64_t malformed = 0;
  Time next_tick;
  std::optional<Ended> ended;
  ControlLink link;
};

Client::Client(JobSpec job, const Options& options, Hooks hooks)
    : connection_(std::make_unique<Connection>(std::move(job), options, std::move(hooks))) {}

Client::~Client() = default;

std::optional<Client::Task> Client::next() {
  Connection& c = *connection_;
  for (;;) {
    c.receive_all();
    c.turn();
    if (c.ended) {
      return std::nullopt;
    }
    while (const auto choice = c.core.next_choice()) {
      check(static_cast<bool>(c.hooks.choose_rows), "with tables somebody says which rows are needed");
      c.core.choose(now(), *choice, c.hooks.choose_rows(choice->iteration, choice->slice), c.effects);
      c.carry_out();
    }
    if (auto task = c.core.next_task()) {
      return task;
    }
    c.loop.wait_until(c.next_tick);
  }
}

void Client::contribute(const Task& task, std::shared_ptr<const Floats> gradient,
                        std::shared_ptr<const Floats> row_gradient) {
  connection_->core.contribute(now(), task, std::move(gradient), connection_->effects, std::move(row_gradient));
  connection_->carry_out();
}

std::vector<std::uint64_t> Client::staleness() const {
  return connection_->core.staleness();
}

const Traffic& Client::traffic() const {
  return connection_->core.traffic();
}

void Client::report(Progress progress) {
  connection_->link.send(std::move(progress));
}

void Client::fail(const std::string& text) {
  connection_->link.tell(Failed{text});
}

const std::optional<Ended>& Client::ended() const {
  return connection_->ended;
}

}  // namespace ringps
