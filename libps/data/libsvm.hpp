// The text format of LIBSVM, for two classes: a line for each sample, `LABEL INDEX:VALUE INDEX:VALUE …`.
//
// LABEL is +1 or 1 for the positive class and -1 or 0 for the negative one. Indices count from 1 and ascend; features
// that are not named are zero, and one that is named may be zero as well: files end a row that way to say how many
// features there are. `#` begins a comment. Source: https://www.csie.ntu.edu.tw/~cjlin/libsvm
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <string_view>

#include "libps/base/result.hpp"
#include "libps/data/sparse.hpp"

namespace ringps {

/// The weights of a model are dense: more features than this would not fit a server.
inline constexpr std::uint32_t features_max = 1U << 26U;

struct LibsvmOptions {
  std::uint32_t features_max = ringps::features_max;  ///< a larger index is refused
  std::size_t threads = 0;                            ///< that parse; 0: one for each processor
  std::size_t chunk_bytes = 1U << 20U;                ///< of text, about, that a thread parses at once
};

/// Reads all samples, of which there is at least one; the stream may be gzipped. It is parsed in parallel while it is
/// read, and never held as a whole; the result does not depend on threads and chunks. An error names `name`, the line
/// and what is wrong with it.
Result<SparseSamples> read_libsvm(std::istream& input, std::string_view name, const LibsvmOptions& options = {});

struct LibsvmFiles {
  std::filesystem::path train;
  std::filesystem::path test;
};

Result<SparseDataset> load_libsvm(const LibsvmFiles& files, const LibsvmOptions& options = {});

}  // namespace ringps
