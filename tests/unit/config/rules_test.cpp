#include "tests/unit/config/config_test_support.hpp"

namespace ringps {

TEST_CASE("defaults that depend on other keys are filled in") {
  CHECK(loaded("").model.initial == Initial::uniform);
  CHECK(loaded("model: {kind: softmax_regression}").model.initial == Initial::zeros);
  CHECK(loaded("model: {kind: mlp}").model.initial == Initial::glorot);
  CHECK(loaded("model: {kind: mlp}").model.hidden == std::vector<std::uint32_t>{256});
  CHECK(loaded("data: {kind: synthetic}").data.train_samples == 10'000);
  CHECK(loaded("data: {kind: synthetic, train_samples: 7}").data.train_samples == 7);
  CHECK(loaded("data: {kind: mnist}").data.train_samples == 0);
  CHECK(loaded("cluster: {workers: 4}").train.slices == 4);
  CHECK(loaded("cluster: {workers: 4, servers: 3, worker_scope: server}").train.slices == 12);
  CHECK(loaded("cluster: {workers: 4}\ntrain: {slices: 8}").train.slices == 8);
}

TEST_CASE("a name has 1 to 64 plain characters") {
  const auto name = GENERATE(as<std::string>{}, "\"\"", "Big", "a b", "a/b", "ä", std::string(65, 'a'));
  CHECK_THAT(problems("name: " + name), Catch::StartsWith("t.yaml:1:7: name: expected 1 to 64 of the characters"));
}

TEST_CASE("keys that would change nothing are refused, unless they say what holds anyway") {
  const auto [yaml, key] = GENERATE(table<std::string, std::string>({
      {"model: {factors: 4}", "model.factors: only a factorization_machine"},
      {"tables: {buckets: 7}", "tables.buckets: only models with tables"},
      {"data: {path: foo}", "data.path: only mnist and libsvm"},
      {"data: {fields: 3}", "data.fields: only clicks"},
      {"data: {users: 5}", "data.users: only ratings"},
      {"data: {noise: 0.5}", "data.noise: only ratings"},
  }));
  CHECK_THAT(problems(yaml), Catch::Contains(key));
  loaded("model: {factors: 8}\ntables: {buckets: 256}\ndata: {users: 1000}");
  loaded("model: {kind: matrix_factorization, factors: 4}\ndata: {kind: ratings, users: 5}\ntables: {buckets: 7}");
}

TEST_CASE("only an mlp has hidden layers, from 1 to 8") {
  CHECK_THAT(problems("model: {hidden: [5]}"), Catch::StartsWith("t.yaml:1:17: model.hidden: only an mlp has hidden"));
  CHECK_THAT(problems("model: {kind: mlp, hidden: []}"), Catch::EndsWith("as in [256]; found 0"));
  CHECK_THAT(problems("model: {kind: mlp, hidden: [1,1,1,1,1,1,1,1,1]}"), Catch::EndsWith("as in [256]; found 9"));
  CHECK_THAT(problems("model: {kind: mlp, hidden: [1, 0]}"),
             Catch::StartsWith("t.yaml:1:32: model.hidden[1]: expected"));
  loaded("model: {kind: mlp, hidden: [1,1,1,1,1,1,1,65536]}");
}

TEST_CASE("a sparse model and libsvm data belong together") {
  const Config sparse = loaded("model: {kind: sparse_logistic_regression}\ndata: {kind: libsvm, path: a9a}");
  CHECK(sparse.model.initial == Initial::zeros);
  CHECK(sparse.data.features == 0);
  CHECK(problems("model: {kind: sparse_logistic_regression}\ndata: {kind: mnist}") ==
        "t.yaml:2:14: data.kind: sparse_logistic_regression learns from other data; expected libsvm, found mnist");
  CHECK(problems("model: {kind: mlp}\ndata: {kind: libsvm, path: a9a}") ==
        "t.yaml:2:14: data.kind: mlp learns from other data; expected synthetic or mnist, which are images, found "
        "libsvm");
  CHECK_THAT(problems("model: {kind: sparse_logistic_regression}\ndata: {kind: libsvm}"),
             Catch::StartsWith("t.yaml:2:7: data.path: expected the training file"));
  CHECK_THAT(problems("data: {kind: mnist, test_path: x}"), Catch::Contains("data.test_path: only libsvm data has"));
  CHECK_THAT(problems("data: {features: 3}"), Catch::Contains("data.features: only for libsvm data and clicks"));
  CHECK_THAT(problems("model: {kind: custom, tensors: [{name: w, shape: [1]}]}\n"
                      "data: {kind: libsvm, path: x, features: 67108865}"),
             Catch::Contains("libsvm files have at most 67108864 features; found 67108865"));
}

TEST_CASE("a custom model lists its tensors, and no other does") {
  const auto tensors = [](const std::string& list) { return "model: {kind: custom, tensors: " + list + "}"; };
  CHECK(loaded(tensors("[{name: layer1.W-x_, shape: [2, 3], low: -1, high: 1}, {name: b, shape: [1]}]"))
            .model.tensors.size() == 2);
  CHECK_THAT(
      problems("model: {kind: custom}"),
      Catch::StartsWith("t.yaml:1:8: model.tensors: expected the tensors or tables") && Catch::EndsWith("found none"));
  CHECK_THAT(problems("model: {tensors: [{name: w, shape: [1]}]}"), Catch::Contains("only a custom model lists"));
  CHECK_THAT(problems(tensors("[{shape: [1]}]")), Catch::Contains("model.tensors[0].name: expected 1 to 64 of"));
  CHECK_THAT(problems(tensors("[{name: a/b, shape: [1]}]")), Catch::EndsWith("found 'a/b'"));
  CHECK_THAT(problems(tensors("[{name: w}]")), Catch::Contains("model.tensors[0].shape: expected a list of extents"));
  CHECK_THAT(problems(tensors("[{name: w, shape: [0]}]")), Catch::Contains("expected a whole number from 1 to"));
  CHECK_THAT(problems(tensors("[{name: w, shape: [1048576, 1048576, 1048576, 1048576]}]")),
             Catch::Contains("with at most 1073741824 elements in all"));
  CHECK_THAT(problems(tensors("[{name: w, shape: [1], low: 1}]")),
             Catch::Contains("model.tensors[0].high: expected at least low, which is 1; found 0"));
  CHECK_THAT(problems(tensors("[{name: w, shape: [1]}, {name: w, shape: [1]}]")),
             Catch::Contains("model.tensors[1].name: another one is called 'w' already"));
}

TEST_CASE("a model with tables trains with all its workers, in every mode of consistency") {
  const std::string machine = "model: {kind: factorization_machine}\ndata: {kind: clicks}\n";
  CHECK(loaded(machine).data.features == 1'000'000);
  CHECK(loaded(machine).data.rank == 8);
  CHECK(loaded(machine + "train: {consistency: ssp, staleness: 2, optimizer: {kind: adagrad, clip_norm: 1}}")
            .train.staleness == 2);
  CHECK(loaded(machine + "train: {consistency: asp}").train.consistency == Consistency::asp);
  CHECK_THAT(problems(machine + "train: {refresh_interval: 2}"),
             Catch::Contains("train.refresh_interval: not possible for a model with tables"));
  CHECK_THAT(problems(machine + "train: {speculate: true}"),
             Catch::Contains("train.speculate: not possible for a model with tables"));
  CHECK_THAT(problems(machine + "cluster: {worker_scope: server}"),
             Catch::Contains("cluster.worker_scope: not possible for a model with tables"));
  CHECK_THAT(
      problems("model: {kind: factorization_machine}"),
      Catch::Contains("factorization_machine learns from other data; expected libsvm or clicks, found synthetic"));
  CHECK_THAT(problems("model: {kind: matrix_factorization, factors: 0}\ndata: {kind: ratings}"),
             Catch::Contains("model.factors: expected at least 1"));
  CHECK_THAT(problems("model: {kind: factorization_machine}\ndata: {kind: clicks, features: 5}"),
             Catch::Contains("data.features: expected at least one for each of the 10 data.fields; found 5"));
  CHECK_THAT(problems("model: {tables: [{name: t}]}"), Catch::Contains("model.tables: only a custom model"));
  CHECK(loaded("model: {kind: custom, tables: [{name: t, width: 3}]}").model.tables.size() == 1);
}

TEST_CASE("asynchronous modes refuse what rests on all slices being at one iteration") {
  CHECK(loaded("train: {consistency: ssp, staleness: 3}").train.staleness == 3);
  CHECK(loaded("train: {consistency: asp}").train.consistency == Consistency::asp);
  CHECK(problems("train: {staleness: 3}") ==
        "t.yaml:1:20: train.staleness: only ssp has a bound: remove it, or change train.consistency, which is bsp, to "
        "ssp");
  CHECK_THAT(problems("train: {consistency: asp, staleness: 3}"), Catch::Contains("train.staleness: only ssp"));
  const auto with = [](const std::string& more) { return problems("train: {consistency: ssp" + more); };
  CHECK_THAT(with("}\ncluster: {worker_scope: server}"), Catch::Contains("cluster.worker_scope: not possible with"));
  CHECK_THAT(with(", refresh_interval: 2}"), Catch::Contains("train.refresh_interval: not possible with"));
  CHECK_THAT(with(", speculate: true}"), Catch::Contains("train.speculate: not possible with"));
  CHECK_THAT(with(", slices: 1025}"), Catch::Contains("train.slices: not possible with"));
  CHECK_THAT(with("}\ncheckpoint: {wait: true}"), Catch::Contains("checkpoint.wait: not possible with"));
  CHECK_THAT(with("}\nverify: {fault_free: true}"), Catch::Contains("verify.fault_free: not possible with"));
}

TEST_CASE("compression is of tensors, and what depends on a worker's past is for asynchronous modes") {
  const auto with = [](const std::string& text) { return "train: {compression: {" + text + "}}"; };
  const CompressionConfig found = loaded(with("gradients: bfloat16, weights: float16, lz4: true")).train.compression;
  CHECK(found.gradients == CompressionConfig::Gradients::bfloat16);
  CHECK(found.weights == CompressionConfig::Weights::float16);
  CHECK(found.lz4);
  CHECK(found.is_lossy());
  CHECK_FALSE(loaded(with("lz4: true")).train.compression.is_lossy());
  CHECK_FALSE(loaded("").train.compression.is_lossy());
  CHECK(loaded("train: {consistency: ssp, compression: {gradients: top_k, keep: 0.05}}").train.compression.keep ==
        0.05);
  CHECK_THAT(problems(with("gradients: top_k")),
             Catch::StartsWith("t.yaml:1:34: train.compression.gradients: not possible with train.consistency: bsp"));
  CHECK_THAT(problems(with("keep: 0.5")),
             Catch::StartsWith("t.yaml:1:29: train.compression.keep: only top_k leaves elements out") &&
                 Catch::Contains("which is float32"));
  CHECK_THAT(problems(with("weights: top_k")), Catch::Contains("float32, float16, bfloat16"));
  CHECK_THAT(problems(with("gradients: int8")), Catch::Contains("float32, float16, bfloat16, top_k"));
  CHECK_THAT(problems("train: {consistency: ssp, compression: {gradients: top_k, keep: 0}}"),
             Catch::Contains("train.compression.keep: expected"));
  CHECK_THAT(problems("model: {kind: matrix_factorization}\ndata: {kind: ratings}\n" + with("lz4: true")),
             Catch::StartsWith("t.yaml:3:22: train.compression: what a model.kind of matrix_factorization learns"));
  CHECK_THAT(problems("verify: {uncompressed: true}\n" + with("lz4: true")),
             Catch::StartsWith("t.yaml:1:24: verify.uncompressed: nothing is lost"));
  loaded("verify: {uncompressed: true}\n" + with("weights: bfloat16"));
  CHECK_THAT(problems("model: {kind: custom, tables: [{name: t}]}\n" + with("gradients: float16")),
             Catch::Contains("lies in tables"));
  loaded("model: {kind: custom, tensors: [{name: w, shape: [2]}], tables: [{name: t}]}\n" + with("lz4: true"));
}

TEST_CASE("a block has 1 to 5 replicas, and its state fits in one message") {
  CHECK(loaded("cluster: {replicas: 5, block_elements: 1048576}").cluster.replicas == 5);
  CHECK_THAT(problems("cluster: {replicas: 6}"), Catch::Contains("expected a whole number from 1 to 5"));
  CHECK_THAT(problems("cluster: {block_elements: 1048577}"),
             Catch::Contains("expected a whole number from 1 to 1048576"));
}

TEST_CASE("no more workers are waited for than there are") {
  CHECK(loaded("cluster: {workers: 3, min_workers: 3}").cluster.min_workers == 3);
  CHECK(loaded("cluster: {workers: 2, servers: 2, worker_scope: server, min_workers: 4}").cluster.min_workers == 4);
  CHECK(
      problems("cluster: {workers: 3, min_workers: 4}") ==
      "t.yaml:1:36: cluster.min_workers: training would never begin; expected at most the number of workers, which is "
      "3, found 4");
}

TEST_CASE("timeouts have to be in order") {
  CHECK_THAT(problems("cluster: {timeouts: {heartbeat_interval_ms: 150}}"),
             Catch::Contains("expected more than heartbeat_interval_ms, which is 150"));
  CHECK_THAT(problems("cluster: {timeouts: {failure_timeout_ms: 149}}"),
             Catch::Contains("expected at least probe_timeout_ms, which is 150; found 149"));
  loaded("cluster: {timeouts: {failure_timeout_ms: 150, heartbeat_interval_ms: 149}}");
}

TEST_CASE("with worker_scope: server there is one slice for each worker, and no fault-free run to compare with") {
  const std::string scope = "cluster: {worker_scope: server, servers: 3, workers: 2}\n";
  CHECK(
      problems(scope + "train: {slices: 5}") ==
      "t.yaml:2:17: train.slices: with cluster.worker_scope: server each worker has one slice; expected 0 or servers * "
      "workers = 6, found 5");
  CHECK(loaded(scope + "train: {slices: 6, refresh_interval: 5}").train.slices == 6);
  CHECK_THAT(problems(scope + "verify: {fault_free: true}"), Catch::StartsWith("t.yaml:2:22: verify.fault_free: not"));
  CHECK_THAT(problems("cluster: {worker_scope: server, servers: 3, replicas: 2}"),
             Catch::StartsWith("t.yaml:1:55: cluster.replicas: with") && Catch::EndsWith("expected 1, found 2"));
  CHECK_THAT(problems(scope + "train: {speculate: true}"), Catch::StartsWith("t.yaml:2:20: train.speculate: not"));
  CHECK(loaded("verify: {fault_free: true}\ntrain: {refresh_interval: 5}").verify.fault_free);
}

TEST_CASE("rules about a value that is wrong by itself are not reported as well") {
  CHECK(problems("cluster: {servers: many, worker_scope: server}\ntrain: {slices: 5}\n"
                 "faults: [{at_iteration: 1, kill: server7}]") ==
        "t.yaml:1:20: cluster.servers: expected a whole number from 1 to 1024, found 'many'");
}

TEST_CASE("a rule about a default is reported at what encloses it") {
  CHECK_THAT(problems("cluster:\n  timeouts:\n    heartbeat_interval_ms: 200\n"),
             Catch::StartsWith("t.yaml:3:5: cluster.timeouts.probe_timeout_ms: "));
}

}  // namespace ringps
