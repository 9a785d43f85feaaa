// What the simulated training must come to: the same training once more, in plain loops, without shards, messages or
// failures. Independent of the kernels that production uses; only placement and first values are shared.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/core/job.hpp"
#include "libps/ring/layout.hpp"
#include "libps/rows/row_block.hpp"

namespace ringps::sim {

/// The gradient of one slice at flat `weights`: a pure function whose sums are sensitive to order and repetition.
Floats gradient(std::uint64_t seed, Iteration iteration, SliceId slice, std::span<const float> weights);

/// The rows of a table that one slice touches in one iteration, some of them more than once.
std::vector<std::uint64_t> rows_of(std::uint64_t seed, Iteration iteration, SliceId slice, std::uint32_t table);
/// Their gradients, given their values.
Floats row_gradient(std::uint64_t seed, Iteration iteration, SliceId slice, std::uint32_t table,
                    std::span<const float> values);

/// What 16 bits make of a value: the nearest one that they have, ties to even, and never infinity. float32 and top_k
/// leave it as it is. Independent of production's own.
float plainly_rounded(float value, Encoding encoding);

class Reference {
 public:
  explicit Reference(const JobSpec& job);

  const BlockTable& table() const { return table_; }
  /// All weights of a version, flat; gaps are zero.
  const Floats& weights(Iteration version) const { return versions_[version.value].weights; }
  /// The same as workers have them: after they have travelled.
  Floats weights_at_workers(Iteration version) const;
  /// A block's buffer as a shard has it: values, then optimizer state.
  Floats block(BlockId block, Iteration version) const;
  /// Whether some block takes contributions of that slice: a server may have slices of its own and no blocks.
  bool is_used(SliceId slice) const;
  bool is_block(BlockId block, Iteration version, std::span<const float> buffer) const;
  /// Whether a buffer begins with the block's values.
  bool are_values(BlockId block, Iteration version, std::span<const float> buffer) const;
  /// The same for a block of a table.
  RowImage rows(BlockId block, Iteration version) const;

 private:
  /// Whether `flat` has these floats where the block is.
  static bool is_part(const Floats& flat, const BlockTable::Block& at, std::span<const float> floats);

  struct Row {
    std::vector<float> values;
    std::vector<float> state;
    Iteration touched;
  };
  using Table = std::map<std::uint64_t, Row>;
  struct Version {
    Floats weights;
    Floats state;
    std::vector<Table> tables;
  };
  void step(Iteration next);
  void step_tables(Iteration next, const Version& old, Version& made) const;
  Row row(const Version& version, Iteration iteration, std::uint32_t table, std::uint64_t id) const;

  const JobSpec& job_;
  const BlockTable table_;
  std::vector<std::vector<SliceId>> contributors_;  ///< per block
  std::vector<RowRules> rules_;                     ///< only for first values
  std::vector<Version> versions_;
};

}  // namespace ringps::sim
