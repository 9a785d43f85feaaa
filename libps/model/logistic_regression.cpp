#include "libps/model/logistic_regression.hpp"

#include <algorithm>
#include <array>

#include "libps/base/check.hpp"
#include "libps/model/initial.hpp"
#include "libps/model/loss.hpp"
#include "libps/model/prefetch.hpp"

namespace ringps {
namespace {

// Pixels are converted on the fly, and their scale of 1 / 255 is applied to the sums.
constexpr float pixel_scale = 1.0F / 255.0F;

/// The sum of pixel * weight: lane k sums the products k, k + 32 …; then the lanes are summed by halves. This order
/// stands here and nowhere else, so the bits depend neither on addresses nor on the width of the machine's vectors.
float dot(std::span<const std::uint8_t> pixels, const float* weights) {
  constexpr std::size_t lanes = 32;
  std::array<float, lanes> sums{};
  std::size_t begin = 0;
  for (; begin + lanes <= pixels.size(); begin += lanes) {
    for (std::size_t k = 0; k < lanes; ++k) {
      sums[k] += static_cast<float>(pixels[begin + k]) * weights[begin + k];
    }
  }
  for (std::size_t k = 0; begin + k < pixels.size(); ++k) {
    sums[k] += static_cast<float>(pixels[begin + k]) * weights[begin + k];
  }
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t k = 0; k < half; ++k) {
      sums[k] += sums[k + half];
    }
  }
  return sums[0];
}

struct WeighedImage {
  const std::uint8_t* pixels = nullptr;
  float factor = 0;
};

void add(const WeighedImage& a, std::size_t features, float* __restrict sum) {
  const std::uint8_t* __restrict pixels = a.pixels;
  for (std::size_t j = 0; j < features; ++j) {
    sum[j] += a.factor * static_cast<float>(pixels[j]);
  }
}

/// The same as four times add(), to the last bit, with a quarter of the loads and stores of the sum.
void add_four(const std::array<WeighedImage, 4>& images, std::size_t features, float* __restrict sum) {
  const auto [a, b, c, d] = images;
  for (std::size_t j = 0; j < features; ++j) {
    sum[j] = (((sum[j] + a.factor * static_cast<float>(a.pixels[j])) + b.factor * static_cast<float>(b.pixels[j])) +
              c.factor * static_cast<float>(c.pixels[j])) +
             d.factor * static_cast<float>(d.pixels[j]);
  }
}

class LogisticRegression final : public ImageModel {
 public:
  LogisticRegression(Initial initial, std::size_t features)
      : LogisticRegression(layer_initialisers(initial, features, 1), features) {}

  double gradient(std::span<const float> weights, const Images& images, std::span<const std::uint32_t> samples,
                  std::span<float> gradient) override;
  Evaluation evaluate(std::span<const float> weights, const Images& images, std::size_t count) override;

 private:
  LogisticRegression(const LayerInitialisers& initialisers, std::size_t features)
      : ImageModel({{"fc_weights", {features}, initialisers.weights}, {"fc_bias", {1}, initialisers.bias}}),
        features_(features),
        bias_offset_(flat_offsets(tensors())[1]),
        flat_size_(flat_offsets(tensors())[2]) {}

  float logit(std::span<const float> weights, std::span<const std::uint8_t> image) const {
    return dot(image, weights.data()) * pixel_scale + weights[bias_offset_];
  }
  static bool is_odd(std::uint8_t label) { return label % 2 == 1; }

  std::size_t features_;
  std::size_t bias_offset_;
  std::size_t flat_size_;
  std::vector<WeighedImage> weighed_;  ///< scratch: the batch, with the derivatives of its loss by the logits
};

double LogisticRegression::gradient(std::span<const float> weights, const Images& images,
                                    std::span<const std::uint32_t> samples, std::span<float> gradient) {
  check(weights.size() == flat_size_ && gradient.size() == flat_size_, "weights and gradient have the flat layout");
  check(images.features == features_ && !samples.empty(), "the batch fits the model");
  const double count = static_cast<double>(samples.size());
  double loss_sum = 0;
  double derivative_sum = 0;
  weighed_.resize(samples.size());
  for_each_image(images, samples, [&](std::size_t i, std::span<const std::uint8_t> image) {
    const auto [loss, derivative] = binary_cross_entropy(logit(weights, image), is_odd(images.labels[samples[i]]));
    loss_sum += loss;
    derivative_sum += derivative;
    weighed_[i] = {image.data(), static_cast<float>(derivative / count) * pixel_scale};
  });

  std::fill(gradient.begin(), gradient.end(), 0.0F);
  std::size_t i = 0;
  for (; i + 4 <= weighed_.size(); i += 4) {
    add_four({weighed_[i], weighed_[i + 1], weighed_[i + 2], weighed_[i + 3]}, features_, gradient.data());
  }
  for (; i < weighed_.size(); ++i) {
    add(weighed_[i], features_, gradient.data());
  }
  gradient[bias_offset_] = static_cast<float>(derivative_sum / count);
  return loss_sum / count;
}

Evaluation LogisticRegression::evaluate(std::span<const float> weights, const Images& images, std::size_t count) {
  check(weights.size() == flat_size_ && images.features == features_, "weights and images fit the model");
  count = std::min(count, images.count());
  check(count > 0, "there are images to evaluate on");
  std::size_t right = 0;
  double loss_sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float z = logit(weights, images.image(i));
    const bool odd = is_odd(images.labels[i]);
    right += (z > 0) == odd ? 1 : 0;
    loss_sum += binary_cross_entropy(z, odd).loss;
  }
  return {100.0 * static_cast<double>(right) / static_cast<double>(count), loss_sum / static_cast<double>(count)};
}

}  // namespace

std::unique_ptr<ImageModel> make_logistic_regression(Initial initial, std::size_t features) {
  return std::make_unique<LogisticRegression>(initial, features);
}

}  // namespace ringps
