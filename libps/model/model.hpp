// Models: what they learn, and their gradients. A gradient is a pure function of weights and samples, with the same
// bits in every process: sums are formed in an order that depends neither on addresses nor on the size of caches.
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

enum class ModelKind : std::uint8_t {
  logistic_regression,  ///< is the digit odd? Tensors fc_weights [features], fc_bias [1]
  softmax_regression,   ///< which digit? fc_weights [10, features], fc_bias [10]
  mlp,  ///< which digit? layer<i>.weights [outputs, inputs], layer<i>.bias [outputs], i from 1; ReLU between
};

enum class Initial : std::uint8_t {
  zeros,
  uniform,  ///< in [0, 1), weights and biases
  glorot,   ///< weights in +-sqrt(6 / (inputs + outputs)), biases zero. Source: Glorot and Bengio 2010
};

struct ModelSpec {
  ModelKind kind = ModelKind::logistic_regression;
  std::vector<std::uint32_t> hidden;  ///< widths of the hidden layers; only for ModelKind::mlp
  Initial initial = Initial::uniform;
};

struct Evaluation {
  double accuracy_percent = 0;
  double loss = 0;  ///< mean over the samples
};

/// Pixels count as 0 … 1 and are not normalised otherwise. The flat vectors of weights and gradient have the layout of
/// flat_offsets(tensors()). Keeps scratch memory between calls: not thread-safe.
class Model {
 public:
  virtual ~Model() = default;

  const std::vector<TensorSpec>& tensors() const { return tensors_; }

  /// The gradient of the mean loss over `samples` (indices into `images`, at least one), written to all of `gradient`,
  /// gaps as zero. Returns that mean loss.
  virtual double gradient(std::span<const float> weights, const Images& images, std::span<const std::uint32_t> samples,
                          std::span<float> gradient) = 0;

  /// On the first `count` images, or on all if there are fewer; at least one.
  virtual Evaluation evaluate(std::span<const float> weights, const Images& images, std::size_t count) = 0;

 protected:
  explicit Model(std::vector<TensorSpec> tensors) : tensors_(std::move(tensors)) {}

 private:
  std::vector<TensorSpec> tensors_;
};

/// A model of images of `features` pixels.
std::unique_ptr<Model> make_model(const ModelSpec& spec, std::size_t features = digit_features);

}  // namespace ringps
