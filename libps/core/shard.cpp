// A shard and its views: which blocks are its own, and where their first values come from. Requests:
// shard_requests.cpp.
#include "libps/core/shard.hpp"

#include <algorithm>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/base/row_hash.hpp"
#include "libps/core/assignment.hpp"
#include "libps/core/bounds.hpp"
#include "libps/optim/initialise.hpp"
#include "libps/optim/reduce.hpp"
#include "libps/ring/view.hpp"

namespace ringps {
Shard::Shard(const JobSpec& job, ServerId id, Incarnation incarnation)
    : job_(job),
      id_(std::move(id)),
      incarnation_(incarnation),
      table_(job.tensors, job.block_elements, job.tables),
      scale_(reduction_scale(job)),
      scratch_(piece_elements * (1 + job.optimizer.state_per_element())),
      coder_(job.compression.keep) {
  slot_of_slice_.assign(job_.slices, none);
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    if (contributes(job_, SliceId{s}, id_.value)) {
      slot_of_slice_[s] = static_cast<std::uint32_t>(slices_.size());
      slices_.push_back(SliceId{s});
    }
  }
  for (const TableSpec& table : job_.tables) {
    row_rules_.emplace_back(table, job_.seed, job_.optimizer.state_per_element(), clock_floats());
  }
  local_of_.assign(table_.size(), none);
}

// ---- views and restores ---------------------------------------------------------------------------------------------

void Shard::on_view(Time now, const View& view, Effects& effects) {
  if (view.epoch <= view_.epoch) {
    return;
  }
  now_ = now;
  const bool rolled_back = view.restore.epoch != view_.restore.epoch;
  const bool new_owners = view.owned_since != view_.owned_since;
  const Placement placement(view, table_, job_.virtual_nodes, job_.replicas);
  if (placement.digest() != view.placement_digest || placement.lost()) {
    effects.push_back(
        Tell{Failed{"the placement that " + id_.value + " computes from view " + std::to_string(view.epoch.value) +
                    " is not the one that the view's digest stands for: the programs differ"}});
    return;
  }
  view_ = view;
  self_ = view_.server_index(id_.value).value_or(none);
  // Whoever still waits will ask again under the new epoch; contributions that came stay, they are the same bits.
  waiters_.clear();
  waiters_free_.clear();
  if (rolled_back) {
    blocks_.clear();
    contributions_.clear();
    kept_.clear();
    kept_free_.clear();
    local_of_.assign(table_.size(), none);
    held_.clear();
    next_checkpoint_ = first_checkpoint(job_, view_.restore.iteration);
    newest_ = view_.restore.iteration;
  }
  forget_replicas();
  take_places(placement);
  if (rolled_back) {
    restore(placement, effects);
  } else if (restored_) {
    if (new_owners) {
      held_.clear();
      for (Block& block : blocks_) {
        block.held = {};
      }
      hold_all(effects);
    }
    ask_replicas(effects);
  }
  unpark(effects);
  flush(effects);
}

/// Makes the list of the blocks that the view gives to this server; what it has of them stays.
void Shard::take_places(const Placement& placement) {
  std::vector<Block> before = std::exchange(blocks_, {});
  std::vector<Contribution> contributions = std::exchange(contributions_, {});
  const std::vector<Local> local_before = std::exchange(local_of_, std::vector<Local>(table_.size(), none));
  const auto has = [&](const Placement::Servers& servers) {
    return std::find(servers.begin(), servers.end(), self_) != servers.end();
  };
  owned_.clear();
  gathered_ = {};
  encoded_ = {};
  spare_.clear();
  for (std::uint32_t b = 0; b < table_.size(); ++b) {
    const BlockId id{b};
    if (!has(placement.holders(id)) && !has(placement.newcomers(id))) {
      continue;
    }
    const auto local = static_cast<Local>(blocks_.size());
    local_of_[b] = local;
    const Local was = local_before[b];
    Block& block = blocks_.emplace_back(was == none ? Block{} : std::move(before[was]));
    const bool was_mine = was != none && block.primary == block.self;
    block.id = id;
    block.primary = placement.primary(id);
    block.self = self_;
    block.first_waiter = none;
    block.replicating = false;
    block.chain = none;
    block.replicas.clear();
    contributions_.resize(contributions_.size() + slices_.size());
    if (!mine(block)) {
      continue;
    }
    owned_.push_back(local);
    for (const std::uint32_t server : placement.holders(id)) {
      if (server != self_) {
        block.replicas.push_back({server, true, Replica::State::asking});
      }
    }
    for (const std::uint32_t server : placement.newcomers(id)) {
      block.replicas.push_back({server, false, Replica::State::asking});
    }
    if (was_mine) {
      for (std::size_t slot = 0; slot < slices_.size(); ++slot) {
        contributions_[local * slices_.size() + slot] = std::exchange(contributions[was * slices_.size() + slot], {});
      }
    } else {
      block.contributed = 0;
      block.committed = false;
      block.held = {};
    }
  }
  for (Contribution& contribution : contributions) {  // of blocks that are another's now
    let_go(contribution);
  }
  recount_rows();
}

/// Begins a lineage: every block that the settled ring gives to this server comes from where the view says.
void Shard::restore(const Placement& placement, Effects& effects) {
  restored_ = false;
  restoring_.clear();
  for (Block& block : blocks_) {
    const auto& holders = placement.holders(block.id);
    if (std::find(holders.begin(), holders.end(), self_) != holders.end()) {
      block.version = view_.restore.iteration;
      restoring_.push_back(block.id);
    }
  }
  if (!view_.restore.checkpoint.empty() && !restoring_.empty()) {
    effects.push_back(RestoreBlocks{view_.restore, restoring_});
    return;
  }
  std::vector<BlockState> states;
  for (const BlockId id : restoring_) {
    if (table_.is_rows(id)) {
      states.emplace_back(RowImage{{}, {}, {}, {}, {}, Floats(clock_floats(), 0.0F)});
      continue;
    }
    const auto& at = table_[id];
    BlockBuffer buffer(block_floats(id), 0.0F);
    initialise(table_.tensor(at.tensor), job_.seed, at.tensor_offset, buffer.values().first(at.elements));
    states.emplace_back(std::move(buffer));
  }
  on_restored(now_, view_.restore.epoch, std::move(states), effects);
}

void Shard::on_restored(Time now, Epoch restore_epoch, std::vector<BlockState> states, Effects& effects) {
  if (restored_ || restore_epoch != view_.restore.epoch) {
    return;
  }
  now_ = now;
  check(states.size() == restoring_.size(), "a restore brings every block that was asked for");
  for (std::size_t i = 0; i < states.size(); ++i) {
    const BlockId id = restoring_[i];
    const Local local = local_of_[id.value];
    if (local == none) {  // the view has changed meanwhile
      continue;
    }
    blocks_[local].made_in = view_.restore.checkpoint.empty() ? restore_epoch : Epoch{};
    if (table_.is_rows(id)) {
      RowImage& image = *states[i].rows;
      if (job_.asynchronous()) {
        image.iteration = slowest_clock(image.clocks);
      }
      blocks_[local].rows.emplace(row_rules_[table_.table_of(id)], image);
    } else {
      blocks_[local].current = std::move(states[i].buffer);
      prepare_spares(blocks_[local]);
    }
  }
  restoring_.clear();
  recount_rows();
  restored_ = true;
  ask_replicas(effects);
  unpark(effects);
  flush(effects);
}

/// For the version after the first, and for the one after a version that a checkpoint holds: memory that nobody has
/// touched yet takes longer to get than a step to compute, and these two come in the middle of training.
void Shard::prepare_spares(const Block& block) {
  if (job_.checkpoint.interval != 0) {
    spare_.give_back(Buffer(previous_floats(block.id), 0.0F));
    spare_.give_back(Buffer(block_floats(block.id), 0.0F));
  }
}

void Shard::on_restore_failed(Epoch restore_epoch, std::string text, Effects& effects) const {
  if (restore_epoch == view_.restore.epoch) {
    effects.push_back(Tell{Failed{std::move(text)}});
  }
}

}  // namespace ringps
