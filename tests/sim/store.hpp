// What outlives processes: the coordinator's journal and the checkpoints' files and manifests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/core/coordinator.hpp"

namespace ringps::sim {

/// A server's blocks of one version, on disk.
struct StoredFile {
  Iteration iteration;
  Epoch restore_epoch;
  std::map<BlockId, Floats> blocks;  ///< of tensors
  std::map<BlockId, RowImage> rows;  ///< of tables
};

struct Manifest {
  std::string folder;
  Iteration iteration;
  Epoch restore_epoch;
  std::vector<Coordinator::CheckpointFile> files;
};

class Store {
 public:
  void append_view(const View& view) { views_.push_back(view); }
  const std::vector<View>& views() const { return views_; }
  /// The view of that number, or null.
  const View* view(Epoch epoch) const;

  void record(const Progress& progress) { records_.push_back(progress); }
  const std::vector<Progress>& records() const { return records_; }

  void write(const std::string& name, StoredFile file) { files_[name] = std::move(file); }
  const StoredFile* file(const std::string& name) const;

  /// Commits a checkpoint and deletes older ones beyond `keep`, but not the folder `in_use`.
  const Manifest& commit(Manifest manifest, std::uint32_t keep, const std::string& in_use);
  const Manifest* manifest(const std::string& folder) const;
  /// Of the highest version; null if there is none.
  const Manifest* newest() const;

 private:
  std::vector<View> views_;
  std::vector<Progress> records_;
  std::map<std::string, StoredFile> files_;
  std::vector<Manifest> manifests_;  ///< in order of version; equal ones in order of commit
};

}  // namespace ringps::sim
