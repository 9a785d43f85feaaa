#include "libps/data/sparse.hpp"

#include <algorithm>

namespace ringps {

void append(SparseSamples& samples, const SparseSamples& more) {
  const std::uint64_t before = samples.row_begin.back();
  samples.features = std::max(samples.features, more.features);
  samples.entries.insert(samples.entries.end(), more.entries.begin(), more.entries.end());
  samples.labels.insert(samples.labels.end(), more.labels.begin(), more.labels.end());
  for (std::size_t i = 1; i < more.row_begin.size(); ++i) {
    samples.row_begin.push_back(before + more.row_begin[i]);
  }
}

void keep_first(SparseSamples& samples, std::size_t count) {
  const std::size_t kept = std::min(count, samples.count());
  samples.row_begin.resize(kept + 1);
  samples.entries.resize(static_cast<std::size_t>(samples.row_begin.back()));
  samples.labels.resize(kept);
}

}  // namespace ringps
