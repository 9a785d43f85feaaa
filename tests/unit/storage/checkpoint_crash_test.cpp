// Loss of power at every moment of a run's checkpoints, alone and after a kill at every other moment before it.
#include <unistd.h>

#include <functional>
#include <map>
#include <optional>

#include "libps/storage/checkpoint_reader.hpp"
#include "libps/storage/checkpoint_store.hpp"
#include "tests/unit/storage/crash_disk.hpp"
#include "tests/unit/storage/fixtures.hpp"
#include "tests/unit/storage/recorded_files.hpp"

using namespace ringps;
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t keep = 2;
const std::string checkpoints_name = "checkpoints";

/// Thousands of disks are made and looked at: better in memory than behind what else a machine writes.
fs::path memory() {
  const fs::path shared_memory = "/dev/shm";
  return ::access(shared_memory.c_str(), W_OK) == 0 ? shared_memory : fs::temp_directory_path();
}

const std::vector<BlockId> even{BlockId{0}, BlockId{2}};
const std::vector<BlockId> odd{BlockId{1}, BlockId{3}};

/// A commit that has returned when `ops` operations had been done.
struct Promise {
  std::size_t ops;
  Iteration iteration;
};

/// What is on the disk below `root` after a loss of power.
class CheckpointInspector {
 public:
  explicit CheckpointInspector(const fs::path& root) : root_(root), disk_(root) {}

  /// Everything that is wrong, given that `least` had been committed (none: nothing had). Each state is looked at once.
  std::string problem(const Disk& disk, std::optional<Iteration> least) {
    const auto [known, fresh] = seen_.try_emplace(disk.fingerprint());
    if (fresh) {
      known->second = look(disk);
    }
    const State& state = known->second;
    if (!state.problem.empty()) {
      return state.problem;
    }
    if (least && (!state.newest || *state.newest < *least)) {
      return "checkpoint " + std::to_string(least->value) + " was committed, and the newest is " +
             (state.newest ? std::to_string(state.newest->value) : "none");
    }
    return {};
  }

  std::size_t states() const { return seen_.size(); }

 private:
  struct State {
    std::string problem;
    std::optional<Iteration> newest;
  };

  State look(const Disk& disk) {
    disk_.become(disk);
    const auto listed = list_checkpoints(root_ / checkpoints_name);
    if (!listed) {
      return {listed.error(), {}};
    }
    for (const CommittedCheckpoint& checkpoint : *listed) {
      const auto below = disk.find(checkpoint.folder.lexically_relative(root_).string());
      const auto [known, fresh] =
          verified_.try_emplace(std::to_string(checkpoint.iteration.value) + "\n" + disk.fingerprint(*below));
      if (fresh) {
        known->second = verify(checkpoint);
      }
      if (!known->second.empty()) {
        return {known->second, {}};
      }
    }
    const auto resolved = resolve_checkpoint(root_);
    if (resolved.ok() == listed->empty() || (resolved && *resolved != listed->front().folder)) {
      return {"what is listed and what is restored from differ", {}};
    }
    return {{}, listed->empty() ? std::nullopt : std::optional(listed->front().iteration)};
  }

  /// A manifest that can be seen is complete, and stands for the very values that were written.
  static std::string verify(const CommittedCheckpoint& checkpoint) {
    const SmallModel model;
    if (const auto found = verify_checkpoint(checkpoint.folder); !found.problems.empty()) {
      return found.problems.front();
    }
    const std::vector<BlockId> all{BlockId{0}, BlockId{1}, BlockId{2}, BlockId{3}};
    const auto loaded = load_blocks(checkpoint.folder, model.table, 1, all);
    if (!loaded) {
      return loaded.error();
    }
    for (const LoadedBlock& block : *loaded) {
      const Floats expected = model.values(block.block, checkpoint.iteration);
      if (block.values != expected || block.state != SmallModel::negated(expected)) {
        return checkpoint.folder.string() + ": has other values than were written";
      }
    }
    return {};
  }

  fs::path root_;
  MaterialisedDisk disk_;
  std::map<std::string, State> seen_;            ///< by fingerprint of the disk
  std::map<std::string, std::string> verified_;  ///< by iteration and fingerprint of a checkpoint's folder
};

/// Two servers and a coordinator that take checkpoints, each process started again where it is killed.
class Run {
 public:
  explicit Run(RecordedFiles& files, fs::path dir) : log_(files.log()), dir_(std::move(dir)) {}

  void take_all_checkpoints() {
    take_checkpoint(Iteration{20});
    take_checkpoint(Iteration{40});
    // The second server is asked once more: it has come to own other blocks meanwhile.
    write("server1", {BlockId{3}}, Iteration{60});
    reported_.clear();
    take_checkpoint(Iteration{60});
  }

  void next_life() { model_.incarnation = model_.incarnation.next(); }

  const std::vector<Promise>& promises() const { return promises_; }
  bool killed() const { return killed_; }
  /// Operations done when the process that had been killed has done in a second life what it was at, and the next
  /// checkpoint, if there was another, has been committed.
  std::size_t settled_at() const { return settled_at_.value_or(log_.ops().size()); }

 private:
  void take_checkpoint(Iteration iteration) {
    write("server0", even, iteration);
    write("server1", odd, iteration);
    Manifest manifest = model_.manifest(iteration, true);
    manifest.files = std::exchange(reported_, {});
    in_lives([&] { return commit(dir_, manifest).ok(); });
    promises_.push_back({log_.ops().size(), iteration});
    in_lives([&] { return prune(dir_, keep, iteration).ok(); });
    taken_after_kill_ += killed_ ? 1 : 0;
    if (taken_after_kill_ == 2) {
      settled_at_ = log_.ops().size();
    }
  }

  void write(const std::string& server, const std::vector<BlockId>& blocks, Iteration iteration) {
    in_lives([&] {
      const auto files = model_.write(dir_, server, blocks, iteration, true);
      if (files) {
        for (const WrittenFile& file : *files) {
          reported_.push_back({ServerId{server}, file});
        }
      }
      return files.ok();
    });
  }

  /// A killed process is started again, as a new incarnation, and does it from the start.
  void in_lives(const std::function<bool()>& work) {
    const bool done = work();
    if (done) {
      return;
    }
    REQUIRE(log_.dead());
    log_.revive();
    killed_ = true;
    next_life();
    REQUIRE(work());
  }

  DiskLog& log_;
  fs::path dir_;
  SmallModel model_;
  std::vector<ManifestFile> reported_;
  std::vector<Promise> promises_;
  bool killed_ = false;
  int taken_after_kill_ = 0;
  std::optional<std::size_t> settled_at_;
};

std::optional<Iteration> promised(const std::vector<Promise>& promises, std::size_t ops) {
  std::optional<Iteration> newest;
  for (const Promise& promise : promises) {
    newest = promise.ops <= ops ? promise.iteration : newest;
  }
  return newest;
}

std::string first_problem_of(const DiskLog& log, const std::vector<Promise>& promises, std::size_t first,
                             std::size_t last, CheckpointInspector& inspector) {
  return first_problem(log.ops(), first, last, {}, [&](std::size_t done, const Disk& disk) {
    return inspector.problem(disk, promised(promises, done));
  });
}

}  // namespace

TEST_CASE("power lost at any moment of three checkpoints leaves only whole ones, and the newest that was committed") {
  const TempDir live(memory());
  const TempDir crashed(memory());
  RecordedFiles files(live.path());
  Run run(files, live / checkpoints_name);
  run.take_all_checkpoints();
  CheckpointInspector inspector(crashed.path());
  CHECK(first_problem_of(files.log(), run.promises(), 0, files.log().ops().size(), inspector) == "");
  CHECK(inspector.states() > 150);
  CHECK(names_in(live / checkpoints_name) == std::vector<std::string>{"iteration-0000000040", "iteration-0000000060"});
}

TEST_CASE("a process killed at any moment, and then power lost at any later one, leave as much") {
  const TempDir crashed(memory());
  CheckpointInspector inspector(crashed.path());
  bool killed = true;
  std::size_t kill = 0;
  for (; killed; ++kill) {
    const TempDir live(memory());
    RecordedFiles files(live.path());
    files.log().kill_before(kill);
    Run run(files, live / checkpoints_name);
    run.take_all_checkpoints();
    killed = run.killed();
    INFO("killed before operation " << kill);
    CHECK(first_problem_of(files.log(), run.promises(), kill, run.settled_at(), inspector) == "");
  }
  CHECK(kill > 100);
  CHECK(inspector.states() > 4000);
}

TEST_CASE("whatever a loss of power leaves, the run's checkpoints can be taken on top of it") {
  std::map<std::string, Disk> disks;
  {
    const TempDir live(memory());
    RecordedFiles files(live.path());
    Run(files, live / checkpoints_name).take_all_checkpoints();
    const auto& ops = files.log().ops();
    first_problem(ops, 0, ops.size(), {}, [&](std::size_t, const Disk& disk) {
      disks.emplace(disk.fingerprint(), disk);
      return std::string();
    });
  }
  for (const auto& [fingerprint, disk] : disks) {
    const TempDir crashed(memory());
    RecordedFiles files(crashed.path(), disk);
    Run run(files, crashed / checkpoints_name);
    run.next_life();
    run.take_all_checkpoints();
    INFO(fingerprint);
    const auto listed = list_checkpoints(crashed / checkpoints_name);
    REQUIRE(listed);
    CHECK(listed->size() == keep);
    for (const CommittedCheckpoint& checkpoint : *listed) {
      CHECK(verify_checkpoint(checkpoint.folder).problems.empty());
    }
  }
}

TEST_CASE("a folder whose maker was killed before it was durable is so for the next who needs it") {
  const TempDir live(memory());
  RecordedFiles files(live.path());
  files.log().kill_before(1);  // the folder is made, and not synced
  REQUIRE_FALSE(make_folder(live / checkpoints_name));
  files.log().revive();
  REQUIRE(make_folder(live / checkpoints_name));
  const auto& ops = files.log().ops();
  CHECK(first_problem(ops, ops.size(), ops.size(), {}, [](std::size_t, const Disk& disk) {
          return disk.find(checkpoints_name) ? "" : "the folder is gone";
        }) == "");
}

TEST_CASE("files are deleted only when their manifest is durably gone, whoever deleted that") {
  const TempDir live(memory());
  RecordedFiles files(live.path());
  const SmallModel model;
  const fs::path folder = model.checkpoint(live.path(), Iteration{20});
  model.checkpoint(live.path(), Iteration{40});
  files.log().kill_before(files.log().ops().size() + 1);  // the manifest is deleted, and not synced
  REQUIRE_FALSE(prune(live.path(), 1, Iteration{40}));
  files.log().revive();
  REQUIRE(prune(live.path(), 1, Iteration{40}));
  const auto& ops = files.log().ops();
  const std::string manifest = (folder.filename() / manifest_name).string();
  CHECK(first_problem(ops, ops.size(), ops.size(), {}, [&](std::size_t, const Disk& disk) {
          return disk.find(manifest) ? "the manifest is back" : "";
        }) == "");
}
