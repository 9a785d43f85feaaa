#include "services/psctl/run_dir.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

#include "libps/storage/checkpoint_store.hpp"

namespace ringps {
namespace {

/// Says that psctl made the folder, and is locked while a run works in it.
constexpr const char* lock_name = ".psctl.lock";

/// All that a run may leave, besides the lock.
constexpr const char* entries_of_a_run[] = {"config.yaml",
                                            "logs",
                                            "processes.json",
                                            RunDir::checkpoints_name,
                                            RunDir::earlier_checkpoints_name,
                                            "metrics.jsonl",
                                            "results.json",
                                            "curve.svg",
                                            "fault-free",
                                            "uncompressed",
                                            "coordinator.json",
                                            "journal.sqlite",
                                            "journal.sqlite-wal",
                                            "journal.sqlite-shm",
                                            "journal.sqlite-journal",
                                            last_status_name};

/// Numbers of runs in one folder: a bound for the search of a free one.
constexpr int runs_max = 1'000'000;

bool lies_in(const fs::path& inner, const fs::path& outer) {
  if (inner.empty()) {
    return false;
  }
  const fs::path below = inner.lexically_relative(fs::absolute(outer).lexically_normal());
  return !below.empty() && *below.begin() != "..";
}

/// Moves a checkpoint of the earlier run out of the new one's way, together with the others of it. Returns where it is
/// then; `resume` itself where it lies elsewhere.
Result<fs::path> set_aside(const fs::path& path, const fs::path& resume) {
  const fs::path below = resume.lexically_relative(fs::absolute(path).lexically_normal());
  if (resume.empty() || below.empty() || *below.begin() == ".." || *below.begin() == RunDir::earlier_checkpoints_name) {
    return resume;
  }
  if (*below.begin() != RunDir::checkpoints_name) {
    return Error{fmt::format("{} lies in the folder of the run, {}, which would be emptied; choose another --run-dir",
                             resume.string(), path.string())};
  }
  const fs::path earlier = path / RunDir::earlier_checkpoints_name;
  std::error_code error;
  fs::remove_all(earlier, error);
  if (!error) {
    fs::rename(path / RunDir::checkpoints_name, earlier, error);
  }
  if (error) {
    return Error{
        fmt::format("{}: cannot set the checkpoints of the earlier run aside: {}", path.string(), error.message())};
  }
  return fs::absolute(earlier / below.lexically_relative(RunDir::checkpoints_name)).lexically_normal();
}

}  // namespace

std::optional<fs::path> RunDir::newest_checkpoint(const fs::path& path) {
  for (const char* folder : {checkpoints_name, earlier_checkpoints_name}) {
    const auto checkpoints = list_checkpoints(path / folder);
    if (checkpoints && !checkpoints->empty()) {
      return checkpoints->front().folder;
    }
  }
  return std::nullopt;
}

Result<RunDir> RunDir::create(const fs::path& path, const std::string& name, const fs::path& resume, Earlier earlier) {
  if (!path.empty()) {
    return claim(path, resume, earlier);
  }
  for (int n = 1; n < runs_max; ++n) {
    const fs::path candidate = fs::path("runs") / fmt::format("{}-{}", name, n);
    std::error_code error;
    fs::create_directories(candidate.parent_path(), error);
    if (!error && fs::create_directory(candidate, error)) {  // false if it is there already
      return claim(candidate, resume, earlier);
    }
    if (error && error != std::errc::file_exists) {
      return Error{fmt::format("{}: cannot make the folder of the run: {}", candidate.string(), error.message())};
    }
  }
  return Error{"runs: all numbers are taken; choose a folder with --run-dir"};
}

Result<RunDir> RunDir::claim(const fs::path& path, const fs::path& resume, Earlier earlier) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    return Error{fmt::format("{}: cannot make the folder of the run: {}", path.string(),
                             error ? error.message() : "there is something else of that name")};
  }
  const fs::path lock_path = path / lock_name;
  if (!fs::is_empty(path, error) && !fs::exists(lock_path, error)) {
    return Error{fmt::format("{}: is not empty and no folder of a run; choose another --run-dir", path.string())};
  }
  FileDescriptor lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) {
    return io_error(lock_path, "open", errno);
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{fmt::format("{}: another run is going on there; choose another --run-dir", path.string())};
  }
  if (const auto newest = newest_checkpoint(path); newest && earlier == Earlier::keep && !lies_in(resume, path)) {
    return Error{fmt::format(
        "{}: has checkpoints of an earlier run, the newest being {}; go on from it (checkpoint.resume=latest), choose "
        "another --run-dir, or begin anew and lose them (--overwrite)",
        path.string(), newest->filename().string())};
  }
  auto resumed = set_aside(path, resume);
  if (!resumed) {
    return resumed.failure();
  }
  for (const char* entry : entries_of_a_run) {
    if (lies_in(*resumed, path / entry)) {
      continue;
    }
    fs::remove_all(path / entry, error);
    if (error) {
      return Error{
          fmt::format("{}: cannot remove what an earlier run has left: {}", (path / entry).string(), error.message())};
    }
  }
  fs::create_directories(path / "logs", error);
  if (error) {
    return Error{fmt::format("{}: cannot make the folder of the logs: {}", (path / "logs").string(), error.message())};
  }
  return RunDir(fs::absolute(path).lexically_normal(), std::move(lock), std::move(*resumed));
}

}  // namespace ringps
