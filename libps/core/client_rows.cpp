// The rows of tables that a worker's gradients are computed from: chosen, pulled, and pushed.
#include <algorithm>
#include <utility>

#include "libps/core/client.hpp"
#include "libps/rows/row_list.hpp"

namespace ringps {
namespace {

/// Rows go in smaller messages than tensors: to look them up takes longer than to carry them, and while a server looks
/// up those of one message the next is on its way.
constexpr std::size_t rows_message_bytes_max = 512U << 10U;

}  // namespace

const ClientCore::SliceRows* ClientCore::rows_of(SliceId slice, Iteration iteration) const {
  const auto at = rows_.find({iteration, slice});
  return at == rows_.end() ? nullptr : &at->second;
}

std::optional<ClientCore::Choice> ClientCore::next_choice() const {
  if (phase_ != Phase::training || job_.tables.empty()) {
    return std::nullopt;
  }
  // Rows of the next iteration are asked for as soon as the gradients of this one are out.
  const bool ahead = gradients_.size() >= slices_.size() && version_.next() < job_.iterations;
  for (const Iteration iteration : {version_.next(), ahead ? version_.next().next() : version_.next()}) {
    for (const SliceId slice : slices_) {
      if (rows_of(slice, iteration) == nullptr) {
        return Choice{iteration, slice};
      }
    }
  }
  return std::nullopt;
}

void ClientCore::choose(Time now, const Choice& choice, std::vector<std::vector<std::uint64_t>> ids, Effects& effects) {
  const bool wanted = choice.iteration == version_.next() || choice.iteration == version_.next().next();
  if (phase_ != Phase::training || !wanted || !is_mine(choice.slice) || rows_of(choice.slice, choice.iteration)) {
    return;
  }
  const SliceRows& rows = rows_[{choice.iteration, choice.slice}] = {
      choice.iteration, std::make_shared<RowBatch>(table_, std::move(ids)), nullptr};
  pull_rows(now, rows, effects);
}

/// Asks for the values that are not there yet, of the version that the gradient is computed from.
void ClientCore::pull_rows(Time now, const SliceRows& rows, Effects& effects) {
  const std::size_t message_bytes = std::min<std::size_t>(job_.message_bytes, rows_message_bytes_max);
  for (std::size_t p = 0; p < parts_.size() && !rows.batch->is_whole(); ++p) {
    std::vector<BlockId> blocks;
    std::size_t bytes = 0;
    const auto send_blocks = [&] {
      if (!blocks.empty()) {
        const Buffer ids = rows.batch->ids_of(blocks);
        PullRows body{Iteration{rows.iteration.value - 1}, table_.runs(blocks)};
        Request& request = this->request(now, p, std::move(body), Payload::of(ids, ids.size()), effects);
        request.blocks = std::exchange(blocks, {});
        request.rows = rows.batch;
      }
      bytes = 0;
    };
    for (const BlockId block : parts_[p].blocks) {
      if (!parts_[p].rows || rows.batch->rows_in(block) == 0 || rows.batch->has(block)) {
        continue;
      }
      const std::size_t block_bytes =
          std::max(RowList::bytes(rows.batch->rows_in(block), 0), rows.batch->value_bytes(std::span(&block, 1)));
      if (bytes + block_bytes > message_bytes) {
        send_blocks();
      }
      bytes += block_bytes;
      blocks.push_back(block);
    }
    send_blocks();
  }
}

/// Every block of every table gets a contribution of every slice, be it an empty one.
void ClientCore::push_rows(Time now, SliceId slice, const SliceRows& rows, Effects& effects) {
  const std::size_t message_bytes = std::min<std::size_t>(job_.message_bytes, rows_message_bytes_max);
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    std::vector<BlockId> blocks;
    std::size_t bytes = 0;
    const auto send_blocks = [&] {
      if (!blocks.empty()) {
        const Buffer lists = rows.batch->gradients_of(blocks, *rows.gradient);
        PushRows body{rows.iteration, slice, table_.runs(blocks)};
        Request& request = this->request(now, p, std::move(body), Payload::of(lists, lists.size()), effects);
        request.blocks = std::exchange(blocks, {});
      }
      bytes = 0;
    };
    for (const BlockId block : parts_[p].blocks) {
      if (!parts_[p].rows || block_arrived_[block.value] != 0) {
        continue;
      }
      const std::size_t block_bytes = rows.batch->gradient_bytes(block);
      if (bytes + block_bytes > message_bytes) {
        send_blocks();
      }
      bytes += block_bytes;
      blocks.push_back(block);
    }
    send_blocks();
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
