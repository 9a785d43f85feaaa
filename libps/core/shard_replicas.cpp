// What goes between servers: a primary brings the replicas of its blocks up to date and keeps them so.
//
// After each change of the view the primary asks everybody whom the view gives its blocks to which versions they have
// (Compare). Holders, who are in the settled ring, are waited for; newcomers are not, beyond a moment. Whoever lacks a
// block is handed the whole of it (Handoff); while it is on its way the block does not move on, so that it arrives in
// sync. From then on the replica belongs to the block's chain, along which every reduced gradient goes (Replicate).
#include <algorithm>
#include <cstring>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/core/shard.hpp"

namespace ringps {
namespace {

/// How long a block waits for a newcomer's answer before it moves on without it.
constexpr Duration newcomer_patience = std::chrono::milliseconds(100);

}  // namespace

// ---- the primary: which versions have they? -------------------------------------------------------------------------

Shard::Replica& Shard::replica_of(Local local, std::uint32_t server) {
  auto& replicas = blocks_[local].replicas;
  const auto at = std::find_if(replicas.begin(), replicas.end(), [&](const Replica& r) { return r.server == server; });
  check(at != replicas.end(), "a peer's blocks are those that it is a replica of");
  return *at;
}

/// What was under way belongs to an epoch that is over.
void Shard::forget_replicas() {
  peers_.assign(view_.servers.size(), {});
  chains_.clear();
  chain_answered_.clear();
  batches_.clear();
  outstanding_.clear();
  unsynced_ = 0;
  told_ready_ = false;
  next_handoff_ = now_;
}

void Shard::ask_replicas(Effects& effects) {
  for (const Local local : owned_) {
    Block& block = blocks_[local];
    check(block.is_there(), "a primary has its blocks");
    block.replicating = false;
    if (block.made_in.value == 0) {  // what this server has restored is what holds
      block.made_in = view_.epoch;
    }
    for (Replica& replica : block.replicas) {
      replica.state = Replica::State::asking;
      peers_[replica.server].blocks.push_back(local);
      ++unsynced_;
    }
  }
  for (std::uint32_t server = 0; server < peers_.size(); ++server) {
    if (!peers_[server].blocks.empty()) {
      ask(server, effects);
    }
  }
  for (const Local local : owned_) {
    review(local, effects);
  }
  tell_if_ready(effects);
}

void Shard::ask(std::uint32_t server, Effects& effects) {
  Peer& peer = peers_[server];
  std::vector<BlockId> ids;
  bool newcomer = false;
  for (const Local local : peer.blocks) {
    ids.push_back(blocks_[local].id);
    newcomer = newcomer || !replica_of(local, server).holder;
  }
  peer.asked = last_ticket_ = last_ticket_.next();
  peer.ask_again = now_ + (newcomer ? newcomer_patience : job_.timeouts.request_timeout);
  to_server(server, Compare{peer.asked, table_.runs(ids)}, {}, effects);
}

void Shard::on_compared(std::uint32_t from, const Compared& compared, Effects& effects) {
  Peer& peer = peers_[from];
  if (compared.ticket != peer.asked || peer.asked.value == 0 || compared.versions.size() != peer.blocks.size() ||
      (job_.asynchronous() && compared.made_in.size() != peer.blocks.size())) {
    return;  // of an earlier question
  }
  peer.asked = {};
  peer.ask_again = time_never;
  for (std::size_t i = 0; i < peer.blocks.size(); ++i) {
    const Local local = peer.blocks[i];
    const Replica& replica = replica_of(local, from);
    const Iteration has = compared.versions[i];
    // Whoever is one version ahead was the primary, or took what the last primary sent: the bits are the same.
    const bool same = job_.asynchronous() ? same_state(blocks_[local], compared, i) : has >= blocks_[local].version;
    const bool in_sync = replica.state == Replica::State::asking && has != no_version && same;
    if (in_sync) {
      set_state(local, from, Replica::State::synced);
    } else if (replica.state == Replica::State::asking || replica.state == Replica::State::unknown) {
      set_state(local, from, Replica::State::behind);
      replica.holder ? peer.behind.push_front(local) : peer.behind.push_back(local);
    }
    review(local, effects);
  }
  hand_over(from, effects);
  tell_if_ready(effects);
  unpark(effects);
}

/// Asks again. Holders are waited for; a block does not wait for newcomers any longer.
void Shard::on_compare_timeout(std::uint32_t server, Effects& effects) {
  for (const Local local : peers_[server].blocks) {
    const Replica& replica = replica_of(local, server);
    if (replica.state == Replica::State::asking && !replica.holder) {
      set_state(local, server, Replica::State::unknown);
    }
  }
  ask(server, effects);
  peers_[server].ask_again = now_ + job_.timeouts.request_timeout;
  pass_gate(effects);
}

// ---- the primary: whole blocks --------------------------------------------------------------------------------------

/// Begins the next handoff to `server` if there is one to begin.
void Shard::hand_over(std::uint32_t server, Effects& effects) {
  Peer& peer = peers_[server];
  if (peer.handoff.value != 0 || peer.behind.empty()) {
    return;
  }
  const bool holders = replica_of(peer.behind.front(), server).holder;
  if (!holders && now_ < next_handoff_) {
    return;
  }
  std::size_t bytes = 0;
  while (!peer.behind.empty() && replica_of(peer.behind.front(), server).holder == holders) {
    const std::size_t block_bytes = handoff_bytes(blocks_[peer.behind.front()]);
    if (bytes != 0 && bytes + block_bytes > job_.message_bytes) {
      break;
    }
    bytes += block_bytes;
    set_state(peer.behind.front(), server, Replica::State::moving);
    peer.moving.push_back(peer.behind.front());
    peer.behind.pop_front();
  }
  peer.handoff = last_ticket_ = last_ticket_.next();
  peer.sent = now_;
  peer.send_again = now_ + (holders ? job_.timeouts.request_timeout : newcomer_patience);
  send_handoff(server, effects);
}

std::size_t Shard::handoff_bytes(const Block& block) const {
  return block.rows ? block.rows->state_bytes()
                    : (block.current.size() + (block.previous ? previous_floats(block.id) : 0)) * sizeof(float);
}

void Shard::send_handoff(std::uint32_t server, Effects& effects) {
  const Peer& peer = peers_[server];
  Handoff handoff{peer.handoff, {}};
  std::size_t bytes = 0;
  for (const Local local : peer.moving) {
    const Block& block = blocks_[local];
    handoff.blocks.push_back(
        {table_.runs({block.id}).front(), block.version, block.has_previous(), handoff_bytes(block), block.made_in});
    bytes += handoff_bytes(block);
  }
  Buffer values(bytes / sizeof(float));
  auto* to = reinterpret_cast<std::byte*>(values.data());
  for (const Local local : peer.moving) {
    const Block& block = blocks_[local];
    if (block.rows) {
      block.rows->write_state(to);
      to += block.rows->state_bytes();
      continue;
    }
    const auto write = [&](const BlockBuffer& buffer, std::size_t floats) {
      std::memcpy(to, buffer.data(), floats * sizeof(float));
      to += floats * sizeof(float);
    };
    write(block.current, block.current.size());
    if (block.previous) {
      write(block.previous, previous_floats(block.id));
    }
  }
  to_server(server, std::move(handoff), Payload::of(values, values.size()), effects);
}

void Shard::on_handoff_ack(std::uint32_t from, const HandoffAck& ack, Effects& effects) {
  Peer& peer = peers_[from];
  if (ack.ticket != peer.handoff || peer.handoff.value == 0) {
    return;  // given up
  }
  peer.handoff = {};
  peer.send_again = time_never;
  next_handoff_ = std::max(next_handoff_, now_ + (now_ - peer.sent));
  for (const Local local : std::exchange(peer.moving, {})) {
    set_state(local, from, Replica::State::synced);
    review(local, effects);
  }
  hand_over(from, effects);
  tell_if_ready(effects);
  unpark(effects);
}

void Shard::on_handoff_timeout(std::uint32_t server, Effects& effects) {
  Peer& peer = peers_[server];
  if (replica_of(peer.moving.front(), server).holder) {
    peer.send_again = now_ + job_.timeouts.request_timeout;
    send_handoff(server, effects);
    return;
  }
  // Training goes on; the newcomer gets these blocks later, in the version that they have then.
  peer.handoff = {};
  peer.send_again = time_never;
  next_handoff_ = now_ + newcomer_patience;
  for (const Local local : std::exchange(peer.moving, {})) {
    set_state(local, server, Replica::State::behind);
    peer.behind.push_back(local);
  }
  pass_gate(effects);
}

void Shard::set_state(Local local, std::uint32_t server, Replica::State state) {
  Replica& replica = replica_of(local, server);
  const auto out_of_sync = [](Replica::State s) { return s == Replica::State::synced ? std::size_t{0} : 1; };
  unsynced_ = unsynced_ + out_of_sync(state) - out_of_sync(replica.state);
  replica.state = state;
}

/// Something has changed with the block's replicas: who belongs to its chain, and whether its version is committed.
void Shard::review(Local local, Effects& effects) {
  Block& block = blocks_[local];
  std::vector<std::uint32_t> chain{self_};
  bool holders_synced = true;
  for (const Replica& replica : block.replicas) {
    if (replica.state == Replica::State::synced) {
      chain.push_back(replica.server);
    } else if (replica.holder) {
      holders_synced = false;
    }
  }
  if (chain.size() == 1) {
    block.chain = none;
  } else if (!block.replicating) {  // else once it has been answered
    const auto known = std::find(chains_.begin(), chains_.end(), chain);
    block.chain = static_cast<std::uint32_t>(known - chains_.begin());
    if (known == chains_.end()) {
      chains_.push_back(std::move(chain));
      batches_.emplace_back();
      chain_answered_.emplace_back();
    }
  }
  if (holders_synced && !block.committed && !block.replicating) {
    commit(local, effects);
  }
  if (complete(block)) {
    apply_block(local, effects);
  }
}

void Shard::tell_if_ready(Effects& effects) {
  if (unsynced_ == 0 && !view_.settled() && !std::exchange(told_ready_, true)) {
    effects.push_back(Tell{ReplicasReady{view_.epoch}});
  }
}

// ---- the primary: reduced gradients ---------------------------------------------------------------------------------

/// Where the reduced gradient of `elements` floats that makes version `iteration` of the block is to be written, for
/// its chain.
std::span<float> Shard::room_in_batch(Local local, Iteration iteration, std::size_t elements, Effects& effects) {
  const std::uint32_t chain = blocks_[local].chain;
  std::size_t elements_max = job_.message_bytes / sizeof(float);
  if (job_.tables.empty()) {
    elements_max = std::min(elements_max, table_.flat_elements());
  }
  const Batch& open = batches_[chain];
  const bool alike = open.slots == merged_ && (job_.asynchronous() || open.iteration == iteration);
  if (!open.blocks.empty() && (!alike || open.elements + elements > open.gradients.size())) {
    send_batch(chain, effects);
  }
  Batch& batch = batches_[chain];
  if (batch.blocks.empty()) {
    batch.iteration = iteration;
    batch.slots = merged_;
    batch.gradients = Buffer(std::max(elements_max, elements));
  }
  batch.blocks.push_back(local);
  const std::span<float> room = batch.gradients.values().subspan(batch.elements, elements);
  batch.elements += elements;
  return room;
}

/// Of the block that was the last to get some.
void Shard::take_back_room(std::uint32_t chain, std::size_t elements) {
  batches_[chain].blocks.pop_back();
  batches_[chain].elements -= elements;
}

void Shard::send_batch(std::uint32_t chain, Effects& effects) {
  last_ticket_ = last_ticket_.next();
  Batch batch = std::exchange(batches_[chain], {});
  const auto [at, added] = outstanding_.emplace(
      last_ticket_, Outstanding{std::move(batch), chain, RepeatTimer(now_, job_.timeouts.request_timeout)});
  send_outstanding(last_ticket_, at->second, effects);
}

/// Sends what the event has brought about.
void Shard::flush(Effects& effects) {
  for (std::uint32_t chain = 0; chain < batches_.size(); ++chain) {
    if (!batches_[chain].blocks.empty()) {
      send_batch(chain, effects);
    }
  }
}

void Shard::send_outstanding(RequestId ticket, const Outstanding& outstanding, Effects& effects) {
  std::vector<BlockId> ids;
  for (const Local local : outstanding.batch.blocks) {
    ids.push_back(blocks_[local].id);
  }
  const auto& chain = chains_[outstanding.chain];
  Replicate replicate{outstanding.batch.iteration, ticket, chain, 1, table_.runs(ids)};
  if (job_.asynchronous()) {  // else it is all slices, and one version
    for (const std::uint32_t slot : outstanding.batch.slots) {
      replicate.slices.push_back(slices_[slot]);
    }
    for (const Local local : outstanding.batch.blocks) {
      replicate.versions.push_back(blocks_[local].version);
    }
  }
  to_server(chain[1], std::move(replicate), Payload::of(outstanding.batch.gradients, outstanding.batch.elements),
            effects);
}

void Shard::on_replicate_ack(const ReplicateAck& ack, Effects& effects) {
  const auto at = outstanding_.find(ack.ticket);
  if (at == outstanding_.end()) {
    return;  // answered before, or of an earlier epoch
  }
  chain_answered_[at->second.chain] = now_;
  const std::vector<Local> blocks = std::move(at->second.batch.blocks);
  outstanding_.erase(at);
  for (const Local local : blocks) {
    blocks_[local].replicating = false;
    review(local, effects);
  }
}

// ---- both -----------------------------------------------------------------------------------------------------------

bool Shard::on_server_message(const Message& message, Effects& effects) {
  const std::uint32_t from = *view_.server_index(message.envelope.sender);
  if (const auto* replicate = std::get_if<Replicate>(&message.body)) {
    return on_replicate(from, message, *replicate, effects);
  }
  if (const auto* ack = std::get_if<ReplicateAck>(&message.body)) {
    on_replicate_ack(*ack, effects);
  } else if (const auto* compare = std::get_if<Compare>(&message.body)) {
    return on_compare(from, *compare, effects);
  } else if (const auto* compared = std::get_if<Compared>(&message.body)) {
    on_compared(from, *compared, effects);
  } else if (const auto* handoff = std::get_if<Handoff>(&message.body)) {
    return on_handoff(from, message, *handoff, effects);
  } else if (const auto* handed = std::get_if<HandoffAck>(&message.body)) {
    on_handoff_ack(from, *handed, effects);
  } else {
    return false;
  }
  return true;
}

void Shard::to_server(std::uint32_t server, Body body, Payload payload, Effects& effects) const {
  Message message{
      {job_.cluster, Role::server, id_.value, incarnation_, view_.epoch, {}}, std::move(body), std::move(payload)};
  effects.emplace_back(ToServer{server, std::move(message)});
}

void Shard::on_tick(Time now, Effects& effects) {
  now_ = now;
  for (std::uint32_t server = 0; server < peers_.size(); ++server) {
    if (now >= peers_[server].ask_again) {
      on_compare_timeout(server, effects);
    }
    if (now >= peers_[server].send_again) {
      on_handoff_timeout(server, effects);
    }
    hand_over(server, effects);
  }
  for (auto& [ticket, outstanding] : outstanding_) {
    if (outstanding.timer.is_due(now, chain_answered_[outstanding.chain])) {
      send_outstanding(ticket, outstanding, effects);
    }
  }
  flush(effects);
}

Time Shard::next_deadline() const {
  Time earliest = time_never;
  for (const Peer& peer : peers_) {
    earliest = std::min({earliest, peer.ask_again, peer.send_again,
                         peer.handoff.value == 0 && !peer.behind.empty() ? next_handoff_ : time_never});
  }
  for (const auto& [ticket, outstanding] : outstanding_) {
    earliest = std::min(earliest, outstanding.timer.deadline());
  }
  return earliest;
}

}  // namespace ringps
