// What a block must be in asynchronous modes, given its clocks. Gradients are whole numbers that do not depend on the
// weights, and all factors are powers of two: sums are exact in any order, so a contribution that is lost or applied
// twice shows in the values at once. They stay whole numbers when 16 bits have rounded them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/core/job.hpp"
#include "libps/ring/layout.hpp"

namespace ringps::sim {

/// Whether gradients are such that top_k leaves something of them unsent. Then what a block is made of does not follow
/// from its clocks, and ErrorFeedback looks at what workers send instead. In every other seed.
bool leaves_residuals(const JobSpec& job);

/// The gradient of one slice, flat. No element is zero, except with top_k where nothing is to be left unsent: there
/// each block has as many that are not zero as are sent.
Floats exact_gradient(const JobSpec& job, Iteration iteration, SliceId slice);

class Exact {
 public:
  explicit Exact(const JobSpec& job);

  /// A block's buffer that has the contributions up to `iteration` of every slice; the optimizer's state is zero.
  Floats block(BlockId block, Iteration iteration) const;
  /// Whether the values are what the clocks behind them say, so far as these say it.
  bool is_block(BlockId block, std::span<const float> buffer) const;
  /// Whether these are all weights after the last iteration, flat.
  bool are_last(std::span<const float> weights) const;

  std::span<const float> clocks(std::span<const float> buffer) const;

 private:
  float value(std::size_t element, std::span<const float> clocks) const;

  const JobSpec& job_;
  const BlockTable table_;
  Floats first_;                                  ///< flat
  std::vector<std::vector<Floats>> contributed_;  ///< per slice and iteration: the sum of the gradients up to it, flat
};

}  // namespace ringps::sim
