#include "services/server/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "libps/base/log.hpp"
#include "libps/net/clock.hpp"

namespace ringps {
namespace {

/// Whatever is urgent wakes a server up.
constexpr Duration turn_interval_max = std::chrono::milliseconds(100);
constexpr int messages_per_turn_max = 256;

}  // namespace

Server::Server(const Job& job, RoleOptions options)
    : job_(job),
      options_(std::move(options)),
      context_(make_context()),
      router_(context_, bulk_queues(job.spec.message_bytes)) {}

Server::Life::Life(Server& server, Incarnation incarnation)
    : shard(server.job_.spec, {server.options_.id}, incarnation),
      disk(server.job_.spec, shard.table(), {server.options_.id}, incarnation,
           std::filesystem::path(server.options_.run_dir) / "checkpoints"),
      peers(server.context_, loop, bulk_queues(server.job_.spec.message_bytes)),
      link(server.job_.spec,
           {Role::server, server.options_.id, incarnation, server.endpoint_, server.job_.digest,
            static_cast<std::uint64_t>(getpid())},
           server.options_.coordinator) {}

Result<void> Server::bind() {
  auto endpoint = router_.bind(options_.bind, options_.advertise);
  if (!endpoint) {
    return Error{endpoint.error()};
  }
  endpoint_ = *endpoint;
  log::info("serves at {}", endpoint_);
  return {};
}

int Server::run() {
  for (;;) {
    Life life(*this, Incarnation{unix_microseconds()});
    const Ended ended = live(life);
    log::info("{}: {}", ended.why == Ended::Why::removed ? "removed from the cluster" : "ends", ended.text);
    if (ended.why != Ended::Why::removed) {
      return exit_code(ended);
    }
    first_life_ = false;  // drops what it holds and joins again
  }
}

Ended Server::live(Life& life) {
  ended_.reset();
  EventLoop& loop = life.loop;
  loop.add(router_);
  loop.add(life.link.descriptor());
  loop.add(life.disk.descriptor());
  loop.add(signals_.descriptor(), [&] {
    if (signals_.take() != 0) {
      ended_ = Ended{RunState::interrupted, Ended::Why::run_over, "a signal has come"};
    }
  });
  Time next_tick;
  while (!ended_) {
    const bool more = receive_some(life);
    take_events(life);
    life.link.turn(life.shard.newest(), life.shard.restore_epoch(), malformed_ + life.shard.counters().refused);
    for (const ServerMember& server : life.peers.take_broken()) {
      life.link.tell(Suspect{server.id, server.incarnation});
    }
    const Time at = now();
    if (at >= next_tick || at >= life.shard.next_deadline()) {
      next_tick = at + turn_interval_max;
      tick(life);
    }
    loop.wait_until(more ? at : std::min(next_tick, life.shard.next_deadline()));
  }
  const Shard::Counters& counters = life.shard.counters();
  log::info(
      "applied {} block versions; refused {} requests, answered {} stale ones, skipped {} duplicates, dropped {} "
      "malformed messages",
      counters.blocks_applied, counters.refused, counters.stale, counters.duplicates, malformed_);
  return *ended_;
}

void Server::tick(Life& life) {
  life.shard.on_tick(now(), effects_);
  carry_out(life);
  router_.collect_lent();
  life.link.set_waiting_for(life.shard.waiting_for());
}

/// False when nothing more is there.
bool Server::receive_some(Life& life) {
  const auto on_malformed = [this](const std::string& reason) {
    if (++malformed_ <= 10) {
      log::warn("refused a message: {}", reason);
    }
  };
  Route from;
  for (int i = 0; i < messages_per_turn_max; ++i) {
    if (life.peers.receive(received_, on_malformed)) {
      from.clear();
    } else if (!router_.receive(from, received_, on_malformed)) {
      return false;
    }
    life.shard.on_message(now(), from, received_, effects_);
    received_.payload = {};
    carry_out(life);
  }
  return true;
}

void Server::take_events(Life& life) {
  for (ControlLink::Event& event : life.link.take_events()) {
    if (auto* view = std::get_if<View>(&event)) {
      log::info("view {}: {}", view->epoch.value, view->cause);
      life.shard.on_view(now(), *view, effects_);
      life.peers.follow(life.shard.view(), options_.id);
    } else if (auto* heard = std::get_if<HeartbeatAnswer>(&event)) {
      if (heard->next_checkpoint.value != 0) {
        life.shard.on_checkpoint_begin(now(), heard->next_checkpoint, heard->restore_epoch, effects_);
      }
    } else if (!ended_) {
      ended_ = std::get<Ended>(event);
    }
    carry_out(life);
  }
  for (Disk::Done& done : life.disk.take_done()) {
    if (auto* written = std::get_if<Disk::Written>(&done)) {
      life.link.tell(std::move(written->report));
    } else if (auto* restored = std::get_if<Disk::Restored>(&done)) {
      life.shard.on_restored(now(), restored->restore_epoch, std::move(restored->states), effects_);
    } else if (const auto* failed = std::get_if<Disk::RestoreFailed>(&done)) {
      log::error("{}", failed->text);
      life.shard.on_restore_failed(failed->restore_epoch, failed->text, effects_);
    } else {
      const std::string text = std::get<Disk::Broken>(done).text;
      log::error("{}", text);
      life.link.tell(Failed{text});
    }
    carry_out(life);
  }
}

void Server::carry_out(Life& life) {
  // Executing an effect causes no others, so the list can be walked in place and used again.
  for (Shard::Effect& effect : effects_) {
    if (auto* reply = std::get_if<Shard::Reply>(&effect)) {
      if (const auto* refused = std::get_if<Refused>(&reply->message.body)) {
        log::debug("refused a request: {}", refused->text);
      }
      if (!reply->to.empty()) {
        router_.send(reply->to, reply->message);  // who does not read gets nothing, and asks again
      }
    } else if (auto* to_server = std::get_if<Shard::ToServer>(&effect)) {
      life.peers.send(to_server->server, std::move(to_server->message));
    } else if (auto* tell = std::get_if<Shard::Tell>(&effect)) {
      life.link.tell(std::move(tell->body));
    } else if (auto* write = std::get_if<Shard::WriteCheckpoint>(&effect)) {
      life.disk.start(std::move(*write));
    } else if (auto* restore = std::get_if<Shard::RestoreBlocks>(&effect)) {
      life.disk.start(std::move(*restore));
    } else {
      life.link.send(GetView{});
    }
  }
  effects_.clear();
  if (options_.kill_at != 0 && first_life_ && life.shard.newest().value >= options_.kill_at) {
    kill_oneself();
  }
}

}  // namespace ringps
