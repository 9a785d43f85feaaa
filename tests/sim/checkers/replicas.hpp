// Promise 3: a block's replicas are on distinct servers, as many as the job asks for or as the view has servers.
// Promise 4: after an acknowledgement of a version of a block every replica in sync has at least that version; and
// whoever a later view takes for a replica in sync has it too, so that no failure that is permitted can take it back.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/checker.hpp"
#include "tests/sim/checkers/requests.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class ReplicasAreDistinct : public Checker {
 public:
  using Checker::Checker;

  void on_persisted(const View& view) override {
    const JobSpec& job = evidence_.job;
    const Placement placement(view, evidence_.reference.table(), job.virtual_nodes, job.replicas);
    for (std::uint32_t b = 0; b < evidence_.reference.table().size(); ++b) {
      const auto& holders = placement.holders(BlockId{b});
      const std::set<std::uint32_t> distinct(holders.begin(), holders.end());
      const std::size_t wanted = std::min<std::size_t>(job.replicas, view.servers.size());
      if (distinct.size() != holders.size() || holders.empty() || (view.settled() && holders.size() != wanted)) {
        violated("3 (replicas are distinct)", "block " + std::to_string(b) + " has " + std::to_string(holders.size()) +
                                                  " replicas in epoch " + std::to_string(view.epoch.value));
      }
    }
  }
};

/// Section 6 of the design: a block is given up only when every replica of the last settled view is dead.
class NothingIsGivenUp : public Checker {
 public:
  using Checker::Checker;

  void on_persisted(const View& view) override {
    const JobSpec& job = evidence_.job;
    const bool rolled_back = view.restore.epoch == view.epoch;
    // With a refresh_interval slices change hands only at a restore; with worker_scope server a server takes its slices
    // along.
    const bool may = before_.epoch.value == 0 || job.worker_scope == WorkerScope::server || job.refresh_interval > 1;
    if (rolled_back && !may) {
      std::erase_if(before_.servers, [&](const ServerMember& server) {
        const auto at = view.server_index(server.id.value);
        const bool alive = at && view.servers[*at].incarnation == server.incarnation;
        return !alive && !view.is_retired(server.id.value);
      });
      if (!Placement(before_, evidence_.reference.table(), job.virtual_nodes, job.replicas).lost()) {
        violated("4 (nothing is given up that somebody has)",
                 "epoch " + std::to_string(view.epoch.value) + " goes back although no block was lost");
      }
    }
    before_ = view;
  }

 private:
  View before_;
};

class AcknowledgedIsReplicated : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    Has& has = has_[host.name][host.incarnation];
    if (std::exchange(has.lineage, shard.restore_epoch()) != shard.restore_epoch()) {
      has.versions.clear();
    }
    for (const auto& block : shard.observe()) {
      has.versions[block.block] = std::max(has.versions[block.block], block.version);
    }
  }

  void on_answered(const Host& host, const Route& to, const Message& message) override {
    const View* view = evidence_.store.view(message.envelope.epoch);
    const auto* values = std::get_if<Values>(&message.body);
    const auto* ack = std::get_if<Ack>(&message.body);
    const auto* asked = evidence_.requests.find(host, to, message.envelope.request);
    if ((values == nullptr && ack == nullptr) || asked == nullptr || view == nullptr) {
      return;
    }
    const Iteration version = values != nullptr ? values->iteration : ack->iteration;
    const Placement& placement = placement_of(*view);
    for (const BlockId block : blocks_of(evidence_.reference.table(), asked->runs)) {
      have(*view, placement.holders(block), block, version, host.name + " has acknowledged it");
      if (view->restore.epoch == evidence_.store.views().back().restore.epoch) {
        auto& [lineage, acknowledged] = acknowledged_[block];
        acknowledged = lineage == view->restore.epoch ? std::max(acknowledged, version) : version;
        lineage = view->restore.epoch;
      }
    }
  }

  void on_persisted(const View& view) override {
    const Placement& placement = placement_of(view);
    for (const auto& [block, last] : acknowledged_) {
      if (last.first == view.restore.epoch) {
        have(view, placement.holders(block), block, last.second,
             "epoch " + std::to_string(view.epoch.value) + " takes it for a replica in sync");
      }
    }
  }

 private:
  struct Has {
    Epoch lineage;
    std::map<BlockId, Iteration> versions;  ///< newest ever
  };

  const Placement& placement_of(const View& view) {
    return placements_
        .try_emplace(view.epoch, view, evidence_.reference.table(), evidence_.job.virtual_nodes, evidence_.job.replicas)
        .first->second;
  }

  void have(const View& view, const Placement::Servers& holders, BlockId block, Iteration version,
            const std::string& why) {
    for (const std::uint32_t holder : holders) {
      const ServerMember& server = view.servers[holder];
      const Has& has = has_[server.id.value][server.incarnation];
      const auto at = has.versions.find(block);
      const bool has_it = at != has.versions.end() && at->second >= version;
      if (has.lineage <= view.restore.epoch && !(has.lineage == view.restore.epoch && has_it) &&
          version > view.restore.iteration) {  // what a lineage begins with is on the disk
        violated("4 (what is acknowledged is replicated)", server.id.value + " lacks version " +
                                                               std::to_string(version.value) + " of block " +
                                                               std::to_string(block.value) + ", and " + why);
      }
    }
  }

  std::map<std::string, std::map<Incarnation, Has>> has_;
  std::map<Epoch, Placement> placements_;
  std::map<BlockId, std::pair<Epoch, Iteration>> acknowledged_;  ///< newest of the current lineage
};

}  // namespace ringps::sim
