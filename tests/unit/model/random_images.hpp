// Random images and weights for the tests of models.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libps/base/aligned.hpp"
#include "libps/base/random.hpp"
#include "libps/data/dataset.hpp"
#include "libps/model/model.hpp"

namespace ringps {

inline Images random_images(std::size_t features, std::size_t count) {
  const KeyedRandom random(1, "random_images");
  Images images{features, std::vector<std::uint8_t>(features * count), std::vector<std::uint8_t>(count)};
  for (std::size_t i = 0; i < images.pixels.size(); ++i) {
    images.pixels[i] = static_cast<std::uint8_t>(random.below(i, 256));
  }
  for (std::size_t i = 0; i < count; ++i) {
    images.labels[i] = static_cast<std::uint8_t>(random.below(images.pixels.size() + i, label_classes));
  }
  return images;
}

/// In [-0.5, 0.5), gaps included: a model has to ignore them.
inline Floats random_weights(const ImageModel& model) {
  const KeyedRandom random(2, "random_weights");
  Floats weights(flat_offsets(model.tensors()).back());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = random.uniform(i) - 0.5F;
  }
  return weights;
}

}  // namespace ringps
