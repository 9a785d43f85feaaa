#include "services/psctl/resume.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>

#include "services/psctl/run_dir.hpp"
#include "tests/support/temp_dir.hpp"

namespace ringps {
namespace {

/// What makes a folder a committed checkpoint, to those who only look for one.
fs::path commit(const fs::path& run, const std::string& folder, int iteration) {
  fs::path checkpoint = run / folder / ("iteration-000000000" + std::to_string(iteration));
  fs::create_directories(checkpoint);
  std::ofstream(checkpoint / "manifest.json") << "{}";
  return checkpoint;
}

/// As the earlier run in it has left it when everything was killed.
fs::path run_in(const TempDir& temp) {
  fs::path path = temp / "run";
  REQUIRE(RunDir::create(path, "test"));
  return path;
}

class Here {
 public:
  explicit Here(const fs::path& path) : before_(fs::current_path()) { fs::current_path(path); }
  ~Here() { fs::current_path(before_); }

 private:
  fs::path before_;
};

TEST_CASE("latest is the newest checkpoint of the run's own folder, which is kept for it") {
  const TempDir temp;
  const fs::path run = run_in(temp);
  commit(run, "checkpoints", 3);
  const fs::path newest = commit(run, "checkpoints", 5);
  fs::create_directories(run / "checkpoints" / "iteration-0000000007");  // not committed
  const auto found = find_resume("latest", "test", run);
  REQUIRE(found);
  CHECK(*found == newest);
  const auto again = RunDir::create(run, "test", *found);
  REQUIRE(again);
  CHECK(again->resumed() == run / "earlier-checkpoints" / newest.filename());
  CHECK(fs::exists(again->resumed() / "manifest.json"));
  CHECK(!fs::exists(run / "checkpoints"));
}

TEST_CASE("a run that is killed again before its first checkpoint goes on from the same one as before") {
  const TempDir temp;
  const fs::path run = run_in(temp);
  commit(run, "checkpoints", 5);
  for (int i = 0; i < 3; ++i) {
    const auto found = find_resume("latest", "test", run);
    REQUIRE(found);
    const auto again = RunDir::create(run, "test", *found);
    REQUIRE(again);
    CHECK(fs::exists(again->resumed() / "manifest.json"));
    CHECK(again->resumed().filename() == "iteration-0000000005");
  }
  const fs::path next = commit(run, "checkpoints", 6);
  CHECK(find_resume("latest", "test", run).value() == next);
}

TEST_CASE("a checkpoint elsewhere is left alone, and the folder is emptied as ever") {
  const TempDir temp;
  const fs::path run = run_in(temp);
  commit(run, "checkpoints", 5);
  commit(run, "earlier-checkpoints", 4);
  const fs::path elsewhere = commit(temp / "other", "checkpoints", 2);
  CHECK_THAT(RunDir::create(run, "test", elsewhere).error(), Catch::Contains("--overwrite"));
  const auto again = RunDir::create(run, "test", elsewhere, RunDir::Earlier::overwrite);
  REQUIRE(again);
  CHECK(again->resumed() == elsewhere);
  CHECK(!fs::exists(run / "checkpoints"));
  CHECK(!fs::exists(run / "earlier-checkpoints"));
}

TEST_CASE("checkpoints of an earlier run are not lost because somebody forgets to go on from them") {
  const TempDir temp;
  const fs::path run = run_in(temp);
  const fs::path newest = commit(run, "checkpoints", 5);
  CHECK_THAT(RunDir::create(run, "test").error(), Catch::Contains("iteration-0000000005"));
  CHECK(fs::exists(newest / "manifest.json"));
  REQUIRE(RunDir::create(run, "test", {}, RunDir::Earlier::overwrite));
  CHECK(!fs::exists(newest));
}

TEST_CASE("latest never means another run's checkpoint where the run has a folder of its own") {
  const TempDir temp;
  const Here here(temp.path());
  commit("runs/mnist-1", "checkpoints", 9);
  fs::create_directories("own");
  CHECK_THAT(find_resume("latest", "mnist", "own").error(), Catch::Contains("there is no checkpoint in own"));
}

TEST_CASE("a checkpoint that the folder's emptying would delete is refused") {
  const TempDir temp;
  const fs::path run = run_in(temp);
  const fs::path inner = commit(run / "fault-free", "checkpoints", 5);
  const auto again = RunDir::create(run, "test", inner);
  REQUIRE(!again);
  CHECK_THAT(again.error(), Catch::Contains("would be emptied"));
  CHECK(fs::exists(inner));
}

TEST_CASE("without a folder of its own, latest is the newest of all runs of that name") {
  const TempDir temp;
  const Here here(temp.path());
  CHECK_THAT(find_resume("latest", "mnist", "").error(), Catch::Contains("no runs/mnist-<n> has a checkpoint"));
  const fs::path older = commit("runs/mnist-1", "checkpoints", 9);
  const fs::path newer = commit("runs/mnist-2", "checkpoints", 3);
  const fs::path other = commit("runs/mnist-mlp-1", "checkpoints", 4);
  fs::create_directories("runs/mnist-3/checkpoints");  // killed before its first checkpoint
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(older, now - std::chrono::hours(2));
  fs::last_write_time(newer, now - std::chrono::hours(1));
  fs::last_write_time(other, now);
  CHECK(find_resume("latest", "mnist", "").value() == fs::absolute(newer));
  CHECK(find_resume("latest", "mnist", "elsewhere").value() == fs::absolute(newer));
  CHECK(find_resume("runs/mnist-1", "mnist", "").value() == fs::absolute(older));
}

}  // namespace
}  // namespace ringps
