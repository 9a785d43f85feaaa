// Logistic regression on sparse samples of two classes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "libps/data/sparse.hpp"
#include "libps/model/binary_metrics.hpp"
#include "libps/model/model.hpp"

namespace ringps {

/// weights [features] and bias [1], zeros at first.
std::vector<TensorSpec> sparse_logistic_regression_tensors(std::size_t features);

/// Binary cross-entropy of the logit. `features` is at least that of the data.
std::unique_ptr<Model> make_sparse_logistic_regression(std::size_t features, SparseDataset dataset);

/// How such a model of `features` features does on `samples`, of which there is at least one. In double.
BinaryMetrics sparse_metrics(std::span<const float> weights, std::size_t features, const SparseSamples& samples);

}  // namespace ringps
