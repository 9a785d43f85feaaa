// What the rows of a table's block must be in asynchronous modes, given its clocks: as in exact.hpp. Where rows expire,
// the clocks do not say when a slow slice's contribution came, so a row may have begun anew or not at a gap that is
// long enough; nowhere else.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/core/job.hpp"
#include "libps/ring/layout.hpp"
#include "libps/rows/row_block.hpp"

namespace ringps::sim {

/// The gradients of the rows that rows_of() names, one after another. No element is zero.
Floats exact_row_gradient(const JobSpec& job, Iteration iteration, SliceId slice, std::uint32_t table);

class ExactRows {
 public:
  explicit ExactRows(const JobSpec& job);

  /// A block that has the contributions up to `iteration` of every slice, applied in the order of their iterations.
  RowImage block(BlockId block, Iteration iteration) const;
  /// In what a block's rows are not what its clocks say; empty: they are.
  std::string problem(BlockId block, const RowImage& rows) const;
  /// The values of a row of that table, as an image of its block says.
  Floats read(std::uint32_t table, const RowImage& rows, std::uint64_t id) const;

 private:
  /// What one slice says of one row in one iteration.
  struct Touch {
    Iteration iteration;
    SliceId slice;
    Floats sum;
  };
  std::string problem(std::uint32_t table, const std::vector<const Touch*>& named, const RowImage& rows,
                      std::size_t row) const;
  bool is_sum(std::uint32_t table, const std::vector<const Touch*>& named, const float* values) const;

  const JobSpec& job_;
  const BlockTable table_;
  std::vector<std::map<std::uint64_t, std::vector<Touch>>> touches_;  ///< per table and row, by iteration
};

}  // namespace ringps::sim
