#include "libps/storage/manifest.hpp"

#include <rapidcheck.h>

#include <nlohmann/json.hpp>

#include "tests/unit/storage/fixtures.hpp"

using namespace ringps;
using Catch::Contains;
using nlohmann::json;

namespace {

const SmallModel manifest_model;

/// What parse_manifest says of a sound manifest after `damage`.
template <class Damage>
std::string refusal(Damage damage) {
  json document = json::parse(to_json(manifest_model.manifest_without_files(true)));
  damage(document);
  const auto parsed = parse_manifest(document.dump());
  return parsed ? "accepted" : parsed.error();
}

}  // namespace

TEST_CASE("a manifest survives the way to JSON and back") {
  for (const bool with_state : {false, true}) {
    const Manifest manifest = manifest_model.manifest_without_files(with_state);
    const auto parsed = parse_manifest(to_json(manifest));
    REQUIRE(parsed);
    CHECK(*parsed == manifest);
    CHECK(coverage_problems(*parsed).empty());
  }
}

TEST_CASE("a manifest says in JSON what the format promises") {
  const json document = json::parse(to_json(manifest_model.manifest_without_files(true)));
  CHECK(document["format"] == "ringps-checkpoint");
  CHECK(document["format_version"] == 1);
  CHECK(document["iteration"] == 60);
  CHECK(document["ring"] == json{{"virtual_nodes", 100}, {"replicas", 2}, {"block_elements", 4}});
  CHECK(document["optimizer"] == json{{"kind", "momentum"}, {"state_per_element", 1}});
  CHECK(document["tensors"][0] == json{{"name", "weights"}, {"shape", {2, 5}}});
  CHECK(document["files"][1]["kind"] == "weights");
  CHECK(document["files"][1]["blocks"][0] == json{{"tensor", "weights"}, {"first_block", 1}, {"blocks", 1}});
}

TEST_CASE("each rule of the manifest is enforced") {
  CHECK(refusal([](json&) {}) == "accepted");
  CHECK_THAT(refusal([](json& m) { m = json::array(); }), Contains("is array, expected an object"));
  CHECK_THAT(refusal([](json& m) { m["format"] = "x"; }), Contains("format is 'x'"));
  CHECK_THAT(refusal([](json& m) { m["format_version"] = 2; }), Contains("format_version is 2"));
  CHECK_THAT(refusal([](json& m) { m.erase("seed"); }), Contains("has no 'seed'"));
  CHECK_THAT(refusal([](json& m) { m["seed"] = -1; }), Contains("'seed' is -1"));
  CHECK_THAT(refusal([](json& m) { m["seed"] = 1.5; }), Contains("'seed' is 1.5"));
  CHECK_THAT(refusal([](json& m) { m["more"] = 1; }), Contains("unknown key 'more'"));
  CHECK_THAT(refusal([](json& m) { m["slices"] = 0; }), Contains("'slices' is 0, expected an integer from 1"));
  CHECK_THAT(refusal([](json& m) { m["cluster"] = 1; }), Contains("'cluster' is 1, expected a string"));
  CHECK_THAT(refusal([](json& m) { m["config_digest"] = "abc"; }), Contains("hexadecimal"));
  CHECK_THAT(refusal([](json& m) { m["ring"]["block_elements"] = 0; }), Contains("'block_elements' is 0"));
  CHECK_THAT(refusal([](json& m) { m["ring"]["replicas"] = 1ULL << 32U; }), Contains("'replicas' is 4294967296"));
  CHECK_THAT(refusal([](json& m) { m["optimizer"]["state_per_element"] = 17; }), Contains("to 16"));
  CHECK_THAT(refusal([](json& m) { m["tensors"] = 1; }), Contains("'tensors' is number, expected a list"));
  CHECK_THAT(refusal([](json& m) { m["tensors"][1]["name"] = "weights"; }), Contains("two tensors 'weights'"));
  CHECK_THAT(refusal([](json& m) { m["tensors"][0]["shape"] = {2, 0}; }), Contains("has the length 0"));
  CHECK_THAT(refusal([](json& m) {
               m["tensors"][0]["shape"] = {1ULL << 40U, 1ULL << 40U};
             }),
             Contains("has the length"));
  CHECK_THAT(refusal([](json& m) { m["tensors"][0]["shape"] = {1ULL << 40U}; }), Contains("more than 16777216 blocks"));
  CHECK_THAT(refusal([](json& m) { m["files"][0]["name"] = "../x"; }), Contains("'../x', expected a plain name"));
  CHECK_THAT(refusal([](json& m) { m["files"][0]["name"] = ".."; }), Contains("expected a plain name"));
  CHECK_THAT(refusal([](json& m) { m["files"][0]["name"] = ""; }), Contains("expected a plain name"));
  CHECK_THAT(refusal([](json& m) { m["files"][1]["name"] = m["files"][0]["name"]; }), Contains("listed twice"));
  CHECK_THAT(refusal([](json& m) { m["files"][0]["kind"] = "x"; }), Contains("kind 'x'"));
  CHECK_THAT(refusal([](json& m) { m["files"][0]["sha256"] = "x"; }), Contains("hexadecimal"));
  CHECK_THAT(refusal([](json& m) { m["files"][0]["blocks"][0]["tensor"] = "x"; }), Contains("not among the tensors"));
  CHECK_THAT(refusal([](json& m) { m["files"][0]["blocks"][0]["blocks"] = 0; }), Contains("'blocks' is 0"));
  CHECK_THAT(parse_manifest("{").error(), Contains("not valid JSON"));
  CHECK_THAT(parse_manifest(R"({"a":1,"a":2})").error(), Contains("the key \"a\" twice"));
}

TEST_CASE("blocks that are missing, listed twice or beyond their tensor are all reported") {
  Manifest m = manifest_model.manifest_without_files(true);
  m.files[0].file.runs = {{0, 0, 1}};             // weights: block 2 is missing
  m.files[3].file.runs = {{0, 0, 2}, {1, 0, 2}};  // state: block 0 twice, bias has one block
  const auto problems = coverage_problems(m);
  CHECK(problems == std::vector<std::string>{
                        "weights: blocks 2 to 2 of 'weights' are in no file",
                        "optimizer state: blocks 0 to 0 of 'weights' are listed twice",
                        "optimizer state: blocks 0 to 1 of 'bias' are listed, but it has only 1",
                    });
}

TEST_CASE("a manifest needs optimizer state where the optimizer has some, and only there") {
  Manifest m = manifest_model.manifest_without_files(false);
  m.state_per_element = 1;
  CHECK(coverage_problems(m).size() == m.tensors.size());
  m = manifest_model.manifest_without_files(true);
  m.state_per_element = 0;
  CHECK_FALSE(coverage_problems(m).empty());
}

TEST_CASE("any way of dealing blocks to files is covered, and without one of the runs it is not") {
  const bool held = rc::check([](std::vector<bool> cuts) {
    Manifest m = manifest_model.manifest_without_files(false);
    m.tensors = {{"t", {cuts.size() + 1}, {}}};
    m.block_elements = 1;
    m.files.resize(2);
    m.files[0].file.runs.clear();
    m.files[1].file.runs.clear();
    std::uint32_t first = 0;
    std::size_t runs = 0;
    for (std::uint32_t end = 1; end <= cuts.size() + 1; ++end) {
      if (end == cuts.size() + 1 || cuts[end - 1]) {
        m.files[runs++ % 2].file.runs.push_back({0, first, end - first});
        first = end;
      }
    }
    RC_ASSERT(coverage_problems(m).empty());
    RC_ASSERT(parse_manifest(to_json(m)).value() == m);
    const std::size_t removed = *rc::gen::inRange<std::size_t>(0, runs);
    auto& from = m.files[removed % 2].file.runs;
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(removed / 2));
    RC_ASSERT(coverage_problems(m).size() == 1U);
  });
  CHECK(held);
}

TEST_CASE("a manifest that is torn or missing is an error that names its path") {
  const TempDir dir;
  const std::string text = to_json(manifest_model.manifest_without_files(false));
  CHECK_THAT(read_manifest(dir.path()).error(), Contains((dir / "manifest.json").string() + ": cannot open"));
  for (const std::size_t length : {std::size_t{0}, text.size() / 2, text.size() - 3}) {
    write_bytes(dir / "manifest.json", text.substr(0, length));
    CHECK_THAT(read_manifest(dir.path()).error(), Contains((dir / "manifest.json").string() + ": not a valid"));
  }
  write_bytes(dir / "manifest.json", text);
  CHECK(read_manifest(dir.path()));
}
