// Images of digits with their labels, as bytes in memory: a quarter of the room of floats, and faster to read at random
// than it is to convert.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps {

/// Labels are digits: 0 … label_classes - 1.
inline constexpr std::uint32_t label_classes = 10;

/// Pixels of one image of MNIST, and of a synthetic one: 28 x 28.
inline constexpr std::size_t digit_features = 784;

struct Images {
  std::size_t features = 0;          ///< pixels of one image
  std::vector<std::uint8_t> pixels;  ///< count() * features, image after image; 0: background, 255: full ink
  std::vector<std::uint8_t> labels;

  std::size_t count() const { return labels.size(); }
  std::span<const std::uint8_t> image(std::size_t index) const {
    return std::span(pixels).subspan(index * features, features);
  }
};

/// Keeps the first `count` images, or all if there are fewer.
void keep_first(Images& images, std::size_t count);

/// Train and test images have the same number of features, and there is at least one of each.
struct Dataset {
  std::string name;  ///< for people: where it is from
  Images train;
  Images test;
};

/// Reads the four files of MNIST (or of a data set in the same format), each plain or gzipped, under their canonical
/// names: train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-images-idx3-ubyte[.gz] and
/// t10k-labels-idx1-ubyte[.gz].
Result<Dataset> load_idx_folder(const std::filesystem::path& folder);

/// SHA-256 of all pixels and labels: workers whose digests differ do not train on the same data.
std::string digest(const Dataset& dataset);

}  // namespace ringps
