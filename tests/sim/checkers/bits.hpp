// Promise 5: a version of a block has the same bits wherever and whenever it is seen, and they are the fault-free
// run's.
#pragma once

#include <cstring>

#include "tests/sim/checker.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class SameBits : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    if (!evidence_.bits_hold) {
      return;
    }
    for (const auto& block : shard.observe()) {
      if (block.rows != nullptr) {
        is_reference(host, block.block, block.version, block.rows->image(false));
        if (block.rows->has_previous()) {
          is_reference(host, block.block, Iteration{block.version.value - 1}, block.rows->image(true));
        }
        continue;
      }
      is_reference(host, block.block, block.version, block.current);
      if (!block.previous.empty()) {
        const Iteration version{block.version.value - 1};
        is_right(evidence_.reference.are_values(block.block, version, block.previous), host, block.block, version);
      }
    }
  }

  void on_reached(const Host& host, const Weights& weights) override {
    if (!evidence_.bits_hold || !weights.values) {
      return;
    }
    const Floats expected = evidence_.reference.weights_at_workers(weights.version);
    if (weights.values->size() != expected.size() ||
        std::memcmp(weights.values->data(), expected.data(), expected.size() * sizeof(float)) != 0) {
      violated(promise, host.name + " has other weights of version " + std::to_string(weights.version.value));
    }
  }

  void on_committed(const Manifest& manifest) override {
    for (const auto& each : manifest.files) {
      const StoredFile* file = evidence_.store.file(each.file.name);
      if (file == nullptr || !evidence_.bits_hold) {
        continue;
      }
      for (const auto& [block, rows] : file->rows) {
        if (evidence_.reference.rows(block, manifest.iteration) != rows) {
          violated(promise, "block " + std::to_string(block.value) + " differs in the checkpoint of version " +
                                std::to_string(manifest.iteration.value));
        }
      }
      for (const auto& [block, buffer] : file->blocks) {
        if (!evidence_.reference.is_block(block, manifest.iteration, buffer)) {
          violated(promise, "block " + std::to_string(block.value) + " differs in the checkpoint of version " +
                                std::to_string(manifest.iteration.value));
        }
      }
    }
  }

 private:
  static constexpr const char* promise = "5 (the bits are those of the fault-free run)";

  void is_reference(const Host& host, BlockId block, Iteration version, const RowImage& rows) const {
    is_right(evidence_.reference.rows(block, version) == rows, host, block, version);
  }
  void is_reference(const Host& host, BlockId block, Iteration version, std::span<const float> buffer) const {
    is_right(evidence_.reference.is_block(block, version, buffer), host, block, version);
  }
  static void is_right(bool right, const Host& host, BlockId block, Iteration version) {
    if (!right) {
      violated(promise, host.name + " has other bits of block " + std::to_string(block.value) + " in version " +
                            std::to_string(version.value));
    }
  }
};

}  // namespace ringps::sim
