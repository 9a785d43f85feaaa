// A shard's blocks: from one version to the next, and into checkpoints.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "libps/core/shard.hpp"
#include "libps/optim/reduce.hpp"

namespace ringps {
namespace {

/// The reduced gradient where it is what has come, as at a replica; else nothing. What has come need not be aligned.
std::span<const float> as_reduced(std::span<const std::byte* const> contributions, float scale, std::size_t elements) {
  if (contributions.size() != 1 || scale != 1.0F ||
      reinterpret_cast<std::uintptr_t>(contributions.front()) % alignof(float) != 0) {
    return {};
  }
  return {reinterpret_cast<const float*>(contributions.front()), elements};
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
/// False: it is not finite, which with Finite::required leaves the block as it was.
bool Shard::step(Block& block, std::span<const std::byte* const> contributions, float scale, std::span<float> keep,
                 Finite finite) {
  const std::size_t elements = table_[block.id].elements;
  const Iteration iteration = block.version.next();
  const OptimizerStep& optimizer = step_of(block);
  // Nobody asks for the optimizer state of the version before: its values are set aside, and the rest is written anew
  // where it is. But a checkpoint or an answer may still read the buffer.
  const bool in_place = keeps_values_only() && block.current.is_sole_owner();
  // A sum is finite only if all that is in it is, and is looked at while it is in the nearest cache; what has been
  // changed in place cannot be taken back.
  const auto not_finite = [](const std::byte* values, std::size_t count) {
    return first_not_finite(values, count) != count;
  };
  if (finite == Finite::required && in_place &&
      std::any_of(contributions.begin(), contributions.end(),
                  [&](const std::byte* values) { return not_finite(values, elements); })) {
    return false;
  }
  BlockBuffer other = spare_.take(in_place ? elements : block.current.size());
  const std::span<float> current = block.current.values().first(model_floats(block.id));
  const std::span<const float> as_it_came =
      keep.empty() ? as_reduced(contributions, scale, elements) : std::span<const float>{};
  for (std::size_t begin = 0; begin < elements; begin += piece_elements) {
    const std::size_t count = std::min(piece_elements, elements - begin);
    std::span<const float> gradient;
    if (as_it_came.empty()) {
      const std::span<float> sum = keep.empty() ? std::span(gradient_).first(count) : keep.subspan(begin, count);
      reduce(contributions, begin, scale, sum);
      gradient = sum;
    } else {
      gradient = as_it_came.subspan(begin, count);
    }
    if (in_place) {
      std::copy_n(current.data() + begin, count, other.data() + begin);
      optimizer.apply_in_place(elements, begin, current, gradient, scratch_);
    } else {
      optimizer.apply(elements, begin, current, gradient, other.values().first(current.size()));
    }
    if (finite == Finite::required && !in_place && not_finite(std::as_bytes(gradient).data(), count)) {
      spare_.give_back(std::move(other));
      return false;
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
  return true;
}

/// Lets go of the first contribution that is not finite, as if it had not come; who sent it is refused, now or when it
/// asks again. False: there is none, and their sum has outgrown what a float can hold.
bool Shard::drop_not_finite(Local local) {
  Block& block = blocks_[local];
  const auto& at = table_[block.id];
  for (std::size_t i = 0; i < pointers_.size(); ++i) {
    const std::size_t bad = first_not_finite(pointers_[i], at.elements);
    if (bad == at.elements) {
      continue;
    }
    if (not_finite_.slot != merged_[i]) {  // of a message with many such blocks, the first is named
      not_finite_ = {merged_[i], not_finite_text(block.version.next(), slices_[merged_[i]],
                                                 "tensor '" + table_.tensor(at.tensor).name + "': element " +
                                                     std::to_string(at.tensor_offset + bad))};
    }
    let_go(contributions_[local * slices_.size() + merged_[i]]);
    --block.contributed;
    return true;
  }
  return false;
}

/// The same as step() for a block of a table, whose contributions are RowLists. `slots`: whose they are, if of one
/// slice each.
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
    if (!step(block, pointers_, scale_, keep, Finite::required)) {
      if (drop_not_finite(local)) {
        if (block.chain != none) {
          take_back_room(block.chain, keep.size());
        }
        return;
      }
      step(block, pointers_, scale_, keep, Finite::no_matter);
    }
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
