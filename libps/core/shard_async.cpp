// A shard's blocks in asynchronous modes (Consistency::ssp and asp).
//
// A contribution is applied when it comes: to the block whose clock of that slice is one behind it, once. While a step
// is on its way along the chain, others queue, at most one of each slice, and make up the next step together. A version
// is the number of such steps.
//
// Two primaries may make other steps of one number, because other contributions have come to them. So the identity of a
// version is (version, made_in): the view whose primary has made it. A view has one primary of a block, and it makes
// each version once. A replica with any other state than its primary's, even a newer one, is handed the primary's: what
// it loses has not been acknowledged, for that takes all holders, of whom the primary is one.
#include <algorithm>
#include <cstring>
#include <utility>

#include "libps/core/shard.hpp"

namespace ringps {

// ---- contributions --------------------------------------------------------------------------------------------------

/// Whether the block has all contributions of the slice before `iteration`, and not that one.
bool Shard::is_next(Local local, std::uint32_t slot, Iteration iteration) const {
  const Block& block = blocks_[local];
  return iteration == (job_.asynchronous() ? clock_at(clocks(block), slot) : block.version).next();
}

/// Whether contributions before `iteration` have not been applied yet.
bool Shard::is_ahead(const Block& block, SliceId slice, Iteration iteration) const {
  const std::uint32_t slot = slot_of_slice_[slice.value];
  return iteration > (job_.asynchronous() ? clock_at(clocks(block), slot) : block.version).next();
}

/// The step with the contributions of merged_: of the newest of their iterations. What a whole iteration would take
/// from the weights for itself (weight decay) is taken in as many parts as it has steps.
OptimizerStep Shard::asynchronous_step(const Block& block) const {
  Iteration iteration;
  for (const std::uint32_t slot : merged_) {
    iteration = std::max(iteration, clock_at(clocks(block), slot).next());
  }
  OptimizerSpec rule = job_.optimizer;
  rule.weight_decay *= static_cast<float>(merged_.size()) / static_cast<float>(slices_.size());
  return OptimizerStep(rule, iteration);
}

/// The clocks of the version that the step makes.
void Shard::advance_clocks(const Block& block, std::span<float> after) const {
  const std::span<const float> before = clocks(block);
  std::copy(before.begin(), before.end(), after.begin());
  for (std::size_t m = 0; job_.asynchronous() && m < merged_.size(); ++m) {
    set_clock(after, merged_[m], clock_at(before, merged_[m]).next());
  }
}

/// Of a block's version, or of what it has of every slice.
void Shard::note_newest(const Block& block) {
  newest_ = std::max(newest_, job_.asynchronous() ? slowest_clock(clocks(block)) : block.version);
}

// ---- answers and checkpoints ----------------------------------------------------------------------------------------

/// Whether what is committed has `iteration` of every slice.
bool Shard::has_passed(const Block& block, Iteration iteration) const {
  const std::span<const float> has = committed_clocks(block);
  return !has.empty() && slowest_clock(has) >= iteration;
}

bool Shard::reached(const Block& block, const Waiter& waiter) const {
  if (!job_.asynchronous()) {
    return has_committed(block, waiter.iteration);
  }
  if (waiter.slot == none) {
    return has_passed(block, waiter.iteration);
  }
  const std::span<const float> has = committed_clocks(block);
  if (has.empty() || clock_at(has, waiter.slot) < waiter.iteration) {
    return false;
  }
  // Whoever computes the next iteration from the values must not lack more of any slice than the bound.
  return !waiter.want_values || job_.consistency == Consistency::asp ||
         slowest_clock(has).value + job_.staleness >= waiter.iteration.value;
}

/// With what is committed now, whichever versions that is.
void Shard::answer_newest(Waiter& waiter, Effects& effects) {
  Values values{waiter.iteration, std::vector<Iteration>(slices_.size(), newest_version)};
  for (const Local local : waiter.blocks) {
    const std::span<const float> has = committed_clocks(blocks_[local]);
    for (std::size_t slot = 0; slot < slices_.size(); ++slot) {
      values.clocks[slot] = std::min(values.clocks[slot], clock_at(has, slot));
    }
  }
  Payload payload = waiter.ids.empty() ? gather_newest(waiter) : gather_rows(waiter);
  if (waiter.ids.empty() && job_.compression.of_weights()) {
    PayloadCoder::Encoded answer = encoded(payload);
    values.format = answer.format;
    payload = std::move(answer.payload);
  }
  reply(waiter.from, waiter.request, std::move(values), std::move(payload), effects);
}

Payload Shard::gather_newest(const Waiter& waiter) const {
  const auto buffer_of = [&](Local local) -> const BlockBuffer& {
    return blocks_[local].committed ? blocks_[local].current : blocks_[local].previous;
  };
  std::size_t elements = 0;
  for (const Local local : waiter.blocks) {
    elements += table_[blocks_[local].id].elements;
  }
  if (waiter.blocks.size() == 1) {  // no copy
    return Payload::of(buffer_of(waiter.blocks.front()), elements);
  }
  Buffer together(elements);
  float* at = together.data();
  for (const Local local : waiter.blocks) {
    const std::size_t count = table_[blocks_[local].id].elements;
    std::memcpy(at, buffer_of(local).data(), count * sizeof(float));
    at += count;
  }
  return Payload::of(together, elements);
}

std::string Shard::slowest_slice(const Block& block) const {
  const std::span<const float> has = clocks(block);
  const Iteration slowest = slowest_clock(has);
  for (std::size_t slot = 0; slot < slices_.size(); ++slot) {
    if (clock_at(has, slot) == slowest) {
      const std::uint32_t worker = view_.slice_worker[slices_[slot].value];
      return "iteration " + std::to_string(slowest.value + 1) + " waits for slice " +
             std::to_string(slices_[slot].value) + " of " +
             (worker == no_worker ? "nobody" : view_.workers[worker].id.value);
    }
  }
  return {};
}

// ---- replicas -------------------------------------------------------------------------------------------------------

/// Whether a replica has said that it has the very state that this primary has.
bool Shard::same_state(const Block& block, const Compared& compared, std::size_t at) const {
  return compared.versions[at] == block.version && compared.made_in[at] == block.made_in;
}

/// Whether what the primary hands over is to replace what is here. In asynchronous modes it is, even if this is a later
/// version, unless it stems from this view's primary itself, and so from after it.
bool Shard::is_news(const Block& block, const HandedBlock& handed) const {
  const bool of_another = job_.asynchronous() && block.made_in != view_.epoch;
  return !block.is_there() || of_another || block.version < handed.version;
}

/// Notes whose contributions are in the gradients; false if that cannot be.
bool Shard::take_slices(const Replicate& replicate) {
  merged_.clear();
  for (const SliceId slice : replicate.slices) {
    const std::uint32_t slot = slice.value < slot_of_slice_.size() ? slot_of_slice_[slice.value] : none;
    if (slot == none || (!merged_.empty() && slot <= merged_.back())) {
      return false;
    }
    merged_.push_back(slot);
  }
  return job_.asynchronous() != merged_.empty();
}

}  // namespace ringps
