// Promise 9: any manifest that can be seen is complete, verifies, and is of one single version; after the first, there
// is always one to restore from. With checkpoint.wait, nobody passes one that is not committed.
#pragma once

#include <algorithm>
#include <vector>

#include "libps/base/sha256.hpp"
#include "libps/core/bounds.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class CheckpointsAreWhole : public Checker {
 public:
  using Checker::Checker;

  void on_committed(const Manifest& manifest) override {
    std::vector<std::uint32_t> copies(evidence_.reference.table().size(), 0);
    for (const auto& each : manifest.files) {
      const StoredFile* file = evidence_.store.file(each.file.name);
      if (file == nullptr) {
        violated(promise, "the file '" + each.file.name + "' of '" + manifest.folder + "' is not on the disk");
      }
      if (file->iteration != manifest.iteration || file->restore_epoch != manifest.restore_epoch ||
          digest(*file) != each.file.sha256) {
        violated(promise, "the file '" + each.file.name + "' does not verify");
      }
      for (const auto& [block, buffer] : file->blocks) {
        ++copies[block.value];
      }
      for (const auto& [block, rows] : file->rows) {
        ++copies[block.value];
      }
    }
    if (std::any_of(copies.begin(), copies.end(), [](std::uint32_t count) { return count != 1; })) {
      violated(promise, "'" + manifest.folder + "' does not have each block once");
    }
    committed_ = true;
  }

  void on_restore(const Host& host, const Restore& restore) override {
    if (!(evidence_.store.views().back().restore == restore)) {
      return;  // it has been removed, and has not heard of it yet
    }
    const Manifest* manifest = evidence_.store.manifest(restore.checkpoint);
    if (manifest == nullptr || manifest->iteration != restore.iteration) {
      violated(promise, host.name + " is to restore from '" + restore.checkpoint + "', which is not there");
    }
  }

  void on_persisted(const View& view) override {
    if (committed_ && view.restore.epoch == view.epoch &&
        evidence_.store.manifest(view.restore.checkpoint) == nullptr) {
      violated(promise, "a checkpoint was committed, and epoch " + std::to_string(view.epoch.value) +
                            " restores from '" + view.restore.checkpoint + "'");
    }
  }

 private:
  static constexpr const char* promise = "9 (a manifest is whole, and there is always one)";

  static std::string digest(const StoredFile& file) {
    Sha256 digest;
    for (const auto& [block, buffer] : file.blocks) {
      digest.update(std::as_bytes(std::span(buffer)));
    }
    for (const auto& [block, rows] : file.rows) {
      digest.update(std::as_bytes(std::span(rows.values)));
    }
    return digest.hex();
  }

  bool committed_ = false;
};

class NobodyPassesACheckpoint : public Checker {
 public:
  using Checker::Checker;

  void on_shard_step(const Host& host, const Shard& shard) override {
    if (!evidence_.job.checkpoint.wait) {
      return;
    }
    const Manifest* newest = evidence_.store.newest();
    const Iteration gate = first_checkpoint(evidence_.job, newest == nullptr ? Iteration{} : newest->iteration);
    if (shard.newest() > gate) {
      violated("9 (nobody passes a checkpoint that is waited for)",
               host.name + " is at version " + std::to_string(shard.newest().value) + ", checkpoint " +
                   std::to_string(gate.value) + " is not committed");
    }
  }
};

}  // namespace ringps::sim
