// Who waits for a version of a shard's blocks, and what they are told.
#include <algorithm>
#include <cstring>
#include <utility>

#include "libps/core/bounds.hpp"
#include "libps/core/shard.hpp"

namespace ringps {
namespace {

/// Calls use(block, list, begin) for each block of a request for rows, with what precedes the list in `ids`, in rows.
template <class Blocks, class Use>
void for_each_list(const Payload& ids, const Blocks& blocks, const Use& use) {
  const std::byte* at = ids.data();
  std::size_t begin = 0;
  for (const auto block : blocks) {
    const RowList list(at, 0);
    use(block, list, begin);
    at += list.bytes();
    begin += list.count();
  }
}

}  // namespace

/// Of a request for the blocks that have just been located.
Shard::Waiter Shard::waiter_of(const Route& from, const Envelope& envelope, Iteration iteration,
                               const std::vector<BlockRun>& runs) {
  Waiter waiter;
  if (!waiters_free_.empty()) {  // its lists' memory is used again
    Waiter& answered = waiters_[waiters_free_.back()];
    waiter.runs = std::move(answered.runs);
    waiter.blocks = std::move(answered.blocks);
  }
  waiter.from = from;
  waiter.sender = envelope.sender;
  waiter.request = envelope.request;
  waiter.iteration = iteration;
  waiter.runs = runs;
  waiter.blocks = located_;
  return waiter;
}

void Shard::release(std::uint32_t waiter) {
  waiters_[waiter].ids = {};
  waiters_free_.push_back(waiter);
}

void Shard::wait(Waiter waiter, Effects& effects) {
  std::uint32_t index = static_cast<std::uint32_t>(waiters_.size());
  if (!waiters_free_.empty()) {
    index = waiters_free_.back();
    waiters_free_.pop_back();
    waiters_[index] = std::move(waiter);
  } else if (waiters_.size() < bounds::waiting_requests_max) {
    waiters_.push_back(std::move(waiter));
  } else {
    refuse(waiter.from, waiter.request, RefusalReason::overloaded, "too many requests wait for an iteration", effects);
    return;
  }
  waiters_[index].lacking = waiters_[index].blocks.size();
  if (advance(index, effects)) {
    release(index);
  } else {
    look_up_rows(waiters_[index]);
  }
}

/// Takes a request as far as it goes. Returns whether it is done with.
bool Shard::advance(std::uint32_t index, Effects& effects) {
  Waiter& waiter = waiters_[index];
  for (;;) {
    while (waiter.lacking > 0 && reached(blocks_[waiter.blocks[waiter.lacking - 1]], waiter)) {
      --waiter.lacking;
    }
    if (waiter.lacking > 0) {
      return !hang(index);
    }
    if (!answer(waiter, effects) || !waiter.follow || waiter.iteration >= job_.iterations) {
      return true;
    }
    waiter.iteration = waiter.iteration.next();
    waiter.lacking = waiter.blocks.size();
  }
}

/// Lets a request wait for the last block that it lacks; false if it is there already.
bool Shard::hang(std::uint32_t index) {
  Waiter& waiter = waiters_[index];
  Block& block = blocks_[waiter.blocks[waiter.lacking - 1]];
  // A repeated request replaces itself: the first one's connection may be gone. So does one that follows, when its
  // sender has begun anew.
  for (std::uint32_t at = block.first_waiter; at != none; at = waiters_[at].next) {
    Waiter& other = waiters_[at];
    if (other.sender != waiter.sender) {
      continue;
    }
    const bool follows_again = other.follow && waiter.follow && other.iteration == waiter.iteration;
    if (other.request == waiter.request || (follows_again && other.runs == waiter.runs)) {
      if (other.request <= waiter.request) {
        other.request = waiter.request;
        other.from = waiter.from;
      }
      return false;
    }
  }
  waiter.next = std::exchange(block.first_waiter, index);
  return true;
}

/// False if the version is no longer there.
bool Shard::answer(Waiter& waiter, Effects& effects) {
  if (!waiter.want_values) {
    reply(waiter.from, waiter.request, Ack{waiter.iteration}, {}, effects);
    return true;
  }
  if (job_.asynchronous()) {
    answer_newest(waiter, effects);
    return true;
  }
  const bool kept = std::all_of(waiter.blocks.begin(), waiter.blocks.end(), [&](Local local) {
    const Block& block = blocks_[local];
    return block.version == waiter.iteration ||
           (block.version.value == waiter.iteration.value + 1 && block.has_previous());
  });
  if (!kept) {
    refuse(waiter.from, waiter.request, RefusalReason::version_gone,
           "version " + std::to_string(waiter.iteration.value) + " is no longer kept", effects);
    return false;
  }
  if (waiter.ids.empty() && job_.compression.of_weights()) {
    const auto& [payload, format] = encoded(waiter);
    reply(waiter.from, waiter.request, Values{waiter.iteration, {}, format}, payload, effects);
    return true;
  }
  reply(waiter.from, waiter.request, Values{waiter.iteration},
        waiter.ids.empty() ? gather(waiter) : gather_rows(waiter), effects);
  return true;
}

Payload Shard::gather(const Waiter& waiter) {
  const auto buffer_of = [&](const Block& block) -> const BlockBuffer& {
    return block.version == waiter.iteration ? block.current : block.previous;
  };
  const auto bytes_of = [&](const Block& block) { return std::size_t{table_[block.id].elements} * sizeof(float); };
  if (waiter.blocks.size() == 1) {  // no copy
    const Block& block = blocks_[waiter.blocks.front()];
    return Payload::of(buffer_of(block), table_[block.id].elements);
  }
  if (gathered_.iteration == waiter.iteration && gathered_.runs == waiter.runs && !gathered_.payload.empty()) {
    return gathered_.payload;
  }
  std::size_t bytes = 0;
  for (const Local local : waiter.blocks) {
    bytes += bytes_of(blocks_[local]);
  }
  Buffer values = spare_.take(bytes / sizeof(float));
  auto* at = reinterpret_cast<std::byte*>(values.data());
  for (const Local local : waiter.blocks) {
    std::memcpy(at, buffer_of(blocks_[local]).data(), bytes_of(blocks_[local]));
    at += bytes_of(blocks_[local]);
  }
  gathered_.iteration = waiter.iteration;
  gathered_.runs = waiter.runs;
  gathered_.payload = Payload::of(values, values.size());
  spare_.give_back(std::move(values));
  return gathered_.payload;
}

/// Before it is answered, so that it is answered sooner.
void Shard::look_up_rows(Waiter& waiter) const {
  if (waiter.ids.empty() || !waiter.places.empty()) {
    return;
  }
  waiter.places.resize(waiter.ids.size() / sizeof(std::uint64_t) - waiter.blocks.size());
  for_each_list(waiter.ids, waiter.blocks, [&](Local local, const RowList& ids, std::size_t begin) {
    const Block& block = blocks_[local];
    const bool kept = waiter.slot < block.places.size();
    block.rows->look_up(
        ids, std::span(waiter.places).subspan(begin, ids.count()),
        kept ? std::span<const std::uint32_t>(block.places[waiter.slot]) : std::span<const std::uint32_t>{});
  });
}

/// The rows that are asked for, of the version that is; in asynchronous modes of what is committed.
Payload Shard::gather_rows(Waiter& waiter) {
  const auto is_previous = [&](const Block& block) {
    return job_.asynchronous() ? !block.committed : block.version != waiter.iteration;
  };
  look_up_rows(waiter);
  const auto width = [&](Local local) { return std::size_t{job_.tables[table_.table_of(blocks_[local].id)].width}; };
  std::size_t floats = 0;
  for_each_list(waiter.ids, waiter.blocks,
                [&](Local local, const RowList& ids, std::size_t) { floats += ids.count() * width(local); });
  Buffer values(floats);
  float* to = values.data();
  for_each_list(waiter.ids, waiter.blocks, [&](Local local, const RowList& ids, std::size_t begin) {
    Block& block = blocks_[local];
    const auto places = std::span(waiter.places).subspan(begin, ids.count());
    block.rows->read(ids.with_places(places), is_previous(block), reinterpret_cast<std::byte*>(to));
    to += ids.count() * width(local);
    if (waiter.slot != none) {
      block.places.resize(slices_.size());
      block.places[waiter.slot].assign(places.begin(), places.end());
    }
  });
  return Payload::of(values, values.size());
}

void Shard::reply(const Route& to, RequestId request, Body body, Payload payload, Effects& effects) const {
  Message message{
      {job_.cluster, Role::server, id_.value, incarnation_, view_.epoch, request}, std::move(body), std::move(payload)};
  effects.emplace_back(Reply{to, std::move(message)});
}

void Shard::refuse(const Route& to, RequestId request, RefusalReason reason, std::string text, Effects& effects) {
  ++counters_.refused;
  reply(to, request, Refused{reason, std::move(text)}, {}, effects);
}

}  // namespace ringps
