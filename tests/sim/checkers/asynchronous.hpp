// The promises in asynchronous modes, where the bits of a run are its own: no contribution is lost, none is applied
// twice, and nobody computes from weights that lack more than the bound allows. They stand in for SameBits,
// AllSlicesOnce, AcknowledgedIsReplicated, ExactVersion and RunEndsWell.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "libps/core/clocks.hpp"
#include "libps/wire/compression.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/checkers/requests.hpp"
#include "tests/sim/exact.hpp"
#include "tests/sim/exact_rows.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

using Clocks = std::vector<Iteration>;

inline Clocks clocks_in(const Evidence& evidence, std::span<const float> buffer) {
  const std::span<const float> raw = evidence.exact.clocks(buffer);
  Clocks clocks;
  for (std::size_t slot = 0; slot < evidence.job.slices; ++slot) {
    clocks.push_back(clock_at(raw, slot));
  }
  return clocks;
}

inline Clocks clocks_of(const Evidence& evidence, const Shard::Observed& block) {
  return clocks_in(evidence, block.rows != nullptr ? block.rows->clocks(false) : block.current);
}

/// Whether each clock of `a` has come at least as far as that of `b`.
inline bool covers(const Clocks& a, const Clocks& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](Iteration x, Iteration y) { return x >= y; });
}

/// Promise 6: the values of a block are the sum of the contributions that its clocks name, once each.
class ExactlyOnce : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    for (const auto& block : shard.observe()) {
      if (block.rows != nullptr) {
        is_exact(host, block, false);
        if (block.rows->has_previous()) {
          is_exact(host, block, true);
        }
        continue;
      }
      is_exact(host.name, block.block, block.current);
      if (!block.previous.empty()) {
        is_exact(host.name, block.block, block.previous);
      }
    }
  }

  void on_committed(const Manifest& manifest) override {
    for (const auto& each : manifest.files) {
      const StoredFile* file = evidence_.store.file(each.file.name);
      if (file == nullptr) {  // CheckpointsAreWhole says so
        continue;
      }
      for (const auto& [block, buffer] : file->blocks) {
        is_exact(manifest.folder, block, buffer);
        has_all(manifest, block, evidence_.exact.clocks(buffer));
      }
      for (const auto& [block, rows] : file->rows) {
        is_exact(manifest.folder, block, rows);
        has_all(manifest, block, rows.clocks);
      }
    }
  }

 private:
  static void has_all(const Manifest& manifest, BlockId block, std::span<const float> clocks) {
    if (slowest_clock(clocks) < manifest.iteration) {
      violated("9 (a manifest is whole, and there is always one)",
               "block " + std::to_string(block.value) + " in '" + manifest.folder +
                   "' lacks contributions up to iteration " + std::to_string(manifest.iteration.value));
    }
  }

  /// What has been looked at and has not changed since is not looked at again: it takes too long.
  void is_exact(const Host& host, const Shard::Observed& block, bool previous) {
    RowImage rows = block.rows->image(previous);
    RowImage& before = exact_[{host.index, block.block, previous}];
    if (rows != before) {
      is_exact(host.name, block.block, rows);
      before = std::move(rows);
    }
  }
  void is_exact(const std::string& where, BlockId block, const RowImage& rows) const {
    if (const std::string problem = evidence_.exact_rows.problem(block, rows); !problem.empty()) {
      violated("6 (each contribution once)", where + " has a block " + std::to_string(block.value) +
                                                 " of rows that is not what its clocks say: " + problem);
    }
  }

  void is_exact(const std::string& where, BlockId block, std::span<const float> buffer) const {
    if (!evidence_.exact.is_block(block, buffer)) {
      std::string text;
      for (const Iteration clock : clocks_in(evidence_, buffer)) {
        text += ' ' + std::to_string(clock.value);
      }
      violated("6 (each contribution once)",
               where + " has a block " + std::to_string(block.value) + " that is not what its clocks say:" + text);
    }
  }

  std::map<std::tuple<HostIndex, BlockId, bool>, RowImage> exact_;  ///< what was exact last, current and previous
};

/// Promise 5: a step of a block has the same bits at all of its replicas: no other has its number and maker.
class SameSteps : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    for (const auto& block : shard.observe()) {
      if (block.made_in.value == 0) {
        continue;
      }
      const auto [at, added] = seen_.try_emplace({block.block, block.made_in, block.version});
      Step& step = at->second;
      if (added && block.rows != nullptr) {
        step.rows = block.rows->image(false);
      } else if (added) {
        step.values.assign(block.current.begin(), block.current.end());
      } else if (block.rows != nullptr
                     ? step.rows != block.rows->image(false)
                     : std::memcmp(step.values.data(), block.current.data(), block.current.size_bytes()) != 0) {
        violated("5 (a step has the same bits everywhere)",
                 host.name + " has another step " + std::to_string(block.version.value) + " of block " +
                     std::to_string(block.block.value) + ", made in epoch " + std::to_string(block.made_in.value));
      }
    }
  }

 private:
  struct Step {
    Floats values;
    RowImage rows;  ///< of a table
  };
  std::map<std::tuple<BlockId, Epoch, Iteration>, Step> seen_;
};

/// Promise 4: what a worker has been told of is at all replicas in sync, also at those of every later view.
class ToldIsReplicated : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    Has& has = has_[host.name][host.incarnation];
    has.lineage = shard.restore_epoch();
    has.blocks.clear();
    for (const auto& block : shard.observe()) {
      has.blocks[block.block] = clocks_of(evidence_, block);
    }
  }

  void on_answered(const Host& host, const Route& to, const Message& message) override {
    const View* view = evidence_.store.view(message.envelope.epoch);
    const auto* asked = evidence_.requests.find(host, to, message.envelope.request);
    const auto* values = std::get_if<Values>(&message.body);
    const bool acknowledged = std::holds_alternative<Ack>(message.body);
    if ((values == nullptr && !acknowledged) || asked == nullptr || view == nullptr) {
      return;
    }
    Clocks clocks = values != nullptr ? values->clocks : Clocks(evidence_.job.slices);
    for (std::uint32_t slice = 0; acknowledged && slice < clocks.size(); ++slice) {
      if (!asked->slice || *asked->slice == SliceId{slice}) {
        clocks[slice] = asked->iteration;
      }
    }
    // Of the newest view: whoever answers may not have heard of it, and what it says must hold there all the same.
    const View& newest = evidence_.store.views().back();
    if (newest.restore.epoch != view->restore.epoch) {
      return;
    }
    const Placement& placement = placement_of(newest);
    for (const BlockId block : blocks_of(evidence_.reference.table(), asked->runs)) {
      have(newest, placement.holders(block), block, clocks, host.name + " has told a worker of them");
      Clocks& told = told_[view->restore.epoch].try_emplace(block, evidence_.job.slices).first->second;
      for (std::size_t slot = 0; slot < told.size(); ++slot) {
        told[slot] = std::max(told[slot], clocks[slot]);
      }
    }
  }

  void on_persisted(const View& view) override {
    if (view.restore.epoch == view.epoch) {
      note_start(view);
    }
    const Placement& placement = placement_of(view);
    for (const auto& [block, clocks] : told_[view.restore.epoch]) {
      have(view, placement.holders(block), block, clocks,
           "epoch " + std::to_string(view.epoch.value) + " takes it for a replica in sync");
    }
  }

 private:
  struct Has {
    Epoch lineage;
    std::map<BlockId, Clocks> blocks;
  };

  const Placement& placement_of(const View& view) {
    return placements_
        .try_emplace(view.epoch, view, evidence_.reference.table(), evidence_.job.virtual_nodes, evidence_.job.replicas)
        .first->second;
  }

  /// What a lineage begins with is on the disk.
  void note_start(const View& view) {
    start_.clear();
    const Manifest* manifest = evidence_.store.manifest(view.restore.checkpoint);
    for (std::size_t f = 0; manifest != nullptr && f < manifest->files.size(); ++f) {
      const StoredFile& file = *evidence_.store.file(manifest->files[f].file.name);
      for (const auto& [block, buffer] : file.blocks) {
        start_[block] = clocks_in(evidence_, buffer);
      }
      for (const auto& [block, rows] : file.rows) {
        start_[block] = clocks_in(evidence_, rows.clocks);
      }
    }
  }

  void have(const View& view, const Placement::Servers& holders, BlockId block, const Clocks& clocks,
            const std::string& why) {
    const Clocks& start = start_.try_emplace(block, evidence_.job.slices).first->second;
    if (covers(start, clocks)) {
      return;
    }
    for (const std::uint32_t holder : holders) {
      const ServerMember& server = view.servers[holder];
      const Has& has = has_[server.id.value][server.incarnation];
      const auto at = has.blocks.find(block);
      const bool has_them = has.lineage == view.restore.epoch && at != has.blocks.end() && covers(at->second, clocks);
      if (has.lineage <= view.restore.epoch && !has_them) {
        violated("4 (what is acknowledged is replicated)",
                 server.id.value + " lacks contributions to block " + std::to_string(block.value) + ", and " + why);
      }
    }
  }

  std::map<std::string, std::map<Incarnation, Has>> has_;
  std::map<Epoch, Placement> placements_;
  std::map<Epoch, std::map<BlockId, Clocks>> told_;  ///< by lineage
  std::map<BlockId, Clocks> start_;                  ///< of the current lineage
};

/// Promise 7: an answer has the contribution that it answers, lacks no more of any slice than the bound allows, is
/// committed, and is what it says.
class WithinTheBound : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    auto& blocks = blocks_[{host.index, host.life}];
    blocks.clear();
    for (const auto& block : shard.observe()) {
      Seen& seen = blocks[block.block];
      seen = {block.committed,
              {block.current.begin(), block.current.end()},
              {block.previous.begin(), block.previous.end()},
              {},
              {}};
      if (block.rows != nullptr) {
        seen.current_rows = block.rows->image(false);
        if (block.rows->has_previous()) {
          seen.previous_rows = block.rows->image(true);
        }
      }
    }
  }

  void on_answered(const Host& host, const Route& to, const Message& message) override {
    const auto* values = std::get_if<Values>(&message.body);
    const auto* asked = evidence_.requests.find(host, to, message.envelope.request);
    if (values == nullptr) {
      return;
    }
    if (asked == nullptr || values->clocks.size() != evidence_.job.slices) {
      violated(promise, host.name + " answers what was not asked for");
    }
    const JobSpec& job = evidence_.job;
    const Iteration floor = *std::min_element(values->clocks.begin(), values->clocks.end());
    const Iteration wanted = asked->iteration;
    if (asked->slice) {
      judge(host, values->clocks[asked->slice->value] >= wanted, "without the contribution that it answers");
      judge(host, job.consistency == Consistency::asp || floor.value + job.staleness >= wanted.value,
            "beyond the bound, at clock " + std::to_string(floor.value) + " to iteration " +
                std::to_string(wanted.value));
    } else {
      judge(host, wanted == newest_version || floor >= wanted, "without the iteration that was asked for");
    }
    asked->ids.empty() ? judge_values(host, *asked, *values, message.payload)
                       : judge_rows(host, *asked, *values, message.payload);
  }

 private:
  static constexpr const char* promise = "7 (an answer is within the bound)";

  struct Seen {
    bool committed = false;
    Floats current;
    Floats previous;
    std::optional<RowImage> current_rows;
    std::optional<RowImage> previous_rows;
  };

  static void judge(const Host& host, bool good, const std::string& how) {
    if (!good) {
      violated(promise, host.name + " answers " + how);
    }
  }

  /// Different steps may be the same values in 16 bits, so there is nothing to judge then; what comes of them in the
  /// end is judged by others.
  void judge_values(const Host& host, const Requests::Request& asked, const Values& values, const Payload& payload) {
    const auto& table = evidence_.reference.table();
    std::vector<std::uint32_t> sizes;
    for (const BlockId block : blocks_of(table, asked.runs)) {
      sizes.push_back(table[block].elements);
    }
    PayloadCoder coder;
    const auto decoded = coder.decode(payload, values.format, sizes);
    judge(host, decoded.ok(), "with what is not the values of the blocks");
    if (values.format.encoding != Encoding::float32) {
      return;
    }
    const std::byte* from = decoded->data();
    for (const BlockId block : blocks_of(table, asked.runs)) {
      const std::size_t bytes = std::size_t{table[block].elements} * sizeof(float);
      const Seen& seen = blocks_[{host.index, host.life}][block];
      const auto is = [&](const Floats& buffer) {
        return !buffer.empty() && std::memcmp(buffer.data(), from, bytes) == 0;
      };
      const Floats& committed = seen.committed ? seen.current : seen.previous;
      if (is(committed)) {
        judge(host, covers(clocks_in(evidence_, committed), values.clocks), "with other values than it says");
      } else {  // a step of this event that was not the last; else it is one that is not committed
        judge(host, !is(seen.current), "with values that are not committed");
      }
      from += bytes;
    }
  }

  void judge_rows(const Host& host, const Requests::Request& asked, const Values& values, const Payload& payload) {
    const auto& table = evidence_.reference.table();
    const std::byte* from = payload.data();
    const std::byte* ids = asked.ids.data();
    for (const BlockId block : blocks_of(table, asked.runs)) {
      const RowList list(ids, 0);
      ids += list.bytes();
      const std::uint32_t t = table.table_of(block);
      const std::size_t bytes = list.count() * table.tables()[t].width * sizeof(float);
      judge(host, static_cast<std::size_t>(from - payload.data()) + bytes <= payload.size(), "with too few rows");
      const auto are = [&](const std::optional<RowImage>& rows) {
        Floats expected;
        for (std::size_t i = 0; rows && i < list.count(); ++i) {
          const Floats row = evidence_.exact_rows.read(t, *rows, list.id(i));
          expected.insert(expected.end(), row.begin(), row.end());
        }
        return rows && (bytes == 0 || std::memcmp(expected.data(), from, bytes) == 0);
      };
      const Seen& seen = blocks_[{host.index, host.life}][block];
      const auto& committed = seen.committed ? seen.current_rows : seen.previous_rows;
      if (are(committed)) {
        judge(host, covers(clocks_in(evidence_, committed->clocks), values.clocks), "with other rows than it says");
      } else {
        judge(host, !are(seen.current_rows), "with rows that are not committed");
      }
      from += bytes;
    }
  }

  std::map<std::pair<HostIndex, std::uint32_t>, std::map<BlockId, Seen>> blocks_;
};

/// Promise 13: the run finishes, and has every contribution of every slice once.
class EndsWithAll : public Checker {
 public:
  using Checker::Checker;

  void on_reached(const Host& host, const Weights& weights) override {
    if (weights.version == evidence_.job.iterations && !evidence_.exact.are_last(*weights.values)) {
      violated(promise, host.name + " takes other weights for the last ones");
    }
  }

  void on_finished(RunState state, const std::string& text) override {
    if (state != RunState::completed) {
      violated(promise, "the run has ended in another way: " + text);
    }
    const Manifest* last = evidence_.store.newest();
    if (last == nullptr || last->iteration != evidence_.job.iterations) {
      violated(promise, "there is no checkpoint of the last iteration");
    }
    // Its blocks are exact and have all slices through that iteration (ExactlyOnce): they cannot have more.
  }

 private:
  static constexpr const char* promise = "13 (once faults stop, the run finishes)";
};

}  // namespace ringps::sim
