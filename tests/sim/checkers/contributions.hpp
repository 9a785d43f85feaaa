// Promise 6: the contributions applied to a version of a block are all slices, once each. That none counts twice shows
// in the bits (bits.hpp); here: no version is made before each of its slices has come to this very server.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "libps/core/assignment.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/checkers/requests.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class AllSlicesOnce : public Checker {
 public:
  using Checker::Checker;

  void before_shard_message(const Host& host, const Message& message, const Shard&) override {
    if (message.payload.empty()) {  // only asks
      return;
    }
    if (const auto* push = std::get_if<Push>(&message.body)) {
      note(host, push->iteration, push->slice, push->runs);
    } else if (const auto* push_pull = std::get_if<PushPull>(&message.body)) {
      note(host, push_pull->iteration, push_pull->slice, push_pull->runs);
    } else if (const auto* push_rows = std::get_if<PushRows>(&message.body)) {
      note(host, push_rows->iteration, push_rows->slice, push_rows->runs);
    }
  }

  void on_shard_step(const Host& host, const Shard& shard) override {
    Seen& seen = seen_[{host.index, host.life}];
    if (seen.lineage != shard.restore_epoch()) {
      seen.lineage = shard.restore_epoch();
      seen.versions.clear();
    }
    std::uint64_t all = 0;
    for (std::uint32_t s = 0; s < evidence_.job.slices; ++s) {
      all |= contributes(evidence_.job, SliceId{s}, host.name) ? std::uint64_t{1} << s : 0;
    }
    for (const auto& block : shard.observe()) {
      const auto [known, added] = seen.versions.emplace(block.block, block.version);
      const bool was_primary = std::exchange(seen.primary[block.block], block.primary);
      if (!block.primary || !was_primary) {  // a replica is given its versions
        known->second = block.version;
      }
      for (; known->second < block.version; known->second = known->second.next()) {
        if (seen.came[{block.block, known->second.next()}] != all) {
          violated(promise, host.name + " has made version " + std::to_string(known->second.value + 1) + " of block " +
                                std::to_string(block.block.value) + " without all of its slices");
        }
      }
    }
  }

 private:
  static constexpr const char* promise = "6 (all slices, once each)";

  struct Seen {
    Epoch lineage;
    std::map<BlockId, Iteration> versions;
    std::map<BlockId, bool> primary;
    std::map<std::pair<BlockId, Iteration>, std::uint64_t> came;  ///< bits: slices
  };

  void note(const Host& host, Iteration iteration, SliceId slice, const std::vector<BlockRun>& runs) {
    for (const BlockId block : blocks_of(evidence_.reference.table(), runs)) {
      seen_[{host.index, host.life}].came[{block, iteration}] |= std::uint64_t{1} << slice.value;
    }
  }

  std::map<std::pair<HostIndex, std::uint32_t>, Seen> seen_;
};

}  // namespace ringps::sim
