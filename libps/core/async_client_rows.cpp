// The rows of tables that a slice's gradients are computed from in asynchronous modes: chosen, pulled, and pushed.
//
// Each gradient is pushed to every block, and the rows of the next one are asked for right behind it, of every block
// too: of one without any for what it contains, so that the bound holds for a slice that needs few rows as for others.
#include <utility>

#include "libps/core/async_client.hpp"

namespace ringps {

std::optional<AsyncClientCore::Choice> AsyncClientCore::next_choice() const {
  for (const auto& [id, slice] : slices_) {
    if (!has_rows(slice) && !slice.rows) {
      return Choice{next_iteration(slice), id};
    }
  }
  return std::nullopt;
}

void AsyncClientCore::choose(Time now, const Choice& choice, std::vector<std::vector<std::uint64_t>> ids,
                             Effects& effects) {
  const auto at = slices_.find(choice.slice);
  if (at == slices_.end() || at->second.rows || next_iteration(at->second) != choice.iteration) {
    return;
  }
  at->second.rows = std::make_shared<RowBatch>(table_, std::move(ids), true);
  pull_rows(now, choice.slice, at->second, effects);
}

/// Whether the rows of the next gradient are there, or none are needed any more.
bool AsyncClientCore::has_rows(const Slice& slice) const {
  return job_.tables.empty() || next_iteration(slice) > job_.iterations || (slice.rows && slice.rows->is_whole());
}

/// A slice that is taken over has no contribution on its way.
void AsyncClientCore::nothing_to_push(Fetch& fetch) const {
  for (std::uint32_t b = table_.size(); b > 0 && table_.is_rows(BlockId{b - 1}); --b) {
    fetch.arrived[b - 1] = 1;
  }
}

/// Asks for what is not there yet. It is answered when all that the slice has contributed is in it.
void AsyncClientCore::pull_rows(Time now, SliceId id, const Slice& slice, Effects& effects) {
  for (std::size_t p = 0; slice.rows && p < parts_.size(); ++p) {
    if (!parts_[p].rows) {
      continue;
    }
    for (std::vector<BlockId>& blocks : slice.rows->to_pull(parts_[p].blocks, job_.message_bytes)) {
      const Buffer ids = slice.rows->ids_of(blocks);
      PullRows body{Iteration{next_iteration(slice).value - 1}, table_.runs(blocks), id};
      Request& request = this->request(now, id, p, std::move(body), Payload::of(ids, ids.size()), effects);
      request.blocks = std::move(blocks);
      request.rows = slice.rows;
    }
  }
}

/// Every block of every table gets a contribution of every slice, be it an empty one.
void AsyncClientCore::push_rows(Time now, SliceId id, const Slice& slice, std::size_t p, Effects& effects) {
  for (std::vector<BlockId>& blocks :
       slice.sent_rows->to_push(parts_[p].blocks, slice.fetch.arrived, job_.message_bytes)) {
    const Buffer lists = slice.sent_rows->gradients_of(blocks, *slice.row_gradient);
    Request& request = this->request(now, id, p, PushRows{slice.clock.next(), id, table_.runs(blocks)},
                                     Payload::of(lists, lists.size()), effects);
    request.blocks = std::move(blocks);
  }
}

}  // namespace ringps
