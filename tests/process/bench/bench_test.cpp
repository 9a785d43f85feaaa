// ps-bench in its shortest form: that everything is measured and reported, not how long it took.
#include <poll.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "services/psctl/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

void run_bench(const TempDir& dir, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), RINGPS_BIN_DIR "/ps-bench");
  auto bench = ChildProcess::start(arguments, dir / "log");
  REQUIRE(bench);
  constexpr int patience_ms = 300'000;
  pollfd ended{bench->descriptor(), POLLIN, 0};
  REQUIRE(poll(&ended, 1, patience_ms) == 1);
  INFO(text_of(dir / "log"));
  REQUIRE(bench->reap() == ProcessExit{false, 0});
}

TEST_CASE("ps-bench measures everything, and a report keeps what people have written") {
  const TempDir dir;
  const std::string out = (dir / "out").string();
  const fs::path report = dir / "BENCHMARKS.md";
  run_bench(dir, {"--brief", "--out", out, "--report", report.string()});

  const json document = json::parse(text_of(dir / "out" / "bench.json"));
  CHECK(document["failed"].empty());
  CHECK(document["rounds"] == 1);
  CHECK(document["machine"]["cores"] >= 1);
  std::set<std::string> groups;
  for (const json& row : document["rows"]) {
    INFO(row.dump(2));
    groups.insert(row["group"].get<std::string>());
    REQUIRE(row["values"].size() == 1);
    CHECK(row["details"].size() == 1);
    CHECK(row["met"].is_null() == row["target"].is_null());
    if (!row["yardsticks"].empty()) {
      CHECK(row["yardsticks"][0] > 0.0);
      CHECK(row["ratio"] > 0.0);
    }
    const std::string line = "| " + row["name"].get<std::string>() + " |";
    CHECK(text_of(report).find(line) != std::string::npos);
  }
  CHECK(groups == std::set<std::string>{"yardstick", "small", "in one process", "bulk", "sparse", "trained",
                                        "checkpoint", "memory", "scale", "large"});

  std::ofstream(report, std::ios::app) << "\nOne has to wake the other core.\n";
  run_bench(dir, {"--from", out + "/bench.json", "--out", out, "--report", report.string()});
  const std::string again = text_of(report);
  CHECK(again.find("One has to wake the other core.") != std::string::npos);
  CHECK(again.find("written by ps-bench") == again.rfind("written by ps-bench"));
}

}  // namespace
}  // namespace ringps
