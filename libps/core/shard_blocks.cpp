// A shard's blocks: from one version to the next, into checkpoints, and out as answers.
#include <algorithm>
#include <cstring>
#include <utility>

#include "libps/core/bounds.hpp"
#include "libps/core/shard.hpp"
#include "libps/optim/reduce.hpp"

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

// ---- from one version to the next -----------------------------------------------------------------------------------

bool Shard::complete(const Block& block) const {
  // With CheckpointRule::wait nobody passes a checkpoint before it is committed and the next one is named.
  const bool gated = job_.checkpoint.wait && block.version >= next_checkpoint_;
  const bool enough = job_.asynchronous() ? block.contributed != 0 : block.contributed == slices_.size();
  return enough && !gated && block.committed &&
         std::none_of(block.replicas.begin(), block.replicas.end(), [](const Replica& r) { return r.gates(); });
}

/// The optimizer's step to a block's next version.
const OptimizerStep& Shard::step_of(const Block& block) {
  if (job_.asynchronous()) {
    step_ = asynchronous_step(block);
  } else if (step_.iteration() != block.version.next()) {
    step_ = OptimizerStep(job_.optimizer, block.version.next());
  }
  return step_;
}

/// From contributions to the next version, in one pass over memory: the same arithmetic at the primary and at every
/// replica, whose one contribution is the reduced gradient. `keep`: where the reduced gradient goes; empty: nowhere.
void Shard::step(Block& block, std::span<const std::byte* const> contributions, float scale, std::span<float> keep) {
  const std::size_t elements = table_[block.id].elements;
  const Iteration iteration = block.version.next();
  const OptimizerStep& optimizer = step_of(block);
  // Nobody asks for the optimizer state of the version before: its values are set aside, and the rest is written anew
  // where it is. But a checkpoint or an answer may still read the buffer.
  const bool in_place = keeps_values_only() && block.current.is_sole_owner();
  BlockBuffer other = spare_.take(in_place ? elements : block.current.size());
  const std::span<float> current = block.current.values().first(model_floats(block.id));
  for (std::size_t begin = 0; begin < elements; begin += piece_elements) {
    const std::size_t count = std::min(piece_elements, elements - begin);
    const std::span<float> gradient = keep.empty() ? std::span(gradient_).first(count) : keep.subspan(begin, count);
    reduce(contributions, begin, scale, gradient);
    if (in_place) {
      std::copy_n(current.data() + begin, count, other.data() + begin);
      optimizer.apply_in_place(elements, begin, current, gradient, scratch_);
    } else {
      optimizer.apply(elements, begin, current, gradient, other.values().first(current.size()));
    }
  }
  if (!in_place) {
    advance_clocks(block, other.values().last(clock_floats()));
    std::swap(block.current, other);
  }
  spare_.give_back(std::exchange(block.previous, std::move(other)));
  block.version = iteration;
  block.made_in = view_.epoch;
  note_newest(block);
  ++counters_.blocks_applied;
}

/// The same for a block of a table, whose contributions are RowLists. `slots`: whose they are, if of one slice each.
void Shard::step_rows(Block& block, std::span<const std::byte* const> contributions,
                      std::span<const std::uint32_t> slots, float scale, Effects& effects) {
  const std::uint32_t table = table_.table_of(block.id);
  lists_.clear();
  for (const std::byte* list : contributions) {
    lists_.emplace_back(list, job_.tables[table].width);
  }
  for (std::size_t i = 0; i < slots.size() && !block.places.empty(); ++i) {
    if (const auto& places = block.places[slots[i]]; places.size() == lists_[i].count()) {
      lists_[i] = lists_[i].with_places(places);
    }
  }
  const std::size_t before = block.rows->size();
  if (job_.asynchronous()) {
    clocks_.resize(clock_floats());
    advance_clocks(block, clocks_);
    block.rows->step(lists_, scale, step_of(block), slowest_clock(clocks_), clocks_);
  } else {
    block.rows->step(lists_, scale, step_of(block));
  }
  rows_held_[table] += block.rows->size() - before;  // modulo 2^64: expired rows may have gone
  check_rows(table, effects);
  block.version = block.version.next();
  block.made_in = view_.epoch;
  note_newest(block);
  ++counters_.blocks_applied;
}

void Shard::recount_rows() {
  rows_held_.assign(job_.tables.size(), 0);
  for (const Block& block : blocks_) {
    if (block.rows) {
      rows_held_[table_.table_of(block.id)] += block.rows->size();
    }
  }
}

/// Ends the run if this server holds more rows of a table than it may.
void Shard::check_rows(std::uint32_t table, Effects& effects) {
  const TableSpec& spec = job_.tables[table];
  if (rows_held_[table] > spec.rows_per_server && !std::exchange(told_full_, true)) {
    effects.push_back(
        Tell{Failed{"table '" + spec.name + "' has " + std::to_string(rows_held_[table]) + " rows on " + id_.value +
                    ", and tables.rows_per_server allows " + std::to_string(spec.rows_per_server) +
                    ": allow more, add servers, or let rows expire (tables.expire_after)"}});
  }
}

void Shard::apply_block(Local local, Effects& effects) {
  Block& block = blocks_[local];
  Contribution* const contributions = &contributions_[local * slices_.size()];
  pointers_.clear();
  merged_.clear();
  for (std::uint32_t slot = 0; slot < slices_.size(); ++slot) {
    if (contributions[slot].values != nullptr) {
      pointers_.push_back(contributions[slot].values);
      merged_.push_back(slot);
    }
  }
  if (block.rows) {
    step_rows(block, pointers_, merged_, scale_, effects);
    if (block.chain != none) {
      const std::size_t floats = block.rows->reduced_bytes() / sizeof(float);
      const std::span<float> room = room_in_batch(local, block.version, floats, effects);
      block.rows->write_reduced(std::as_writable_bytes(room).data());
    }
  } else {
    const std::span<float> keep = block.chain == none
                                      ? std::span<float>{}
                                      : room_in_batch(local, block.version.next(), table_[block.id].elements, effects);
    step(block, pointers_, scale_, keep);
  }
  block.contributed = 0;
  for (std::size_t slot = 0; slot < slices_.size(); ++slot) {
    let_go(contributions[slot]);
  }
  if (block.chain == none) {
    commit(local, effects);
  } else {
    block.committed = false;
    block.replicating = true;
  }
}

/// All holders have the block's version: whoever waits for it is answered.
void Shard::commit(Local local, Effects& effects) {
  Block& block = blocks_[local];
  block.committed = true;
  hold_for_checkpoint(block, effects);
  for (std::uint32_t waiter = std::exchange(block.first_waiter, none); waiter != none;) {
    const std::uint32_t following = waiters_[waiter].next;
    if (advance(waiter, effects)) {
      release(waiter);
    }
    waiter = following;
  }
}

// ---- checkpoints ----------------------------------------------------------------------------------------------------

/// Keeps the block's buffer of the version that a checkpoint is due at, if it is committed and still there.
void Shard::hold_for_checkpoint(Block& block, Effects& effects) {
  for (const Iteration due : {next_checkpoint_, job_.iterations}) {
    if (block.held >= due || !(job_.asynchronous() ? has_passed(block, due) : has_committed(block, due))) {
      continue;
    }
    const bool is_current = job_.asynchronous() ? block.committed : block.version == due;
    if (!job_.asynchronous() && !is_current &&
        (block.version != due.next() || !block.has_previous() || (!block.rows && keeps_values_only()))) {
      continue;  // too late
    }
    block.held = due;
    auto& held = held_[due];
    if (block.rows) {
      held.push_back({block.id, {}, block.rows->snapshot(!is_current)});
    } else {
      held.push_back({block.id, is_current ? block.current : block.previous, {}});
    }
    if (held.size() == owned_.size()) {
      std::sort(held.begin(), held.end(), [](const auto& a, const auto& b) { return a.block < b.block; });
      effects.push_back(WriteCheckpoint{due, view_.restore.epoch, view_.owned_since, std::move(held)});
      held_.erase(due);
    }
  }
}

/// Keeps what is there already; says so where that is not enough.
void Shard::hold_all(Effects& effects) {
  bool missed = false;
  for (const Local local : owned_) {
    Block& block = blocks_[local];
    hold_for_checkpoint(block, effects);
    const bool passed = !job_.asynchronous() && block.version > next_checkpoint_;
    missed = missed || (passed && block.held < next_checkpoint_);
  }
  if (missed) {
    effects.push_back(Tell{CheckpointMissed{next_checkpoint_, view_.restore.epoch, newest_}});
  }
}

void Shard::on_checkpoint_begin(Time now, Iteration iteration, Epoch restore_epoch, Effects& effects) {
  if (restore_epoch != view_.restore.epoch || iteration <= next_checkpoint_ || !restored_) {
    return;
  }
  now_ = now;
  if (next_checkpoint_ != job_.iterations) {
    held_.erase(next_checkpoint_);  // superseded: the coordinator has given it up, or it is written
  }
  next_checkpoint_ = iteration;
  hold_all(effects);
  pass_gate(effects);
  flush(effects);
}

void Shard::pass_gate(Effects& effects) {
  for (const Local local : owned_) {
    if (complete(blocks_[local])) {
      apply_block(local, effects);
    }
  }
}

// ---- answers --------------------------------------------------------------------------------------------------------

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
    blocks_[local].rows->look_up(ids, std::span(waiter.places).subspan(begin, ids.count()));
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

// ---- what others may know -------------------------------------------------------------------------------------------

Iteration Shard::version() const {
  Iteration least = owned_.empty() ? view_.restore.iteration : blocks_[owned_.front()].version;
  for (const Local local : owned_) {
    least = std::min(least, blocks_[local].version);
  }
  return least;
}

std::string Shard::waiting_for() const {
  if (!restored_) {
    return view_.epoch.value == 0 ? "a view" : "its blocks from " + view_.restore.checkpoint;
  }
  const auto name = [&](std::uint32_t server) { return view_.servers[server].id.value; };
  for (const Local local : owned_) {
    const Block& block = blocks_[local];
    const std::string iteration = "iteration " + std::to_string(block.version.value + (block.committed ? 1 : 0));
    for (const Replica& replica : block.replicas) {
      if (replica.gates() && (block.contributed != 0 || !block.committed)) {
        return iteration + " waits for " + name(replica.server) +
               (replica.state == Replica::State::asking ? " to say which versions it has" : " to take a block over");
      }
    }
    if (block.replicating) {
      std::string chain;
      for (const std::uint32_t server : chains_[block.chain]) {
        chain += server == self_ ? "" : (chain.empty() ? "" : ", ") + name(server);
      }
      return iteration + " waits for the answer of its replicas: " + chain;
    }
    if (job_.asynchronous()) {
      if (block.first_waiter != none) {
        return slowest_slice(block);
      }
      continue;
    }
    if (block.contributed == 0) {
      continue;
    }
    for (std::size_t slot = 0; slot < slices_.size(); ++slot) {
      if (contributions_[local * slices_.size() + slot].values == nullptr) {
        const std::uint32_t worker = view_.slice_worker[slices_[slot].value];
        return iteration + " waits for slice " + std::to_string(slices_[slot].value) + " of " +
               (worker == no_worker ? "nobody" : view_.workers[worker].id.value);
      }
    }
    return iteration + " waits for checkpoint " + std::to_string(next_checkpoint_.value);
  }
  return {};
}

std::vector<Shard::Observed> Shard::observe() const {
  std::vector<Observed> observed;
  for (const Block& block : blocks_) {
    if (block.is_there()) {
      const auto values = [](const BlockBuffer& b) { return b ? b.values() : std::span<const float>{}; };
      observed.push_back({block.id, block.version, values(block.current), values(block.previous),
                          block.rows ? &*block.rows : nullptr, mine(block), block.committed, block.made_in});
    }
  }
  return observed;
}

}  // namespace ringps
