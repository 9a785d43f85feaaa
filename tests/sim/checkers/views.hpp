// Promise 1: every view that anyone has seen is in the journal with the same content; epochs only grow.
// Promise 2: at most one primary for a block in an epoch, and it acts only in that epoch.
#pragma once

#include <algorithm>
#include <map>
#include <utility>

#include "tests/sim/checker.hpp"
#include "tests/sim/host.hpp"

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
  void on_sent(const Host& from, const Message& message) override {
    const bool acts = from.role == Role::server &&
                      (std::holds_alternative<Values>(message.body) || (std::holds_alternative<Ack>(message.body)));
    if (!acts) {
      return;
    }
    const View* view = evidence_.store.view(message.envelope.epoch);
    const auto is_self = [&](const ServerMember& s) {
      return s.id.value == from.name && s.incarnation == from.incarnation;
    };
    if (view == nullptr || std::none_of(view->servers.begin(), view->servers.end(), is_self)) {
      violated(promise, from.name + " answers in epoch " + std::to_string(message.envelope.epoch.value) +
                            ", of which it is no member");
    }
  }

 private:
  static constexpr const char* promise = "2 (one primary for a block in an epoch)";

  std::map<std::pair<HostIndex, std::uint32_t>, Epoch> seen_;
  std::map<std::pair<Epoch, BlockId>, Incarnation> primaries_;
};

}  // namespace ringps::sim
