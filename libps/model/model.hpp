// Models: what they learn, and their gradients. A gradient is a pure function of weights and samples, with the same
// bits in every process: sums are formed in an order that depends neither on addresses nor on the size of caches.
//
// A worker trains a Model, which has its data with it. Those of ringps are made of an ImageModel and images, or of
// sparse samples (sparse_logistic_regression.hpp); a program of your own brings its own (worker/worker_main.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "libps/base/tensor.hpp"
#include "libps/data/dataset.hpp"

namespace ringps {

struct Evaluation {
  double accuracy_percent = 0;
  double loss = 0;  ///< mean over the samples
};

/// Row ids per table, in any order and any number of times.
using RowIds = std::vector<std::vector<std::uint64_t>>;

/// Per table the values of rows, or their gradient: `width` floats each, in the order in which the rows were named.
template <class Float>
using Rows = std::span<const std::span<Float>>;

/// A model with its training and test data: what a worker trains. The flat vectors of weights and gradient have the
/// layout of flat_offsets(tensors()). A model without tables overrides gradient() and evaluate(); one with tables says
/// which rows it needs, and overrides those that are given them.
class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  /// Only names and widths count; the rest is up to the configuration.
  const std::vector<TableSpec>& tables() const { return tables_; }

  /// At least 1, and the same in every worker of a run.
  virtual std::size_t train_samples() const = 0;

  /// The gradient of the mean loss over `samples` (indices below train_samples(), at least one), written to all of
  /// `gradient`, gaps as zero. Has to be a pure function of its arguments. Not called from two threads at once.
  virtual void gradient(std::span<const float> weights, std::span<const std::uint32_t> samples,
                        std::span<float> gradient);

  /// On the first `count` test samples, or on all if there are fewer; `count` is at least one. Called on one other
  /// thread, at the same time as gradient().
  virtual Evaluation evaluate(std::span<const float> weights, std::size_t count) const;

  /// Names the rows that the gradient over `samples` is computed from, each at least once. A pure function.
  virtual void choose_rows(std::span<const std::uint32_t> samples, RowIds& ids);
  /// gradient() for a model with tables. `rows` are those that choose_rows() named for these samples; all of
  /// `row_gradient` is written. What is said of a row more than once is added up.
  virtual void gradient_with_rows(std::span<const float> weights, Rows<const float> rows,
                                  std::span<const std::uint32_t> samples, std::span<float> gradient,
                                  Rows<float> row_gradient);

 protected:
  explicit Model(std::vector<TensorSpec> tensors, std::vector<TableSpec> tables = {})
      : tensors_(std::move(tensors)), tables_(std::move(tables)) {}

 private:
  std::vector<TensorSpec> tensors_;
  std::vector<TableSpec> tables_;
};

enum class ModelKind : std::uint8_t {
  logistic_regression,  ///< is the digit odd? Tensors fc_weights [features], fc_bias [1]
  softmax_regression,   ///< which digit? fc_weights [10, features], fc_bias [10]
  mlp,  ///< which digit? layer<i>.weights [outputs, inputs], layer<i>.bias [outputs], i from 1; ReLU between
  sparse_logistic_regression,  ///< of sparse samples of two classes; see sparse_logistic_regression.hpp
  factorization_machine,       ///< of the same, over a table; see factorization_machine.hpp
  matrix_factorization,        ///< of ratings, over two tables; see matrix_factorization.hpp
  custom,                      ///< only the worker's program knows
};

enum class Initial : std::uint8_t {
  zeros,
  uniform,  ///< in [0, 1), weights and biases
  glorot,   ///< weights in +-sqrt(6 / (inputs + outputs)), biases zero. Source: Glorot and Bengio 2010
};

/// A model of images.
struct ModelSpec {
  ModelKind kind = ModelKind::logistic_regression;
  std::vector<std::uint32_t> hidden;  ///< widths of the hidden layers; only for ModelKind::mlp
  Initial initial = Initial::uniform;
};

/// A model of images, without data. Pixels count as 0 … 1 and are not normalised otherwise. The flat vectors of weights
/// and gradient have the layout of flat_offsets(tensors()). Keeps scratch memory between calls: not thread-safe.
class ImageModel {
 public:
  virtual ~ImageModel() = default;

  const std::vector<TensorSpec>& tensors() const { return tensors_; }

  /// The gradient of the mean loss over `samples` (indices into `images`, at least one), written to all of `gradient`,
  /// gaps as zero. Returns that mean loss.
  virtual double gradient(std::span<const float> weights, const Images& images, std::span<const std::uint32_t> samples,
                          std::span<float> gradient) = 0;

  /// On the first `count` images, or on all if there are fewer; at least one.
  virtual Evaluation evaluate(std::span<const float> weights, const Images& images, std::size_t count) = 0;

 protected:
  explicit ImageModel(std::vector<TensorSpec> tensors) : tensors_(std::move(tensors)) {}

 private:
  std::vector<TensorSpec> tensors_;
};

/// A model of images of `features` pixels. `spec.kind` is one for images.
std::unique_ptr<ImageModel> make_model(const ModelSpec& spec, std::size_t features = digit_features);

/// The same with its data.
std::unique_ptr<Model> make_model_of(const ModelSpec& spec, Dataset dataset);

}  // namespace ringps
