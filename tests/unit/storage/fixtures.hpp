// What the storage tests share: a small model, its blocks, and a disk that is full.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/storage/checkpoint_store.hpp"
#include "libps/storage/journal.hpp"
#include "tests/support/temp_dir.hpp"

namespace ringps {

inline const JournalIdentity journal_identity{"mnist", std::string(64, 'd')};

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// For its lifetime no file may grow beyond `bytes`: writing fails with EFBIG, as it does with ENOSPC on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  sighandler_t handler_;
};

/// Two tensors of 2 x 5 and 3 elements; in blocks of 4: weights.0, weights.1, weights.2 and bias. Two servers:
/// `server0` has the even blocks, `server1` the odd ones.
struct SmallModel {
  std::vector<TensorSpec> tensors{{"weights", {2, 5}, {}}, {"bias", {3}, {}}};
  BlockTable table{tensors, 4};
  Incarnation incarnation{7};

  /// Element `element` of tensor `tensor` at `iteration`.
  static float value(std::uint32_t tensor, std::uint64_t element, Iteration iteration) {
    return static_cast<float>(100 * tensor + element) + 1000.0F * static_cast<float>(iteration.value);
  }

  Floats values(BlockId block, Iteration iteration) const {
    Floats out;
    for (std::uint32_t i = 0; i < table[block].elements; ++i) {
      out.push_back(value(table[block].tensor, table[block].tensor_offset + i, iteration));
    }
    return out;
  }

  static Floats negated(Floats values) {
    for (float& v : values) {
      v = -v;
    }
    return values;
  }

  Result<std::vector<WrittenFile>> write(const std::filesystem::path& dir, const std::string& server,
                                         const std::vector<BlockId>& blocks, Iteration iteration,
                                         bool with_state) const {
    std::vector<Floats> kept;
    std::vector<StoredBlock> stored;
    kept.reserve(2 * blocks.size());
    for (const BlockId block : blocks) {
      const Floats& weights = kept.emplace_back(values(block, iteration));
      const Floats& state = kept.emplace_back(with_state ? negated(weights) : Floats());
      stored.push_back({block, std::as_bytes(std::span(weights)), std::as_bytes(std::span(state))});
    }
    return write_shard(dir, iteration, ServerId{server}, incarnation, table, stored);
  }

  Manifest manifest(Iteration iteration, bool with_state) const {
    Manifest m;
    m.cluster = "test";
    m.config_digest = std::string(64, 'c');
    m.seed = 42;
    m.iteration = iteration;
    m.epoch = Epoch{3};
    m.slices = 4;
    m.virtual_nodes = 100;
    m.replicas = 2;
    m.block_elements = 4;
    m.optimizer = with_state ? "momentum" : "sgd";
    m.state_per_element = with_state ? 1 : 0;
    m.tensors = tensors;
    return m;
  }

  /// A manifest whose files exist nowhere: server0 with the even blocks, server1 with the odd ones.
  Manifest manifest_without_files(bool with_state) const {
    Manifest m = manifest(Iteration{60}, with_state);
    for (const bool optimizer : {false, true}) {
      if (optimizer && !with_state) {
        continue;
      }
      const std::string kind = optimizer ? "optimizer" : "weights";
      m.files.push_back(
          {ServerId{"server0"},
           {"server0-7." + kind + ".safetensors", optimizer, 100, std::string(64, 'a'), {{0, 0, 1}, {0, 2, 1}}}});
      m.files.push_back(
          {ServerId{"server1"},
           {"server1-7." + kind + ".safetensors", optimizer, 200, std::string(64, 'b'), {{0, 1, 1}, {1, 0, 1}}}});
    }
    return m;
  }

  /// Writes both servers' files and commits them. Returns the checkpoint's folder.
  std::filesystem::path checkpoint(const std::filesystem::path& dir, Iteration iteration,
                                   bool with_state = true) const {
    Manifest m = manifest(iteration, with_state);
    const std::vector<std::vector<BlockId>> shares{{BlockId{0}, BlockId{2}}, {BlockId{1}, BlockId{3}}};
    for (std::size_t s = 0; s < shares.size(); ++s) {
      const std::string server = "server" + std::to_string(s);
      const auto files = write(dir, server, shares[s], iteration, with_state);
      REQUIRE(files);
      for (const WrittenFile& file : *files) {
        m.files.push_back({ServerId{server}, file});
      }
    }
    const auto committed = commit(dir, m);
    REQUIRE(committed);
    return committed->folder;
  }
};

}  // namespace ringps
