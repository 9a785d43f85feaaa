#include <cerrno>
#include <cstdio>

#include "libps/base/sha256.hpp"
#include "libps/storage/checkpoint_reader.hpp"
#include "libps/storage/checkpoint_store.hpp"
#include "libps/storage/safetensors.hpp"
#include "tests/unit/storage/fixtures.hpp"

using namespace ringps;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

const SmallModel model;
constexpr Iteration at{60};

std::vector<BlockId> all_blocks() {
  return {BlockId{0}, BlockId{1}, BlockId{2}, BlockId{3}};
}

void flip_last_byte(const fs::path& path) {
  std::string bytes = read_bytes(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_bytes(path, bytes);
}

std::vector<float> read_tensor(const SafetensorsFile& file, const std::string& name) {
  const TensorEntry* tensor = file.find(name);
  REQUIRE(tensor != nullptr);
  std::vector<float> values(tensor->bytes() / sizeof(float));
  REQUIRE(file.read(*tensor, std::as_writable_bytes(std::span(values))));
  return values;
}

std::vector<std::uint64_t> iterations(const fs::path& dir) {
  const auto listed = list_checkpoints(dir);
  REQUIRE(listed);
  std::vector<std::uint64_t> found;
  for (const CommittedCheckpoint& checkpoint : *listed) {
    found.push_back(checkpoint.iteration.value);
  }
  return found;
}

}  // namespace

TEST_CASE("a server's files say what they hold, and have the tensors' names and shapes") {
  const TempDir dir;
  const auto files = model.write(dir.path(), "server0", {BlockId{0}, BlockId{1}, BlockId{3}}, at, true);
  REQUIRE(files);
  const fs::path folder = dir / "iteration-0000000060";
  REQUIRE(names_in(folder) ==
          std::vector<std::string>{"server0-7.optimizer.safetensors", "server0-7.weights.safetensors"});
  REQUIRE(files->size() == 2);
  for (const WrittenFile& file : *files) {
    CHECK(file.bytes == fs::file_size(folder / file.name));
    CHECK(file.sha256 == sha256_hex(read_bytes(folder / file.name)));
    CHECK(file.runs == std::vector<BlockRun>{{0, 0, 2}, {1, 0, 1}});
    CHECK(file.optimizer == (file.name == "server0-7.optimizer.safetensors"));
  }
  const auto weights = SafetensorsFile::open(folder / "server0-7.weights.safetensors");
  REQUIRE(weights);
  CHECK(weights->tensors().size() == 3);
  CHECK(weights->find("weights.1")->shape == std::vector<std::uint64_t>{4});
  CHECK(weights->find("bias")->shape == std::vector<std::uint64_t>{3});
  CHECK(read_tensor(*weights, "weights.1") == std::vector<float>{60004, 60005, 60006, 60007});
  const auto optimizer = SafetensorsFile::open(folder / "server0-7.optimizer.safetensors");
  REQUIRE(optimizer);
  CHECK(read_tensor(*optimizer, "bias.state0") == std::vector<float>{-60100, -60101, -60102});
}

TEST_CASE("an optimizer without state writes no file for it, and a server without blocks an empty one") {
  const TempDir dir;
  CHECK(model.write(dir.path(), "server0", {BlockId{0}}, at, false)->size() == 1);
  const auto files = model.write(dir.path(), "server1", {}, at, true);
  REQUIRE(files);
  REQUIRE(files->size() == 1);
  CHECK(files->front().runs.empty());
}

TEST_CASE("a block may be written over as soon as the writer is done with it") {
  for (const bool with_state : {false, true}) {
    const TempDir dir;
    Floats weights = model.values(BlockId{0}, at);
    Floats state = with_state ? SmallModel::negated(weights) : Floats();
    const StoredBlock stored{BlockId{0}, std::as_bytes(std::span(weights)), std::as_bytes(std::span(state))};
    std::vector<BlockId> done;
    const auto files = write_shard(dir.path(), at, ServerId{"server0"}, model.incarnation, model.table,
                                   std::span(&stored, 1), [&](BlockId block) {
                                     done.push_back(block);
                                     std::fill(weights.begin(), weights.end(), 0.0F);
                                     std::fill(state.begin(), state.end(), 0.0F);
                                   });
    REQUIRE(files.ok());
    CHECK(done == std::vector{BlockId{0}});
    for (const WrittenFile& written : *files) {
      const auto file = SafetensorsFile::open(checkpoint_folder(dir.path(), at) / written.name);
      REQUIRE(file.ok());
      const std::string name = model.table.name(BlockId{0});
      const Floats wanted =
          written.optimizer ? SmallModel::negated(model.values(BlockId{0}, at)) : model.values(BlockId{0}, at);
      const auto found = read_tensor(*file, written.optimizer ? state_name(name, 0) : name);
      CHECK(std::equal(found.begin(), found.end(), wanted.begin(), wanted.end()));
    }
  }
}

TEST_CASE("writing again never changes a file that has been reported") {
  const TempDir dir;
  const auto first = model.write(dir.path(), "server0", {BlockId{0}}, at, true);
  const auto second = model.write(dir.path(), "server0", {BlockId{0}, BlockId{1}}, at, true);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(second->front().name == "server0-7.2.weights.safetensors");
  CHECK(sha256_hex(read_bytes(dir.path() / "iteration-0000000060" / first->front().name)) == first->front().sha256);
}

TEST_CASE("a disk that fills up while a server writes leaves the checkpoint before it whole") {
  const TempDir dir;
  const fs::path before = model.checkpoint(dir.path(), Iteration{40});
  Result<std::vector<WrittenFile>> files = std::vector<WrittenFile>{};
  {
    const FullDisk full(64);
    files = model.write(dir.path(), "server0", {BlockId{0}}, at, true);
  }
  REQUIRE_FALSE(files);
  CHECK_THAT(files.error(), Contains("iteration-0000000060/.server0-7.weights.safetensors.tmp: cannot write"));
  CHECK(names_in(dir / "iteration-0000000060").empty());
  CHECK(iterations(dir.path()) == std::vector<std::uint64_t>{40});
  CHECK(verify_checkpoint(before).problems.empty());
}

TEST_CASE("a checkpoint is there once its manifest is, and not before") {
  const TempDir dir;
  REQUIRE(model.write(dir.path(), "server0", all_blocks(), at, false));
  CHECK(iterations(dir.path()).empty());
  CHECK_FALSE(resolve_checkpoint(dir.path()));
  model.checkpoint(dir.path(), Iteration{40});
  CHECK(iterations(dir.path()) == std::vector<std::uint64_t>{40});
}

TEST_CASE("a disk that fills up while the manifest is written commits nothing") {
  const TempDir dir;
  Manifest m = model.manifest(at, false);
  m.files.push_back({ServerId{"server0"}, model.write(dir.path(), "server0", all_blocks(), at, false)->front()});
  {
    const FullDisk full(64);
    CHECK_FALSE(commit(dir.path(), m));
  }
  CHECK(iterations(dir.path()).empty());
  CHECK(names_in(dir / "iteration-0000000060") == std::vector<std::string>{"server0-7.weights.safetensors"});
  CHECK(commit(dir.path(), m));
}

TEST_CASE("committing twice is the same as once") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  const auto again = commit(dir.path(), read_manifest(folder).value());
  REQUIRE(again);
  CHECK(again->folder == folder);
  CHECK(again->sha256 == sha256_hex(read_bytes(folder / "manifest.json")));
}

TEST_CASE("a coordinator that died after its commit, before it noted it, can commit the iteration again") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  Manifest m = model.manifest(at, true);
  m.epoch = Epoch{4};
  const auto files = model.write(dir.path(), "server2", all_blocks(), at, true);
  REQUIRE(files);
  for (const WrittenFile& file : *files) {
    m.files.push_back({ServerId{"server2"}, file});
  }
  REQUIRE(commit(dir.path(), m));
  CHECK(read_manifest(folder).value().epoch == Epoch{4});
  CHECK(verify_checkpoint(folder).problems.empty());
}

TEST_CASE("a checkpoint of another run is not overwritten") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  Manifest m = read_manifest(folder).value();
  m.config_digest = std::string(64, 'e');
  CHECK_THAT(commit(dir.path(), m).error(), Contains("a checkpoint of another run"));
  CHECK(read_manifest(folder).value().config_digest == std::string(64, 'c'));
}

TEST_CASE("a manifest with uncovered blocks, missing files or false lengths is not committed") {
  const TempDir dir;
  Manifest m = model.manifest(at, false);
  m.files.push_back({ServerId{"server0"}, model.write(dir.path(), "server0", {BlockId{0}}, at, false)->front()});
  CHECK_THAT(commit(dir.path(), m).error(), Contains("are in no file"));

  m.files.push_back({ServerId{"server1"},
                     model.write(dir.path(), "server1", {BlockId{1}, BlockId{2}, BlockId{3}}, at, false)->front()});
  Manifest longer = m;
  longer.files[1].file.bytes += 1;
  CHECK_THAT(commit(dir.path(), longer).error(), Contains("server1 reported"));
  Manifest missing = m;
  missing.files[1].file.name = "nobody.safetensors";
  CHECK_THAT(commit(dir.path(), missing).error(), Contains("nobody.safetensors: cannot open"));
  CHECK(iterations(dir.path()).empty());
  CHECK(commit(dir.path(), m));
}

TEST_CASE("checkpoints are listed newest first by number, and other folders are left out") {
  const TempDir dir;
  for (const Iteration iteration : {Iteration{20}, Iteration{1'000'000'000}, Iteration{40}}) {
    model.checkpoint(dir.path(), iteration);
  }
  fs::create_directories(dir / "iteration-x");
  fs::create_directories(dir / "iteration-");
  fs::create_directories(dir / "other");
  CHECK(iterations(dir.path()) == std::vector<std::uint64_t>{1'000'000'000, 40, 20});
  CHECK(iterations(dir / "missing").empty());
}

TEST_CASE("pruning keeps the newest checkpoints and what is newer than them, and deletes the rest") {
  const TempDir dir;
  for (const Iteration iteration : {Iteration{10}, Iteration{20}, Iteration{40}, Iteration{50}}) {
    model.checkpoint(dir.path(), iteration);
  }
  REQUIRE(model.write(dir.path(), "server0", {BlockId{0}}, Iteration{30}, true));  // interrupted
  write_bytes(dir / "iteration-0000000030" / fs::path(".server1-7.weights.safetensors.tmp"), "torn");
  REQUIRE(model.write(dir.path(), "server0", {BlockId{0}}, Iteration{60}, true));  // in the making

  const auto deleted = prune(dir.path(), 2, Iteration{50});
  REQUIRE(deleted);
  CHECK(deleted->size() == 3);
  CHECK(names_in(dir.path()) ==
        std::vector<std::string>{"iteration-0000000040", "iteration-0000000050", "iteration-0000000060"});
  CHECK(verify_checkpoint(dir / "iteration-0000000040").problems.empty());
}

TEST_CASE("pruning never deletes the newest checkpoint, nor anything while there is none") {
  const TempDir dir;
  REQUIRE(model.write(dir.path(), "server0", {BlockId{0}}, Iteration{10}, true));
  CHECK(prune(dir.path(), 1, Iteration{10})->empty());
  model.checkpoint(dir.path(), Iteration{20});
  REQUIRE(prune(dir.path(), 0, Iteration{20}));
  CHECK(iterations(dir.path()) == std::vector<std::uint64_t>{20});
  CHECK(prune(dir / "missing", 1, Iteration{20})->empty());
}

TEST_CASE("a checkpoint that was committed but never noted does not push out the last one that was") {
  const TempDir dir;
  model.checkpoint(dir.path(), Iteration{40});
  model.checkpoint(dir.path(), Iteration{60});  // the coordinator died here, and its run went back to 40
  model.checkpoint(dir.path(), Iteration{50});
  REQUIRE(prune(dir.path(), 1, Iteration{50}));
  CHECK(iterations(dir.path()) == std::vector<std::uint64_t>{60, 50});
}

TEST_CASE("a manifest that cannot be deleted keeps its files") {
  const TempDir dir;
  const fs::path old = model.checkpoint(dir.path(), Iteration{10});
  model.checkpoint(dir.path(), Iteration{20});
  const FileCalls before = file_calls();
  file_calls().remove = [](const char* path) {
    if (fs::path(path).filename() != manifest_name) {
      return std::remove(path);
    }
    errno = EIO;
    return -1;
  };
  const auto pruned = prune(dir.path(), 1, Iteration{20});
  file_calls() = before;
  REQUIRE_FALSE(pruned);
  CHECK_THAT(pruned.error(), Contains("iteration-0000000010/manifest.json: cannot delete the manifest"));
  CHECK(verify_checkpoint(old).problems.empty());
}

TEST_CASE("pruning leaves what it does not know") {
  const TempDir dir;
  write_bytes(model.checkpoint(dir.path(), Iteration{10}) / "notes.txt", "mine");
  model.checkpoint(dir.path(), Iteration{20});
  REQUIRE(prune(dir.path(), 1, Iteration{20}));
  CHECK(names_in(dir / "iteration-0000000010") == std::vector<std::string>{"notes.txt"});
  CHECK(iterations(dir.path()) == std::vector<std::uint64_t>{20});
}

TEST_CASE("a checkpoint is found from its folder, from the folder of checkpoints and from the run's") {
  const TempDir dir;
  model.checkpoint(dir / "run/checkpoints", Iteration{20});
  const fs::path newest = model.checkpoint(dir / "run/checkpoints", Iteration{40});
  CHECK(resolve_checkpoint(dir / "run").value() == newest);
  CHECK(resolve_checkpoint(dir / "run/checkpoints").value() == newest);
  CHECK(resolve_checkpoint(newest).value() == newest);
  const auto missing = resolve_checkpoint(dir / "nowhere");
  REQUIRE_FALSE(missing);
  CHECK_THAT(missing.error(), Contains("no committed checkpoint found: looked for"));
  CHECK_THAT(missing.error(), Contains((dir / "nowhere/checkpoints").string()));
}

TEST_CASE("blocks come back with values and state, in the order asked for, on any number of servers") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  const std::vector<BlockId> wanted{BlockId{3}, BlockId{0}, BlockId{2}};
  const auto loaded = load_blocks(folder, model.table, 1, wanted);
  REQUIRE(loaded);
  REQUIRE(loaded->size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Floats expected = model.values(wanted[i], at);
    CHECK((*loaded)[i].block == wanted[i]);
    CHECK((*loaded)[i].values == expected);
    CHECK((*loaded)[i].state == SmallModel::negated(expected));
  }
}

TEST_CASE("the clocks of an asynchronous run come back with its blocks, even where the optimizer has no state") {
  const TempDir dir;
  Manifest manifest = model.manifest(at, false);
  manifest.clocks = 2;
  const Floats clocks{60, 0, 61, 1};
  std::vector<Floats> kept;
  std::vector<StoredBlock> stored;
  for (const BlockId block : all_blocks()) {
    kept.push_back(model.values(block, at));
  }
  for (const BlockId block : all_blocks()) {
    stored.push_back({block, std::as_bytes(std::span(kept[block.value])), {}, std::as_bytes(std::span(clocks))});
  }
  const auto files = write_shard(dir.path(), at, ServerId{"server0"}, Incarnation{7}, model.table, stored);
  REQUIRE(files);
  for (const WrittenFile& file : *files) {
    manifest.files.push_back({ServerId{"server0"}, file});
  }
  const auto committed = commit(dir.path(), manifest);
  REQUIRE(committed);
  CHECK(read_manifest(committed->folder)->clocks == 2);
  CHECK(verify_checkpoint(committed->folder).problems.empty());
  const auto loaded = load_blocks(committed->folder, model.table, 0, all_blocks(), true);
  REQUIRE(loaded);
  CHECK(loaded->back().clocks == clocks);
  CHECK(loaded->back().values == kept.back());
  CHECK(load_blocks(committed->folder, model.table, 0, all_blocks())->back().clocks.empty());
  manifest.files.pop_back();
  CHECK_FALSE(coverage_problems(manifest).empty());
}

TEST_CASE("loading weights alone does not touch the optimizer's files") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  fs::remove(folder / "server0-7.optimizer.safetensors");
  const auto loaded = load_blocks(folder, model.table, 0, all_blocks());
  REQUIRE(loaded);
  CHECK(loaded->front().state.empty());
  CHECK_THAT(load_blocks(folder, model.table, 1, all_blocks()).error(), Contains("cannot open"));
}

TEST_CASE("only files with wanted blocks are read") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  fs::remove(folder / "server1-7.weights.safetensors");
  CHECK(load_blocks(folder, model.table, 1, std::vector{BlockId{0}, BlockId{2}}));
  CHECK_FALSE(load_blocks(folder, model.table, 1, std::vector{BlockId{1}}));
}

TEST_CASE("a corrupt file is not loaded, and the error says which and why") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  const fs::path file = folder / "server1-7.optimizer.safetensors";
  flip_last_byte(file);
  CHECK_THAT(load_blocks(folder, model.table, 1, all_blocks()).error(),
             Contains(file.string() + ": its SHA-256 is") && Contains("damaged, use another checkpoint"));
  fs::resize_file(file, 100);
  CHECK_THAT(load_blocks(folder, model.table, 1, all_blocks()).error(),
             Contains(file.string() + ": has 100 bytes, the manifest says"));
}

TEST_CASE("a checkpoint of another model, block size or optimizer is refused") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at, false);
  const auto error = [&](const BlockTable& table, std::uint32_t state) {
    return load_blocks(folder, table, state, std::vector{BlockId{0}}).error();
  };
  CHECK_THAT(error(BlockTable(model.tensors, 5), 0), Contains("block_elements"));
  CHECK_THAT(error(BlockTable({model.tensors[0]}, 4), 0), Contains("it has 2 tensors, expected 1"));
  CHECK_THAT(error(BlockTable({{"weights", {5, 2}, {}}, {"bias", {3}, {}}}, 4), 0), Contains("of the same shape"));
  CHECK_THAT(error(model.table, 1), Contains("'sgd' has 0 floats of state per element, expected 1"));
}

TEST_CASE("verification of a sound checkpoint finds nothing") {
  const TempDir dir;
  const Verification result = verify_checkpoint(model.checkpoint(dir.path(), at));
  CHECK(result.problems.empty());
  CHECK(result.files == 4);
}

TEST_CASE("verification finds every damage at once") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at);
  fs::remove(folder / "server0-7.weights.safetensors");
  fs::resize_file(folder / "server0-7.optimizer.safetensors", 10);
  flip_last_byte(folder / "server1-7.weights.safetensors");
  const auto problems = verify_checkpoint(folder).problems;
  REQUIRE(problems.size() == 3);
  CHECK_THAT(problems[0], Contains("server0-7.weights.safetensors: cannot open"));
  CHECK_THAT(problems[1], Contains("server0-7.optimizer.safetensors: has 10 bytes"));
  CHECK_THAT(problems[2], Contains("server1-7.weights.safetensors: its SHA-256 is"));
}

TEST_CASE("verification holds tensors, shapes, coverage and version against the manifest") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir.path(), at, false);
  Manifest m = read_manifest(folder).value();
  const auto rewrite = [&] { write_bytes(folder / "manifest.json", to_json(m)); };

  std::swap(m.files[0].file.runs, m.files[1].file.runs);
  m.iteration = Iteration{61};
  rewrite();
  auto problems = verify_checkpoint(folder).problems;
  CHECK(std::count(problems.begin(), problems.end(), "server0-7.weights.safetensors: has no tensor 'weights.1'") == 1);
  CHECK(std::count(problems.begin(), problems.end(),
                   "server0-7.weights.safetensors: has the tensor 'weights.0', which the manifest does not name") == 1);
  CHECK(std::count(problems.begin(), problems.end(),
                   "server0-7.weights.safetensors: was written at iteration 60, the manifest says 61") == 1);

  m.files.pop_back();
  rewrite();
  problems = verify_checkpoint(folder).problems;
  CHECK(std::count(problems.begin(), problems.end(), "weights: blocks 0 to 0 of 'weights' are in no file") == 1);

  m = read_manifest_as_is(model.checkpoint(dir.path(), Iteration{70}, false)).value();
  m.tensors[1].shape = {1, 3};
  write_bytes(dir / "iteration-0000000070" / fs::path("manifest.json"), to_json(m));
  CHECK(verify_checkpoint(dir / "iteration-0000000070").problems ==
        std::vector<std::string>{
            "server1-7.weights.safetensors: the tensor 'bias' has another shape than the manifest says"});
  CHECK(verify_checkpoint(dir / "missing").problems.size() == 1);
}

TEST_CASE("the fingerprint of the weights is that of all values in order of names, however they were dealt out") {
  const TempDir dir;
  Floats in_order;
  for (std::uint64_t element = 0; element < 3; ++element) {
    in_order.push_back(SmallModel::value(1, element, at));  // bias comes before weights
  }
  for (std::uint64_t element = 0; element < 10; ++element) {
    in_order.push_back(SmallModel::value(0, element, at));
  }
  Sha256 expected;
  expected.update(std::as_bytes(std::span(in_order)));
  const std::string digest = expected.hex();
  CHECK(weights_sha256(model.checkpoint(dir / "two", at)).value() == digest);

  Manifest m = model.manifest(at, false);
  m.files.push_back({ServerId{"one"}, model.write(dir / "one", "one", all_blocks(), at, false)->front()});
  CHECK(weights_sha256(commit(dir / "one", m)->folder).value() == digest);
}

TEST_CASE("exported weights are whole tensors of their real shapes in one file") {
  const TempDir dir;
  REQUIRE(export_weights(model.checkpoint(dir.path(), at), dir / "model.safetensors"));
  const auto file = SafetensorsFile::open(dir / "model.safetensors");
  REQUIRE(file);
  REQUIRE(file->tensors().size() == 2);
  CHECK(file->find("weights")->shape == std::vector<std::uint64_t>{2, 5});
  const auto weights = read_tensor(*file, "weights");
  for (std::size_t i = 0; i < weights.size(); ++i) {
    CHECK(weights[i] == SmallModel::value(0, i, at));
  }
  CHECK(read_tensor(*file, "bias") == std::vector<float>{60100, 60101, 60102});
}

TEST_CASE("a damaged checkpoint is not exported, and leaves no file") {
  const TempDir dir;
  const fs::path folder = model.checkpoint(dir / "checkpoints", at);
  flip_last_byte(folder / "server1-7.weights.safetensors");
  CHECK_FALSE(export_weights(folder, dir / "model.safetensors"));
  CHECK_FALSE(weights_sha256(folder));
  CHECK(names_in(dir.path()) == std::vector<std::string>{"checkpoints"});
}
