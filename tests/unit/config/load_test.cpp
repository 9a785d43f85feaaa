#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>

#include "tests/support/temp_dir.hpp"
#include "tests/unit/config/config_test_support.hpp"

namespace ringps {

TEST_CASE("an empty file is a configuration of defaults") {
  const Config config = loaded("");
  CHECK(config.name == "ringps");
  CHECK(config.train.iterations == 1000);
  CHECK(config == loaded("cluster:\nfaults:\ntrain:\n  optimizer:  # nothing below\n"));
}

TEST_CASE("values of every kind are read") {
  const Config config = loaded(R"(
name: all-kinds_1
seed: 18446744073709551615
model: {kind: mlp, hidden: [512, 256], initial: uniform}
data: {kind: mnist, path: "/data/ünï code", train_samples: 60000}
cluster: {servers: 3, workers: 2, worker_scope: server, transport: ipc, restart: always, host: '::1'}
train: {optimizer: {kind: momentum, learning_rate: 1e-3, weight_decay: .5}, consistency: bsp}
checkpoint: {wait: true}
faults:
  - at_iteration: 7
    kill: worker5
  - {at_iteration: 8, kill: server2}
output: {curve: false}
)");
  CHECK(config.name == "all-kinds_1");
  CHECK(config.seed == 18446744073709551615ULL);
  CHECK(config.model.hidden == std::vector<std::uint32_t>{512, 256});
  CHECK(config.model.initial == ModelConfig::Initial::uniform);
  CHECK(config.data.path == "/data/ünï code");
  CHECK(config.cluster.transport == ClusterConfig::Transport::ipc);
  CHECK(config.cluster.total_workers() == 6);
  CHECK(config.train.optimizer.learning_rate == 1e-3);
  CHECK(config.train.optimizer.weight_decay == 0.5);
  CHECK(config.faults == std::vector{kill_at(7, "worker5"), kill_at(8, "server2")});
  CHECK_FALSE(config.output.curve);
}

TEST_CASE("all problems of a file are reported at once, each with its place") {
  CHECK(problems("nmae: x\ncluster:\n  servers: five\n  workers: 0\ntrain: [1]\ncheckpoint: {wait: yes}\n") ==
        "t.yaml:1:1: unknown key 'nmae' (did you mean 'name'?)\n"
        "t.yaml:3:12: cluster.servers: expected a whole number from 1 to 1024, found 'five'\n"
        "t.yaml:4:12: cluster.workers: expected a whole number from 1 to 4096, found '0'\n"
        "t.yaml:5:8: train: expected keys with values, found a list\n"
        "t.yaml:6:20: checkpoint.wait: expected true or false, found 'yes'");
}

TEST_CASE("an unknown key is answered with the one that was meant, in its section or in another") {
  CHECK(problems("cluster:\n  serevrs: 3\n") == "t.yaml:2:3: unknown key 'cluster.serevrs' (did you mean 'servers'?)");
  CHECK(problems("servers: 3\n") == "t.yaml:1:1: unknown key 'servers' (did you mean 'cluster.servers'?)");
  CHECK(problems("learning_rte: 3\n") ==
        "t.yaml:1:1: unknown key 'learning_rte' (did you mean 'train.optimizer.learning_rate'?)");
  CHECK(problems("bananas: 3\n") == "t.yaml:1:1: unknown key 'bananas'");
  CHECK(problems("faults: [{at_iteration: 1, kil: server0}]") ==
        "t.yaml:1:28: unknown key 'faults[0].kil' (did you mean 'kill'?)\n"
        "t.yaml:1:10: faults[0]: expected exactly one of kill, pause, resume, cut, heal, slow, add, drain; found none");
}

TEST_CASE("a duplicate key is reported where it stands, with the place of the first") {
  CHECK(problems("seed: 1\ncluster:\n  servers: 2\n  workers: 1\n  servers: 3\nseed: 2\n") ==
        "t.yaml:5:3: duplicate key 'cluster.servers': it is already given at t.yaml:3:3\n"
        "t.yaml:6:1: duplicate key 'seed': it is already given at t.yaml:1:1");
}

TEST_CASE("a bad name of an enum lists those that are allowed") {
  CHECK(problems("model: {kind: softmax_regresion}") ==
        "t.yaml:1:15: model.kind: expected one of logistic_regression, softmax_regression, mlp, "
        "sparse_logistic_regression, factorization_machine, matrix_factorization, custom; found "
        "'softmax_regresion' (did you mean 'softmax_regression'?)");
  CHECK(problems("cluster: {transport: [tcp]}") ==
        "t.yaml:1:22: cluster.transport: expected one of auto, tcp, ipc; found a list");
}

TEST_CASE("numbers have to be numbers of the right kind and range") {
  const auto value = GENERATE(as<std::string>{}, "1.5", "-1", "1e2", "0x10", "1025", "''", "'3'", "~", "[3]", "{a: 1}",
                              "99999999999999999999999", "3 4", "+3");
  CHECK_THAT(problems("cluster: {servers: " + value + "}"),
             Catch::StartsWith("t.yaml:1:20: cluster.servers: expected a whole number from 1 to 1024, found "));
}

TEST_CASE("a learning rate has to be positive and finite") {
  const auto value = GENERATE(as<std::string>{}, "0", "-0.1", ".inf", "inf", "nan", ".nan", "1e999", "1e-999", "fast");
  CHECK_THAT(
      problems("train: {optimizer: {learning_rate: " + value + "}}"),
      Catch::StartsWith("t.yaml:1:36: train.optimizer.learning_rate: expected a number from 1e-12 to 1000000, "));
}

TEST_CASE("a number in quotes is not a number, and the problem says why") {
  CHECK(problems("seed: \"3\"") ==
        "t.yaml:1:7: seed: expected a whole number from 0 to 18446744073709551615, found '3' in quotes");
}

TEST_CASE("a syntax error is reported with its place") {
  CHECK_THAT(problems("name: x\ncluster: {servers: 3\ntrain:\n"), Catch::StartsWith("t.yaml:3:6: not valid YAML: "));
  CHECK_THAT(problems("a: *nobody"), Catch::EndsWith("not valid YAML: the referenced anchor is not defined"));
  CHECK(problems("seed: 1\n---\nseed: 2\n") ==
        "t.yaml:2:1: expected the end of the file, found more behind the YAML document");
  CHECK(problems("- seed") == "t.yaml:1:1: expected keys with values, found a list");
  CHECK(problems("? [seed]\n: 1\n") == "t.yaml:1:3: expected a key, found a list");
}

TEST_CASE("what is not text is refused before it is parsed") {
  CHECK(problems(std::string("seed: 1\n\x04name: cut-off")) ==
        "t.yaml: byte 9 is a control character: this is not YAML text");
  CHECK(problems(std::string("s\0e\0e\0d\0", 8)) == "t.yaml: byte 2 is a control character: this is not YAML text");
  CHECK(problems("name: \xFF") == "t.yaml: this is not UTF-8 text");
  CHECK(problems("output: {results: \"a\\nb\"}") ==
        "t.yaml:1:19: output.results: control characters are not allowed, found 'a\\nb'");
}

TEST_CASE("hostile files end in a short error, soon") {
  constexpr std::size_t mebibyte = 1U << 20U;
  const auto repeated = [](const std::string& unit, std::size_t bytes) {
    std::string text;
    while (text.size() + unit.size() <= bytes) {
      text += unit;
    }
    return text;
  };
  SECTION("larger than the limit") {
    CHECK_THAT(problems(std::string(mebibyte + 1, '#')), Catch::StartsWith("t.yaml: larger than 1 MiB"));
  }
  SECTION("nested deeply") {
    CHECK_THAT(problems(std::string(mebibyte, '[')), Catch::Contains("YAML is nested too deeply"));
    CHECK_THAT(problems(repeated("- ", mebibyte)), Catch::Contains("YAML is nested too deeply"));
  }
  SECTION("brackets that close nothing") {
    const auto text = GENERATE(as<std::string>{}, "]", "}", "seed: 1\n]", "seed: 1\n}}", "---\n]", "...\n]", "- ]");
    CHECK_THAT(problems(text), Catch::StartsWith("t.yaml"));
    CHECK_THAT(problems("", {"seed=" + text}), Catch::StartsWith("<override"));
  }
  SECTION("a hundred thousand duplicate keys") {
    const std::string found = problems(repeated("seed: 1\n", mebibyte));
    CHECK(std::count(found.begin(), found.end(), '\n') == 50);
    CHECK_THAT(found, Catch::EndsWith("only the first 50 problems are shown"));
  }
  SECTION("aliases of aliases of aliases") {
    std::string text = "l0: &l0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (int level = 1; level < 40; ++level) {
      text += fmt::format("l{0}: &l{0} [{1}]\n", level, repeated(fmt::format("*l{},", level - 1), 60));
    }
    CHECK_THAT(problems(text), Catch::Contains("unknown key 'l39'"));
    CHECK_THAT(problems(text + "faults: *l39\n"),
               Catch::Contains("faults[0]: expected keys with values, found a list"));
  }
  SECTION("a large map, many times over") {
    std::string keys;
    for (int key = 0; key < 50'000; ++key) {
      keys += fmt::format("k{}: 1, ", key);
    }
    CHECK_THAT(problems("faults: [&a {" + keys + "}, " + repeated("*a, ", 100'000) + "]"),
               Catch::Contains("expected at most 1000 entries, found 25001"));
    CHECK_THAT(problems("faults: [&a {" + keys + "}, " + repeated("*a, ", 3'000) + "]"),
               Catch::EndsWith("only the first 50 problems are shown"));
  }
  SECTION("an alias to what it is in") {
    CHECK_THAT(problems("cluster: &c {timeouts: *c, servers: 3}"), Catch::Contains("unknown key"));
    CHECK_THAT(problems("faults: &f [*f]"), Catch::Contains("faults[0]: expected keys with values, found a list"));
  }
  SECTION("a key as long as the file") {
    CHECK(problems(std::string(mebibyte - 10, 'k') + ": 1").size() < 200);
  }
}

TEST_CASE("aliases are allowed") {
  CHECK(loaded("train: {iterations: &n 70}\nfaults: [{at_iteration: *n, kill: server0}]").faults[0].at_iteration == 70);
}

TEST_CASE("a file that cannot be read is an error that names it") {
  const TempDir folder;
  const auto absent = load_config(folder / "absent.yaml");
  REQUIRE_FALSE(absent.ok());
  CHECK_THAT(absent.error(), Catch::Contains("absent.yaml: cannot read the configuration file: No such file"));
  CHECK_THAT(load_config(folder.path()).error(), Catch::EndsWith("expected a configuration file, found a folder"));
}

TEST_CASE("a file is read from disk, and its problems carry its name") {
  const TempDir folder;
  std::ofstream(folder / "run.yaml") << "seed: 3\n";
  CHECK(load_config(folder / "run.yaml").value().seed == 3);
  std::ofstream(folder / "bad.yaml") << "seed: x\n";
  CHECK_THAT(load_config(folder / "bad.yaml").error(), Catch::Contains("/bad.yaml:1:7: seed: "));
}

}  // namespace ringps
