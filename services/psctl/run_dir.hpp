// The folder of a run: what lies where, and whose it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "libps/base/result.hpp"
#include "libps/storage/file.hpp"
#include "services/common/status_json.hpp"

namespace ringps {

namespace fs = std::filesystem;

class RunDir {
 public:
  static constexpr const char* checkpoints_name = "checkpoints";
  /// Those of the run that was here before, where this one goes on from them.
  static constexpr const char* earlier_checkpoints_name = "earlier-checkpoints";

  /// What becomes of an earlier run's checkpoints, where nothing is resumed.
  enum class Earlier : std::uint8_t { keep, overwrite };

  /// Makes `path`, or where that is empty, the first free runs/<name>-<n>. A folder of an earlier run is emptied of
  /// what that run wrote; refused are one with checkpoints that are to be kept, one with other things in it, and one of
  /// a run that goes on. `resume`: the absolute path of a checkpoint, which is kept where it lies in the folder (see
  /// resumed()); or empty.
  static Result<RunDir> create(const fs::path& path, const std::string& name, const fs::path& resume = {},
                               Earlier earlier = Earlier::keep);

  /// Of all checkpoints that the run in `path` has left, the newest: its own, or if it came to none, the one that it
  /// went on from.
  static std::optional<fs::path> newest_checkpoint(const fs::path& path);

  /// Where the checkpoint to go on from lies now; empty: there is none.
  const fs::path& resumed() const { return resumed_; }

  const fs::path& path() const { return path_; }
  fs::path config() const { return path_ / "config.yaml"; }
  fs::path log(const std::string& id) const { return path_ / "logs" / (id + ".log"); }
  fs::path processes() const { return path_ / "processes.json"; }
  fs::path checkpoints() const { return path_ / checkpoints_name; }
  fs::path metrics() const { return path_ / "metrics.jsonl"; }
  fs::path last_status() const { return path_ / last_status_name; }
  fs::path results() const { return path_ / "results.json"; }
  fs::path curve() const { return path_ / "curve.svg"; }
  fs::path fault_free() const { return path_ / "fault-free"; }
  fs::path uncompressed() const { return path_ / "uncompressed"; }

 private:
  RunDir(fs::path path, FileDescriptor lock, fs::path resumed)
      : path_(std::move(path)), lock_(std::move(lock)), resumed_(std::move(resumed)) {}
  static Result<RunDir> claim(const fs::path& path, const fs::path& resume, Earlier earlier);

  fs::path path_;
  FileDescriptor lock_;  ///< held while this process works in the folder
  fs::path resumed_;
};

}  // namespace ringps
