// Promise 13: once faults stop, the run finishes (World::run watches the time), and its weights equal the fault-free
// run's, as the last checkpoint has them on the disk.
#pragma once

#include <algorithm>

#include "tests/sim/checker.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

class RunEndsWell : public Checker {
 public:
  using Checker::Checker;

  void on_finished(RunState state, const std::string& text) override {
    if (state != RunState::completed) {
      violated(promise, "the run has ended in another way: " + text);
    }
    const Manifest* last = evidence_.store.newest();
    if (last == nullptr || last->iteration != evidence_.job.iterations) {
      violated(promise, "there is no checkpoint of the last iteration");
    }
    for (std::uint32_t b = 0; evidence_.bits_hold && b < evidence_.reference.table().size(); ++b) {
      if (!has_final(*last, BlockId{b})) {
        violated(promise, "block " + std::to_string(b) + " has not ended as in the fault-free run");
      }
    }
  }

 private:
  bool has_final(const Manifest& manifest, BlockId block) const {
    return std::any_of(manifest.files.begin(), manifest.files.end(), [&](const auto& each) {
      const StoredFile* file = evidence_.store.file(each.file.name);
      if (file == nullptr) {
        return false;
      }
      if (const auto at = file->rows.find(block); at != file->rows.end()) {
        return evidence_.reference.rows(block, manifest.iteration) == at->second;
      }
      const auto at = file->blocks.find(block);
      return at != file->blocks.end() && evidence_.reference.is_block(block, manifest.iteration, at->second);
    });
  }

  static constexpr const char* promise = "13 (once faults stop, the run finishes)";
};

}  // namespace ringps::sim
