// The folder of a run: what lies where, and whose it is.
#pragma once

#include <filesystem>
#include <string>

#include "libps/base/result.hpp"
#include "libps/storage/file.hpp"
#include "services/common/status_json.hpp"

namespace ringps {

namespace fs = std::filesystem;

class RunDir {
 public:
  /// Makes `path`, or where that is empty, the first free runs/<name>-<n>. A folder of an earlier run is emptied of
  /// what that run wrote; one with other things in it, or of a run that goes on, is refused.
  static Result<RunDir> create(const fs::path& path, const std::string& name);

  const fs::path& path() const { return path_; }
  fs::path config() const { return path_ / "config.yaml"; }
  fs::path log(const std::string& id) const { return path_ / "logs" / (id + ".log"); }
  fs::path processes() const { return path_ / "processes.json"; }
  fs::path checkpoints() const { return path_ / "checkpoints"; }
  fs::path metrics() const { return path_ / "metrics.jsonl"; }
  fs::path last_status() const { return path_ / last_status_name; }
  fs::path results() const { return path_ / "results.json"; }
  fs::path curve() const { return path_ / "curve.svg"; }
  fs::path fault_free() const { return path_ / "fault-free"; }

 private:
  RunDir(fs::path path, FileDescriptor lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  static Result<RunDir> claim(const fs::path& path);

  fs::path path_;
  FileDescriptor lock_;  ///< held while this process works in the folder
};

}  // namespace ringps
