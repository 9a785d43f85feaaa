// Gradient clipping by norm. Source: Pascanu, Mikolov and Bengio 2013.
#pragma once

#include <span>

namespace ringps {

/// Shortens `gradient` to the Euclidean norm `norm_max` if it is longer. The sum of squares is formed in double, in the
/// order of the elements within a fixed number of lanes: the same bits everywhere. A gradient that is not finite stays
/// as it is, for whoever refuses it to find.
void clip(std::span<float> gradient, double norm_max);

}  // namespace ringps
