// What a shard does as a replica: it says which versions it has, applies what primaries have reduced, and takes whole
// blocks.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "libps/core/shard.hpp"

namespace ringps {

// ---- the replica ----------------------------------------------------------------------------------------------------

/// The blocks of `runs`, if this server holds all of them.
std::optional<std::vector<Shard::Local>> Shard::held(const std::vector<BlockRun>& runs) const {
  std::vector<Local> blocks;
  for (const BlockRun& run : runs) {
    const auto first = table_.find(run);
    for (std::uint32_t i = 0; i < (first ? run.count : 1); ++i) {
      const Local local = first ? local_of_[first->value + i] : none;
      if (local == none || blocks.size() == blocks_.size()) {
        return std::nullopt;
      }
      blocks.push_back(local);
    }
  }
  return blocks;
}

bool Shard::on_compare(std::uint32_t from, const Compare& compare, Effects& effects) {
  Compared compared{compare.ticket, {}};
  for (const BlockRun& run : compare.runs) {
    const auto first = table_.find(run);
    if (!first || compared.versions.size() > table_.size()) {
      return false;
    }
    for (std::uint32_t i = 0; i < run.count; ++i) {
      const Local local = local_of_[first->value + i];
      const bool has = local != none && blocks_[local].is_there();
      compared.versions.push_back(has ? blocks_[local].version : no_version);
      if (job_.asynchronous()) {
        compared.made_in.push_back(has ? blocks_[local].made_in : Epoch{});
      }
    }
  }
  to_server(from, std::move(compared), {}, effects);
  return true;
}

bool Shard::on_replicate(std::uint32_t from, const Message& message, const Replicate& replicate, Effects& effects) {
  const auto& chain = replicate.chain;
  const std::uint32_t position = replicate.position;
  const auto blocks = held(replicate.runs);
  if (!blocks || position == 0 || position >= chain.size() || chain.size() > view_.servers.size() ||
      chain[position] != self_ || chain[position - 1] != from ||
      std::any_of(chain.begin(), chain.end(), [&](std::uint32_t server) { return server >= view_.servers.size(); }) ||
      replicate.versions.size() != (job_.asynchronous() ? blocks->size() : 0)) {
    return false;
  }
  const auto version = [&](std::size_t b) { return job_.asynchronous() ? replicate.versions[b] : replicate.iteration; };
  for (std::size_t b = 0; b < blocks->size(); ++b) {
    const Block& block = blocks_[(*blocks)[b]];
    if (block.primary != chain.front() || !block.is_there() || block.version.next() < version(b)) {
      return false;
    }
  }
  if (!cut(message.payload, Parts::values, *blocks) || !take_slices(replicate)) {
    return false;
  }
  for (std::size_t b = 0; b < blocks->size(); ++b) {
    Block& block = blocks_[(*blocks)[b]];
    if (block.version < version(b)) {  // else it came before
      const std::span<const std::byte* const> gradient(&parts_[b], 1);
      if (block.rows) {
        step_rows(block, gradient, {}, 1.0F, effects);
      } else {
        step(block, gradient, 1.0F, {}, Finite::no_matter);
      }
    }
  }
  if (position + 1 < chain.size()) {
    Replicate onward = replicate;
    ++onward.position;
    to_server(chain[position + 1], std::move(onward), message.payload, effects);
  } else {
    to_server(chain.front(), ReplicateAck{replicate.ticket}, {}, effects);
  }
  return true;
}

bool Shard::on_handoff(std::uint32_t from, const Message& message, const Handoff& handoff, Effects& effects) {
  std::vector<Local> blocks;
  std::span<const std::byte> rest = message.payload.bytes();
  for (const HandedBlock& handed : handoff.blocks) {
    const auto local = held({handed.run});
    if (!local || local->size() != 1 || blocks_[local->front()].primary != from || handed.bytes > rest.size()) {
      return false;
    }
    const BlockId id = blocks_[local->front()].id;
    const std::size_t floats = block_floats(id) + (handed.previous ? previous_floats(id) : 0);
    if (!table_.is_rows(id) && handed.bytes != floats * sizeof(float)) {
      return false;
    }
    blocks.push_back(local->front());
    rest = rest.subspan(handed.bytes);
  }
  if (!rest.empty()) {
    return false;
  }
  rest = message.payload.bytes();
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const HandedBlock& handed = handoff.blocks[b];
    const std::span<const std::byte> state = rest.first(handed.bytes);
    rest = rest.subspan(handed.bytes);
    Block& block = blocks_[blocks[b]];
    if (!is_news(block, handed)) {
      continue;  // it has come before
    }
    if (table_.is_rows(block.id)) {
      auto rows = RowBlock::from_state(row_rules_[table_.table_of(block.id)], state);
      if (!rows) {
        return false;
      }
      block.rows = std::move(rows);
    } else {
      const std::size_t bytes = block_floats(block.id) * sizeof(float);
      const auto take = [&](std::span<const std::byte> values) {
        BlockBuffer buffer(values.size() / sizeof(float));
        std::memcpy(buffer.data(), values.data(), values.size());
        return buffer;
      };
      block.current = take(state.first(bytes));
      block.previous = handed.previous ? take(state.subspan(bytes)) : nullptr;
    }
    block.version = handed.version;
    block.made_in = handed.made_in;
    note_newest(block);
  }
  recount_rows();
  to_server(from, HandoffAck{handoff.ticket}, {}, effects);
  return true;
}

}  // namespace ringps
