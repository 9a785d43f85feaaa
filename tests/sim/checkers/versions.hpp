// Promise 7: versions only grow within an incarnation and between rollbacks, no block is two ahead of another, and a
// synchronous request is answered with exactly the version that it asks for.
// Promise 8: a message with an old epoch changes nothing; nor does one from a process that is not in the view.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/sim/checker.hpp"
#include "tests/sim/checkers/requests.hpp"
#include "tests/sim/host.hpp"

namespace ringps::sim {

class VersionsGrow : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    auto& [lineage, versions] = versions_[{host.index, host.life}];
    if (lineage != shard.restore_epoch()) {
      lineage = shard.restore_epoch();
      versions.clear();
    }
    std::map<BlockId, Iteration> held;
    Iteration newest;
    for (const auto& block : shard.observe()) {
      held[block.block] = block.version;
      const auto known = versions.find(block.block);
      if (known != versions.end() && block.version < known->second) {
        violated(promise, host.name + " has gone back to version " + std::to_string(block.version.value) +
                              " of block " + std::to_string(block.block.value));
      }
      newest = block.primary ? std::max(newest, block.version) : newest;
    }
    versions = std::move(held);
    if (newest.value > shard.version().value + 1) {
      violated(promise, host.name + " has blocks of versions " + std::to_string(shard.version().value) + " and " +
                            std::to_string(newest.value));
    }
  }

  void on_reached(const Host& host, const Weights& weights) override {
    auto& [lineage, version] = reached_[{host.index, host.life}];
    if (lineage == weights.restore_epoch && weights.version < version) {
      violated(promise, host.name + " has reached version " + std::to_string(weights.version.value) + " after " +
                            std::to_string(version.value));
    }
    lineage = weights.restore_epoch;
    version = weights.version;
  }

 private:
  static constexpr const char* promise = "7 (versions grow)";
  using Life = std::pair<HostIndex, std::uint32_t>;

  std::map<Life, std::pair<Epoch, std::map<BlockId, Iteration>>> versions_;
  std::map<Life, std::pair<Epoch, Iteration>> reached_;
};

class ExactVersion : public Checker {
 public:
  using Checker::Checker;

  void after_shard_message(const Host& host, const Message&, const Shard& shard,
                           const Shard::Effects& effects) override {
    for (const auto& effect : effects) {
      const auto* reply = std::get_if<Shard::Reply>(&effect);
      if (reply == nullptr) {
        continue;
      }
      if (const auto* values = std::get_if<Values>(&reply->message.body)) {
        is_exact(host, shard, *reply, values->iteration);
      } else if (const auto* ack = std::get_if<Ack>(&reply->message.body)) {
        is_exact(host, shard, *reply, ack->iteration);
      }
    }
  }

 private:
  static constexpr const char* promise = "7 (an answer has the version asked for)";

  void is_exact(const Host& host, const Shard& shard, const Shard::Reply& reply, Iteration iteration) const {
    const auto* asked = evidence_.requests.find(host, reply.to, reply.message.envelope.request);
    const bool expected = asked != nullptr && (asked->iteration == iteration || asked->iteration == newest_version ||
                                               (asked->follow && asked->iteration <= iteration));
    if (!expected || iteration > shard.newest()) {
      violated(promise, host.name + " answers " + reply.to + " with version " + std::to_string(iteration.value) +
                            ", which it has not or which was not asked for");
    }
  }
};

class OldEpochsChangeNothing : public Checker {
 public:
  using Checker::Checker;

  void before_shard_message(const Host&, const Message& message, const Shard& shard) override {
    const Envelope& from = message.envelope;
    old_ = from.epoch < shard.epoch() && !std::holds_alternative<Stale>(message.body);
    foreign_ = from.epoch == shard.epoch() && shard.epoch().value != 0 && !is_member(shard.view(), from);
    if (old_ || foreign_) {
      before_ = state(shard);
    }
  }

  void after_shard_message(const Host& host, const Message&, const Shard& shard,
                           const Shard::Effects& effects) override {
    if (!old_ && !foreign_) {
      return;
    }
    const auto* reply = effects.size() == 1 ? std::get_if<Shard::Reply>(&effects.front()) : nullptr;
    const bool turned_away = reply != nullptr && (old_ ? std::holds_alternative<Stale>(reply->message.body)
                                                       : std::holds_alternative<Refused>(reply->message.body));
    if (!turned_away || state(shard) != before_) {
      violated(promise, host.name + " has taken it to heart");
    }
  }

  void after_client_message(const Host& host, const Message& message, Epoch epoch,
                            const ClientCore::Effects& effects) override {
    if (message.envelope.epoch < epoch && !effects.empty()) {
      violated(promise, host.name + " has done something about " + message.envelope.sender + "'s old message");
    }
  }

 private:
  static constexpr const char* promise = "8 (an old epoch changes nothing)";
  using State = std::tuple<std::uint64_t, std::uint64_t, std::string, std::vector<const float*>>;

  static State state(const Shard& shard) {
    std::vector<const float*> buffers;
    for (const auto& block : shard.observe()) {
      buffers.push_back(block.current.data());
    }
    return {shard.counters().blocks_applied, shard.counters().duplicates, shard.waiting_for(), std::move(buffers)};
  }

  static bool is_member(const View& view, const Envelope& from) {
    const auto is_it = [&](const auto& member) {
      return member.id.value == from.sender && member.incarnation == from.incarnation;
    };
    return from.role == Role::server ? std::any_of(view.servers.begin(), view.servers.end(), is_it)
                                     : std::any_of(view.workers.begin(), view.workers.end(), is_it);
  }

  bool old_ = false;
  bool foreign_ = false;  ///< from a process that is not in the view
  State before_;
};

}  // namespace ringps::sim
