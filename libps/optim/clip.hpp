// Gradient clipping by norm. Source: Pascanu, Mikolov and Bengio 2013.
#pragma once

#include <cstdint>
#include <span>

namespace ringps {

/// Shortens `gradient` to the Euclidean norm `norm_max` if it is longer. The sum of squares is formed in double, in the
/// order of the elements within a fixed number of lanes: the same bits everywhere. A gradient that is not finite stays
/// as it is, for whoever refuses it to find.
void clip(std::span<float> gradient, double norm_max);

/// The gradients of some rows of one table, one after another; a row may be named several times.
struct RowGradients {
  std::span<const std::uint64_t> ids;
  std::span<float> values;  ///< ids.size() runs of equal length
};

/// The same for tensors and rows of tables together. What is said of one row is added up before it is squared, in its
/// order, and rows count in ascending order of their ids.
void clip(std::span<float> gradient, std::span<const RowGradients> rows, double norm_max);

}  // namespace ringps
