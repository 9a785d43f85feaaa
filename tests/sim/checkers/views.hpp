// Promise 1: every view that anyone has seen is in the journal with the same content; epochs only grow.
// Promise 2: at most one primary for a block in an epoch, and it acts only in that epoch.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "tests/sim/checker.hpp"
#include "tests/sim/checkers/requests.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class ViewsAreJournaled : public Checker {
 public:
  using Checker::Checker;

  void on_persisted(const View& view) override {
    if (view.epoch != last_.next()) {
      violated(promise, "epoch " + std::to_string(view.epoch.value) + " follows " + std::to_string(last_.value));
    }
    last_ = view.epoch;
  }
  void on_sent(const Host& from, const Message& message) override {
    if (const auto* stale = std::get_if<Stale>(&message.body)) {
      is_journaled(from, stale->view);
    } else if (const auto* answer = std::get_if<ViewAnswer>(&message.body)) {
      is_journaled(from, answer->view);
    } else if (const auto* published = std::get_if<ViewPublished>(&message.body)) {
      is_journaled(from, published->view);
    }
  }
  void on_adopted(const Host& host, const View& view) override {
    is_journaled(host, view);
    Epoch& newest = newest_[{host.index, host.life}];
    if (view.epoch < newest) {
      violated(promise, host.name + " goes back to epoch " + std::to_string(view.epoch.value));
    }
    newest = view.epoch;
  }

 private:
  static constexpr const char* promise = "1 (views are journaled, epochs grow)";

  void is_journaled(const Host& host, const View& view) const {
    const View* kept = evidence_.store.view(view.epoch);
    if (view.epoch.value != 0 && (kept == nullptr || !(*kept == view))) {
      violated(promise,
               host.name + " knows a view " + std::to_string(view.epoch.value) + " that is not in the journal");
    }
  }

  Epoch last_;
  std::map<std::pair<HostIndex, std::uint32_t>, Epoch> newest_;  ///< by life of a member
};

class OnePrimary : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    auto& seen = seen_[{host.index, host.life}];
    if (seen == shard.epoch()) {
      return;
    }
    seen = shard.epoch();
    for (const auto& block : shard.observe()) {
      if (!block.primary) {
        continue;
      }
      const auto [at, added] = primaries_.emplace(std::pair(shard.epoch(), block.block), host.incarnation);
      if (!added && at->second != host.incarnation) {
        violated(promise, "block " + std::to_string(block.block.value) + " has two primaries in epoch " +
                              std::to_string(shard.epoch().value) + ", one of them " + host.name);
      }
    }
  }
  void on_answered(const Host& host, const Route& to, const Message& message) override {
    const auto* asked = evidence_.requests.find(host, to, message.envelope.request);
    if (asked == nullptr ||
        !(std::holds_alternative<Values>(message.body) || std::holds_alternative<Ack>(message.body))) {
      return;
    }
    const View* view = evidence_.store.view(message.envelope.epoch);
    const auto self = view == nullptr ? std::nullopt : view->server_index(host.name);
    if (!self || view->servers[*self].incarnation != host.incarnation) {
      violated(promise, host.name + " answers in epoch " + std::to_string(message.envelope.epoch.value) +
                            ", of which it is no member");
    }
    const auto& table = evidence_.reference.table();
    const auto [placement, added] =
        placements_.try_emplace(view->epoch, *view, table, evidence_.job.virtual_nodes, evidence_.job.replicas);
    for (const BlockId block : blocks_of(table, asked->runs)) {
      if (placement->second.primary(block) != *self) {
        violated(promise, host.name + " answers for block " + std::to_string(block.value) + " in epoch " +
                              std::to_string(view->epoch.value) + ", of which it is not the primary");
      }
    }
  }

 private:
  static constexpr const char* promise = "2 (one primary for a block in an epoch)";

  std::map<std::pair<HostIndex, std::uint32_t>, Epoch> seen_;
  std::map<std::pair<Epoch, BlockId>, Incarnation> primaries_;
  std::map<Epoch, Placement> placements_;
};

}  // namespace ringps::sim
