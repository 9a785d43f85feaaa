#include "libps/model/dense_network.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <numeric>
#include <type_traits>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/model/initial.hpp"
#include "libps/model/loss.hpp"
#include "libps/model/prefetch.hpp"

namespace ringps {
namespace {

// Bit-identity rests on three things. Matrix products depend on shapes and on Eigen's blocking only, and that is pinned
// below. Everything else here is element by element, or sums row after row; Eigen's own sums (redux) are not used,
// because their order depends on addresses. And batches are gathered into memory that Eigen aligned.

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Row = Eigen::Matrix<float, 1, Eigen::Dynamic>;

constexpr std::size_t evaluate_batch_images = 128;

/// Eigen asks the processor for the sizes of its caches and cuts products, and so their sums, accordingly.
void pin_blocking() {
  static const bool pinned = [] {
    Eigen::setCpuCacheSizes(32 * 1024, 512 * 1024, 4 * 1024 * 1024);
    return true;
  }();
  static_cast<void>(pinned);
}

struct Layer {
  Eigen::Index inputs;
  Eigen::Index outputs;
  std::size_t weights_offset;
  std::size_t bias_offset;

  template <class Float>  // float or const float
  auto weights(std::span<Float> flat) const {
    using Constness = std::conditional_t<std::is_const_v<Float>, const Matrix, Matrix>;
    return Eigen::Map<Constness>(flat.data() + weights_offset, outputs, inputs);
  }
  template <class Float>
  auto bias(std::span<Float> flat) const {
    using Constness = std::conditional_t<std::is_const_v<Float>, const Row, Row>;
    return Eigen::Map<Constness>(flat.data() + bias_offset, outputs);
  }
};

std::vector<TensorSpec> tensors_of(const std::vector<LayerShape>& layers, Initial initial) {
  std::vector<TensorSpec> tensors;
  for (const auto& layer : layers) {
    const auto initialisers = layer_initialisers(initial, layer.inputs, layer.outputs);
    tensors.push_back({layer.weights, {layer.outputs, layer.inputs}, initialisers.weights});
    tensors.push_back({layer.bias, {layer.outputs}, initialisers.bias});
  }
  return tensors;
}

class DenseNetwork final : public ImageModel {
 public:
  DenseNetwork(const std::vector<LayerShape>& shapes, Initial initial);

  double gradient(std::span<const float> weights, const Images& images, std::span<const std::uint32_t> samples,
                  std::span<float> gradient) override;
  Evaluation evaluate(std::span<const float> weights, const Images& images, std::size_t count) override;

 private:
  void gather(const Images& images, std::span<const std::uint32_t> samples);
  void forward(std::span<const float> weights);
  void backward(std::span<const float> weights, std::span<float> gradient);
  std::span<float> logits(std::size_t row) {
    Matrix& last = values_.back();
    return {&last(static_cast<Eigen::Index>(row), 0), static_cast<std::size_t>(last.cols())};
  }

  std::vector<Layer> layers_;
  std::size_t flat_size_;
  // Scratch, one row a sample.
  std::vector<Matrix> values_;     ///< the images, then the outputs of each layer
  std::vector<Matrix> gradients_;  ///< of the loss by values_, but for the images
};

DenseNetwork::DenseNetwork(const std::vector<LayerShape>& shapes, Initial initial)
    : ImageModel(tensors_of(shapes, initial)), values_(shapes.size() + 1), gradients_(shapes.size() + 1) {
  pin_blocking();
  const auto offsets = flat_offsets(tensors());
  flat_size_ = offsets.back();
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    layers_.push_back({static_cast<Eigen::Index>(shapes[i].inputs), static_cast<Eigen::Index>(shapes[i].outputs),
                       offsets[2 * i], offsets[2 * i + 1]});
  }
}

void DenseNetwork::gather(const Images& images, std::span<const std::uint32_t> samples) {
  Matrix& batch = values_.front();
  batch.resize(static_cast<Eigen::Index>(samples.size()), layers_.front().inputs);
  for_each_image(images, samples, [&](std::size_t i, std::span<const std::uint8_t> image) {
    float* row = &batch(static_cast<Eigen::Index>(i), 0);
    for (std::size_t j = 0; j < image.size(); ++j) {
      row[j] = static_cast<float>(image[j]) / 255.0F;
    }
  });
}

void DenseNetwork::forward(std::span<const float> weights) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Matrix& outputs = values_[i + 1];
    outputs.noalias() = values_[i] * layers_[i].weights(weights).transpose();
    outputs.rowwise() += layers_[i].bias(weights);
    if (i + 1 < layers_.size()) {
      outputs = outputs.cwiseMax(0.0F);
    }
  }
}

/// From the gradients by the logits to those by all weights.
void DenseNetwork::backward(std::span<const float> weights, std::span<float> gradient) {
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Matrix& by_outputs = gradients_[i + 1];
    layers_[i].weights(gradient).noalias() = by_outputs.transpose() * values_[i];
    auto by_bias = layers_[i].bias(gradient);
    for (Eigen::Index row = 0; row < by_outputs.rows(); ++row) {
      by_bias += by_outputs.row(row);
    }
    if (i > 0) {
      gradients_[i].noalias() = by_outputs * layers_[i].weights(weights);
      gradients_[i].array() *= (values_[i].array() > 0.0F).cast<float>();  // the derivative of ReLU
    }
  }
}

double DenseNetwork::gradient(std::span<const float> weights, const Images& images,
                              std::span<const std::uint32_t> samples, std::span<float> gradient) {
  check(weights.size() == flat_size_ && gradient.size() == flat_size_, "weights and gradient have the flat layout");
  check(static_cast<Eigen::Index>(images.features) == layers_.front().inputs && !samples.empty(),
        "the batch fits the model");
  gather(images, samples);
  forward(weights);
  const double count = static_cast<double>(samples.size());
  double loss_sum = 0;
  for (std::size_t row = 0; row < samples.size(); ++row) {
    loss_sum += softmax_cross_entropy_gradient(logits(row), images.labels[samples[row]], 1.0 / count);
  }
  std::swap(values_.back(), gradients_.back());
  std::fill(gradient.begin(), gradient.end(), 0.0F);
  backward(weights, gradient);
  return loss_sum / count;
}

Evaluation DenseNetwork::evaluate(std::span<const float> weights, const Images& images, std::size_t count) {
  check(weights.size() == flat_size_, "weights have the flat layout");
  check(static_cast<Eigen::Index>(images.features) == layers_.front().inputs, "the images fit the model");
  count = std::min(count, images.count());
  check(count > 0, "there are images to evaluate on");
  std::size_t right = 0;
  double loss_sum = 0;
  for (std::size_t begin = 0; begin < count; begin += evaluate_batch_images) {
    std::vector<std::uint32_t> samples(std::min(evaluate_batch_images, count - begin));
    std::iota(samples.begin(), samples.end(), static_cast<std::uint32_t>(begin));
    gather(images, samples);
    forward(weights);
    for (std::size_t row = 0; row < samples.size(); ++row) {
      const auto scores = logits(row);
      const std::uint8_t label = images.labels[begin + row];
      right += std::max_element(scores.begin(), scores.end()) - scores.begin() == label ? 1U : 0U;
      loss_sum += softmax_cross_entropy(scores, label);
    }
  }
  return {100.0 * static_cast<double>(right) / static_cast<double>(count), loss_sum / static_cast<double>(count)};
}

}  // namespace

std::unique_ptr<ImageModel> make_dense_network(const std::vector<LayerShape>& layers, Initial initial) {
  return std::make_unique<DenseNetwork>(layers, initial);
}

}  // namespace ringps
