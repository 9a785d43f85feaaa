// Logistic regression: is the digit odd?
#pragma once

#include <cstddef>
#include <memory>

#include "libps/model/model.hpp"

namespace ringps {

/// Tensors fc_weights [features] and fc_bias [1]; binary cross-entropy of the logit.
std::unique_ptr<ImageModel> make_logistic_regression(Initial initial, std::size_t features);

}  // namespace ringps
