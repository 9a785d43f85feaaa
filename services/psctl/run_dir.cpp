#include "services/psctl/run_dir.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

namespace ringps {
namespace {

/// Says that psctl made the folder, and is locked while a run works in it.
constexpr const char* lock_name = ".psctl.lock";

/// All that a run may leave, besides the lock.
constexpr const char* entries_of_a_run[] = {"config.yaml",
                                            "logs",
                                            "processes.json",
                                            "checkpoints",
                                            "metrics.jsonl",
                                            "results.json",
                                            "curve.svg",
                                            "fault-free",
                                            "coordinator.json",
                                            "journal.sqlite",
                                            "journal.sqlite-wal",
                                            "journal.sqlite-shm",
                                            "journal.sqlite-journal",
                                            last_status_name};

/// Numbers of runs in one folder: a bound for the search of a free one.
constexpr int runs_max = 1'000'000;

}  // namespace

Result<RunDir> RunDir::create(const fs::path& path, const std::string& name) {
  if (!path.empty()) {
    return claim(path);
  }
  for (int n = 1; n < runs_max; ++n) {
    const fs::path candidate = fs::path("runs") / fmt::format("{}-{}", name, n);
    std::error_code error;
    fs::create_directories(candidate.parent_path(), error);
    if (!error && fs::create_directory(candidate, error)) {  // false if it is there already
      return claim(candidate);
    }
    if (error && error != std::errc::file_exists) {
      return Error{fmt::format("{}: cannot make the folder of the run: {}", candidate.string(), error.message())};
    }
  }
  return Error{"runs: all numbers are taken; choose a folder with --run-dir"};
}

Result<RunDir> RunDir::claim(const fs::path& path) {
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
  for (const char* entry : entries_of_a_run) {
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
  return RunDir(fs::absolute(path).lexically_normal(), std::move(lock));
}

}  // namespace ringps
