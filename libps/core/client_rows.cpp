// The rows of tables that a worker's gradients are computed from: chosen, pulled, and pushed.
#include <algorithm>
#include <utility>

#include "libps/core/client.hpp"
#include "libps/rows/row_list.hpp"

namespace ringps {
namespace {

/// So many iterations' rows may be chosen, from the one under way on.
constexpr std::uint64_t chosen_ahead = 3;

}  // namespace

const ClientCore::SliceRows* ClientCore::rows_of(SliceId slice, Iteration iteration) const {
  const auto at = rows_.find({iteration, slice});
  return at == rows_.end() ? nullptr : &at->second;
}

std::optional<ClientCore::Choice> ClientCore::next_choice() const {
  if (phase_ != Phase::training || job_.tables.empty()) {
    return std::nullopt;
  }
  // As soon as the gradients of this iteration are out, rows of the next are asked for, so that they come without a
  // round trip of their own, and of the one after it, so that servers look them up when nobody waits for that.
  const std::uint64_t last =
      std::min(version_.value + (gradients_.size() >= slices_.size() ? chosen_ahead : 1), job_.iterations.value);
  for (Iteration iteration = version_.next(); iteration.value <= last; iteration = iteration.next()) {
    for (const SliceId slice : slices_) {
      if (rows_of(slice, iteration) == nullptr) {
        return Choice{iteration, slice};
      }
    }
  }
  return std::nullopt;
}

void ClientCore::choose(Time now, const Choice& choice, std::vector<std::vector<std::uint64_t>> ids, Effects& effects) {
  const bool wanted = choice.iteration > version_ && choice.iteration.value <= version_.value + chosen_ahead;
  if (phase_ != Phase::training || !wanted || !is_mine(choice.slice) || rows_of(choice.slice, choice.iteration)) {
    return;
  }
  const SliceRows& rows = rows_[{choice.iteration, choice.slice}] = {
      choice.iteration, std::make_shared<RowBatch>(table_, std::move(ids)), nullptr};
  pull_rows(now, choice.slice, rows, effects);
}

/// Asks for the values that are not there yet, of the version that the gradient is computed from.
void ClientCore::pull_rows(Time now, SliceId slice, const SliceRows& rows, Effects& effects) {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].rows) {
      continue;
    }
    for (std::vector<BlockId>& blocks : rows.batch->to_pull(parts_[p].blocks, job_.message_bytes)) {
      const Buffer ids = rows.batch->ids_of(blocks);
      PullRows body{Iteration{rows.iteration.value - 1}, table_.runs(blocks), slice};
      Request& request = this->request(now, p, std::move(body), Payload::of(ids, ids.size()), effects);
      request.blocks = std::move(blocks);
      request.rows = rows.batch;
    }
  }
}

/// Every block of every table gets a contribution of every slice, be it an empty one.
void ClientCore::push_rows(Time now, SliceId slice, const SliceRows& rows, Effects& effects) {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].rows) {
      continue;
    }
    for (std::vector<BlockId>& blocks : rows.batch->to_push(parts_[p].blocks, block_arrived_, job_.message_bytes)) {
      const Buffer lists = rows.batch->gradients_of(blocks, *rows.gradient);
      PushRows body{rows.iteration, slice, table_.runs(blocks)};
      Request& request = this->request(now, p, std::move(body), Payload::of(lists, lists.size()), effects);
      request.blocks = std::move(blocks);
    }
  }
}

void ClientCore::on_rows_pushed(Time now, std::size_t p, const std::vector<BlockId>& blocks, Effects& effects) {
  for (const BlockId block : blocks) {
    block_arrived_[block.value] = 1;
  }
  const Part& part = parts_[p];
  if (std::all_of(part.blocks.begin(), part.blocks.end(),
                  [&](BlockId block) { return block_arrived_[block.value] != 0; })) {
    on_arrived(now, p, version_.next(), {}, effects);
  }
}

}  // namespace ringps
