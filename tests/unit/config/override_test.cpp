#include "tests/unit/config/config_test_support.hpp"

namespace ringps {

TEST_CASE("an override replaces what the file says") {
  const std::string text = "cluster: {servers: 2}\nfaults: [{at_iteration: 9, kill: server1}]\n";
  CHECK(loaded(text, {"cluster.servers=5"}).cluster.servers == 5);
  CHECK(loaded(text, {"cluster.servers=5", "cluster.servers=6"}).cluster.servers == 6);
  CHECK(loaded(text, {"faults=[]"}).faults.empty());
  CHECK(loaded(text, {"faults=[{at_iteration: 40, kill: worker0}]"}).faults == std::vector{kill_at(40, "worker0")});
  CHECK(loaded(text, {"name=other", "model.kind=mlp", "model.hidden=[32, 16]"}).model.hidden.size() == 2);
  CHECK(loaded(text, {"train.optimizer.learning_rate=0.5"}).train.optimizer.learning_rate == 0.5);
  CHECK(loaded(text, {"output.results=a=b.json"}).output.results == "a=b.json");
  CHECK(loaded(text, {"output.results=\"\""}).output.results.empty());
}

TEST_CASE("an override may give several keys of a section and leaves the others") {
  const Config config = loaded("cluster: {servers: 2, workers: 3}", {"cluster={servers: 4, host: 0.0.0.0}"});
  CHECK(config.cluster.servers == 4);
  CHECK(config.cluster.workers == 3);
  CHECK(config.cluster.host == "0.0.0.0");
}

TEST_CASE("problems of overrides name the override, and come together with those of the file") {
  CHECK(problems("sed: 1", {"train.iteratons=5", "cluster.servers=none", "nonsense", "=5", "a=[",
                            "train.optimzer.kind=x", "seed.x=1", "checkpoint={keep: 0}"}) ==
        "t.yaml:1:1: unknown key 'sed' (did you mean 'seed'?)\n"
        "<override 'train.iteratons=5'>: unknown key 'train.iteratons' (did you mean 'iterations'?)\n"
        "<override 'cluster.servers=none'>: cluster.servers: expected a whole number from 1 to 1024, found 'none'\n"
        "<override 'nonsense'>: expected section.key=value\n"
        "<override '=5'>: expected section.key=value\n"
        "<override 'a=['>: not valid YAML: end of sequence flow not found\n"
        "<override 'train.optimzer.kind=x'>: unknown key 'train.optimzer' (did you mean 'optimizer'?)\n"
        "<override 'seed.x=1'>: 'seed' has no keys of its own: give it as a whole\n"
        "<override 'checkpoint={keep: 0}'>: checkpoint.keep: expected a whole number from 1 to 1000000, found '0'");
}

TEST_CASE("a rule that an override breaks is reported at the override") {
  CHECK_THAT(problems("train: {consistency: ssp}", {"train.speculate=true"}),
             Catch::StartsWith("<override 'train.speculate=true'>: train.speculate: not possible"));
  CHECK_THAT(problems("faults: [{at_iteration: 9, kill: server0}]", {"faults=[{kill: server0}]"}),
             Catch::StartsWith("<override 'faults=[{kill: server0}]'>: faults[0].at_iteration: ") &&
                 Catch::EndsWith("found none"));
}

TEST_CASE("a sweep is the product of its values") {
  CHECK(expand_sweep({"a.b=1,2,4", "c.d=x,y"}).value() == std::vector<Overrides>{{"a.b=1", "c.d=x"},
                                                                                 {"a.b=1", "c.d=y"},
                                                                                 {"a.b=2", "c.d=x"},
                                                                                 {"a.b=2", "c.d=y"},
                                                                                 {"a.b=4", "c.d=x"},
                                                                                 {"a.b=4", "c.d=y"}});
  CHECK(expand_sweep({}).value() == std::vector<Overrides>{{}});
}

TEST_CASE("commas within brackets, braces and quotes do not split a value of a sweep") {
  CHECK(expand_sweep({"model.hidden=[256, 128]"}).value() == std::vector<Overrides>{{"model.hidden=[256, 128]"}});
  CHECK(expand_sweep({"h=[1,2],[3]"}).value() == std::vector<Overrides>{{"h=[1,2]"}, {"h=[3]"}});
  CHECK(expand_sweep({"f=[],[{a: 1, b: 2}]"}).value() == std::vector<Overrides>{{"f=[]"}, {"f=[{a: 1, b: 2}]"}});
  CHECK(expand_sweep({"p='a,b',\"c,]\""}).value() == std::vector<Overrides>{{"p='a,b'"}, {"p=\"c,]\""}});
}

TEST_CASE("a sweep that makes no sense is an error") {
  CHECK(expand_sweep({"servers"}).error() == "<sweep 'servers'>: expected section.key=value,value…");
  CHECK(expand_sweep({"a=1,,2"}).error() == "<sweep 'a=1,,2'>: a value is missing before or after a comma");
  CHECK_FALSE(expand_sweep({"a="}).ok());
  CHECK(expand_sweep({"a=1,2", "b=" + std::string("0") +
                                   [] {
                                     std::string values;
                                     for (int i = 0; i < 5000; ++i) {
                                       values += ",1";
                                     }
                                     return values;
                                   }()})
            .ok() == false);
}

}  // namespace ringps
