#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/layering/rules.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("the source tree keeps the folder order and the pure folders pure") {
  const fs::path root = RINGPS_SOURCE_DIR;
  std::size_t files = 0;
  for (const char* top : {"libps", "services", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const auto path = entry.path().lexically_relative(root).string();
      const auto extension = entry.path().extension();
      if ((extension != ".cpp" && extension != ".hpp") || path.starts_with("tests/unit/layering/")) {
        continue;
      }
      ++files;
      for (const auto& violation : rule_violations(path, read(entry.path()))) {
        UNSCOPED_INFO(violation);
        CHECK(violation.empty());
      }
    }
  }
  CHECK(files > 0);
}

TEST_CASE("a backward include is reported with its file and line") {
  const auto found = rule_violations("libps/ring/ring.cpp", "#pragma once\n#include \"libps/wire/codec.hpp\"\n");
  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with("libps/ring/ring.cpp:2: includes \"libps/wire/codec.hpp\""));
}

TEST_CASE("a folder may include what it stands on, directly or not, and itself") {
  CHECK(rule_violations("libps/core/shard.cpp", "#include \"libps/base/types.hpp\"\n").empty());
  CHECK(rule_violations("libps/core/shard.cpp", "#include \"libps/core/shard.hpp\"\n").empty());
  CHECK(rule_violations("services/psctl/main.cpp", "#include \"libps/config/config.hpp\"\n").empty());
  CHECK(rule_violations("tests/sim/world.cpp", "#include \"libps/core/shard.hpp\"\n").empty());
  CHECK(rule_violations("tests/unit/core/shard_test.cpp", "#include \"libps/net/loop.hpp\"\n").empty());
}

TEST_CASE("folders beside one another may not include one another") {
  CHECK(rule_violations("libps/optim/reduce.cpp", "#include \"libps/ring/ring.hpp\"\n").size() == 1);
  CHECK(rule_violations("libps/storage/journal.cpp", "#include \"libps/core/job.hpp\"\n").size() == 1);
  CHECK(rule_violations("libps/net/loop.cpp", "#include \"libps/config/config.hpp\"\n").size() == 1);
  CHECK(rule_violations("tests/sim/world.cpp", "#include \"libps/net/loop.hpp\"\n").size() == 1);
}

TEST_CASE("an include that is not written from the root is reported") {
  CHECK(rule_violations("libps/ring/ring.cpp", "#include \"ring.hpp\"\n").size() == 1);
}

TEST_CASE("pure folders may not have locks, threads, clocks, sockets, files, environment or global randomness") {
  const auto line = GENERATE(as<std::string>{}, "std::mutex m;", "std::shared_mutex m;", "std::atomic<int> a;",
                             "std::thread t;", "std::jthread t;", "auto t = std::chrono::steady_clock::now();",
                             "zmq::socket_t s;", "zmq_msg_t m;", "std::random_device d;", "std::ifstream f;",
                             "std::fstream f;", "std::getenv(\"HOME\");", "getenv(\"HOME\");", "#include <mutex>");
  CAPTURE(line);
  CHECK(rule_violations("libps/core/shard.cpp", line + "\n").size() == 1);
  CHECK(rule_violations("libps/base/random.hpp", line + "\n").size() == 1);
  CHECK(rule_violations("libps/base/log.cpp", line + "\n").empty());
  CHECK(rule_violations("libps/net/loop.cpp", line + "\n").empty());
}

TEST_CASE("words in comments break no rule") {
  CHECK(rule_violations("libps/core/shard.cpp", "int a;  // no std::mutex here: one loop owns it\n").empty());
}

TEST_CASE("waiting by sleeping is reported") {
  CHECK(rule_violations("tests/process/run_test.cpp", "std::this_thread::sleep_for(1s);\n").size() == 1);
  CHECK(rule_violations("services/psctl/run.cpp", "usleep(10);\n").size() == 1);
}

TEST_CASE("Eigen in a header of the library is reported, in a source it is not") {
  CHECK(rule_violations("libps/model/softmax.hpp", "#include <Eigen/Core>\n").size() == 1);
  CHECK(rule_violations("libps/model/softmax.cpp", "#include <Eigen/Core>\n").empty());
}

TEST_CASE("a main of 100 lines is reported, one of 99 is not") {
  std::string lines;
  for (int i = 0; i < 99; ++i) {
    lines += "\n";
  }
  CHECK(rule_violations("services/server/main.cpp", lines).empty());
  CHECK(rule_violations("services/server/main.cpp", lines + "\n").size() == 1);
  CHECK(rule_violations("services/server/shard.cpp", lines + "\n").empty());
}

}  // namespace
}  // namespace ringps
