// A factorisation machine of degree two for samples of two classes, its weights in a table. Source: Rendle 2010.
//
//   logit(x) = bias + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j
//
// The row of feature i is w_i and then v_i. Without factors it is a logistic regression over a table.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "libps/data/sample_source.hpp"
#include "libps/model/binary_metrics.hpp"
#include "libps/model/model.hpp"

namespace ringps {

/// bias [1], zero at first.
std::vector<TensorSpec> factorization_machine_tensors();
/// features, of width 1 + factors; all small and random at first, or zero without factors.
std::vector<TableSpec> factorization_machine_tables(std::uint32_t factors);

std::unique_ptr<Model> make_factorization_machine(std::uint32_t factors, std::shared_ptr<const SampleSource> source);

/// Reads the values of a row of one table.
using ReadRow = std::function<void(std::uint64_t id, float* values)>;

/// How such a model does on the first `count` samples of a split, of which there are as many. In double.
BinaryMetrics factorization_metrics(float bias, std::uint32_t factors, const ReadRow& read_row,
                                    const SampleSource& source, Split split, std::size_t count);

}  // namespace ringps
