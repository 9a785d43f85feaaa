#include "services/psctl/checkpoint.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "libps/base/aligned.hpp"
#include "libps/storage/checkpoint_reader.hpp"
#include "libps/storage/checkpoint_store.hpp"
#include "libps/storage/safetensors.hpp"
#include "services/psctl/size_text.hpp"
#include "tests/support/temp_dir.hpp"

using namespace ringps;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

/// A run with a checkpoint at each of `iterations`: one tensor of 784 elements, written by server0.
void write_run(const fs::path& run, const std::vector<std::uint64_t>& iterations) {
  const std::vector<TensorSpec> tensors{{"fc_weights", {28, 28}, {}}};
  const BlockTable table(tensors, 1000);
  const Floats values(784, 0.5F);
  for (const std::uint64_t iteration : iterations) {
    Manifest m;
    m.cluster = "mnist";
    m.config_digest = std::string(64, 'c');
    m.iteration = Iteration{iteration};
    m.epoch = Epoch{2};
    m.block_elements = 1000;
    m.optimizer = "sgd";
    m.tensors = tensors;
    const std::vector<StoredBlock> blocks{{BlockId{0}, std::as_bytes(std::span(values)), {}}};
    const auto files =
        write_shard(run / "checkpoints", m.iteration, ServerId{"server0"}, Incarnation{7}, table, blocks);
    REQUIRE(files);
    m.files.push_back({ServerId{"server0"}, files->front()});
    REQUIRE(commit(run / "checkpoints", m));
  }
}

fs::path file_of(const fs::path& run, const std::string& iteration) {
  return run / "checkpoints" / ("iteration-" + iteration) / "server0-7.weights.safetensors";
}

}  // namespace

TEST_CASE("sizes are written for people") {
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(3ULL << 30U) == "3.0 GiB");
}

TEST_CASE("checkpoints are listed newest first, as a table and as JSON, from the run's folder and from their own") {
  const TempDir dir;
  write_run(dir.path(), {20, 40});
  const auto text = checkpoint_ls(dir.path(), false);
  REQUIRE(text);
  CHECK(text->find("iteration-0000000040") < text->find("iteration-0000000020"));
  CHECK(checkpoint_ls(dir / "checkpoints", false).value() == *text);

  const auto rows = nlohmann::json::parse(checkpoint_ls(dir.path(), true).value());
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["iteration"] == 40);
  CHECK(rows[0]["epoch"] == 2);
  CHECK(rows[0]["files"] == 1);
  CHECK(rows[0]["bytes"] == fs::file_size(file_of(dir.path(), "0000000040")));
  CHECK(rows[0]["folder"] == (dir / "checkpoints/iteration-0000000040").string());
}

TEST_CASE("a run without a checkpoint lists none, a folder that does not exist is an error") {
  const TempDir dir;
  CHECK(nlohmann::json::parse(checkpoint_ls(dir.path(), true).value()).empty());
  CHECK_THAT(checkpoint_ls(dir.path(), false).value(), Contains("no committed checkpoint"));
  CHECK_THAT(checkpoint_ls(dir / "missing", false).error(), Contains("missing: is not a folder"));
}

TEST_CASE("a damaged manifest is listed as such beside the sound ones") {
  const TempDir dir;
  write_run(dir.path(), {20, 40});
  std::ofstream(dir / "checkpoints/iteration-0000000040/manifest.json") << "{";
  CHECK_THAT(checkpoint_ls(dir.path(), false).value(), Contains("40  damaged: ") && Contains("iteration-0000000020"));
  CHECK(nlohmann::json::parse(checkpoint_ls(dir.path(), true).value())[0].contains("damage"));
}

TEST_CASE("a checkpoint is shown with its tensors, files and sizes, or as its manifest") {
  const TempDir dir;
  write_run(dir.path(), {20});
  const auto text = checkpoint_show(dir.path(), false);
  REQUIRE(text);
  CHECK_THAT(*text, Contains("iteration       20") && Contains("28 x 28") && Contains("784") &&
                        Contains("server0-7.weights.safetensors") && Contains("3.2 KiB"));
  CHECK(nlohmann::json::parse(checkpoint_show(dir.path(), true).value())["iteration"] == 20);
  CHECK_FALSE(checkpoint_show(dir / "missing", false));
}

TEST_CASE("a sound checkpoint verifies, with the fingerprint of its weights") {
  const TempDir dir;
  write_run(dir.path(), {20});
  const auto verdict = checkpoint_verify(dir.path());
  REQUIRE(verdict);
  CHECK(verdict->sound);
  CHECK_THAT(verdict->text,
             Contains("sound, 1 files") && Contains(weights_sha256(dir / "checkpoints/iteration-0000000020").value()));
}

TEST_CASE("a damaged checkpoint does not verify, and the text says what is wrong") {
  const TempDir dir;
  write_run(dir.path(), {20});
  fs::resize_file(file_of(dir.path(), "0000000020"), 50);
  const auto verdict = checkpoint_verify(dir.path());
  REQUIRE(verdict);
  CHECK_FALSE(verdict->sound);
  CHECK_THAT(verdict->text,
             Contains("server0-7.weights.safetensors: has 50 bytes") && Contains("damaged, 1 problem\n"));
  CHECK_THAT(checkpoint_verify(dir / "missing").error(), Contains("no committed checkpoint found"));
}

TEST_CASE("an exported checkpoint is one file of whole tensors") {
  const TempDir dir;
  write_run(dir.path(), {20, 40});
  const auto done = checkpoint_export(dir.path(), dir / "model.safetensors");
  REQUIRE(done);
  CHECK_THAT(*done, Contains("iteration-0000000040") && Contains("model.safetensors"));
  const auto file = SafetensorsFile::open(dir / "model.safetensors");
  REQUIRE(file);
  CHECK(file->find("fc_weights")->shape == std::vector<std::uint64_t>{28, 28});
  CHECK(file->metadata().at("iteration") == "40");
  CHECK_FALSE(checkpoint_export(dir.path(), dir / "missing/model.safetensors"));
}
