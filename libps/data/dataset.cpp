#include "libps/data/dataset.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "libps/base/sha256.hpp"
#include "libps/data/idx.hpp"

namespace ringps {
namespace {

struct File {
  std::filesystem::path path;
  IdxArray array;
};

/// Reads folder/name, or folder/name.gz if that is what there is.
Result<File> read_file(const std::filesystem::path& folder, const std::string& name, std::size_t dimensions) {
  for (const auto& path : {folder / name, folder / (name + ".gz")}) {
    std::ifstream input(path, std::ios::binary);
    if (!input) {
      continue;
    }
    auto array = read_idx(input, dimensions, path.string());
    if (!array) {
      return Error{array.error()};
    }
    return File{path, std::move(*array)};
  }
  return Error{fmt::format("{}: neither {} nor {}.gz can be opened there; put the four files of MNIST into this folder",
                           folder.string(), name, name)};
}

Result<void> check_split(const File& images, const File& labels) {
  const auto& shape = images.array.shape;
  if (shape[0] == 0 || shape[1] == 0 || shape[2] == 0) {
    return Error{
        fmt::format("{}: the images are {}: there is nothing in it", images.path.string(), fmt::join(shape, " x "))};
  }
  if (labels.array.shape[0] != shape[0]) {
    return Error{fmt::format("{}: has {} labels, but {} has {} images; the two files do not belong together",
                             labels.path.string(), labels.array.shape[0], images.path.string(), shape[0])};
  }
  const auto& values = labels.array.values;
  const auto bad =
      std::find_if(values.begin(), values.end(), [](std::uint8_t label) { return label >= label_classes; });
  if (bad != values.end()) {
    return Error{fmt::format("{}: label {} (from 0) is {}, expected 0 to {}", labels.path.string(),
                             bad - values.begin(), *bad, label_classes - 1)};
  }
  return {};
}

Result<Images> load_split(const std::filesystem::path& folder, const std::string& split) {
  auto images = read_file(folder, split + "-images-idx3-ubyte", 3);
  if (!images) {
    return Error{images.error()};
  }
  auto labels = read_file(folder, split + "-labels-idx1-ubyte", 1);
  if (!labels) {
    return Error{labels.error()};
  }
  if (auto checked = check_split(*images, *labels); !checked) {
    return Error{checked.error()};
  }
  const auto& shape = images->array.shape;
  return Images{std::size_t{shape[1]} * shape[2], std::move(images->array.values), std::move(labels->array.values)};
}

}  // namespace

Result<Dataset> load_idx_folder(const std::filesystem::path& folder) {
  auto train = load_split(folder, "train");
  if (!train) {
    return Error{train.error()};
  }
  auto test = load_split(folder, "t10k");
  if (!test) {
    return Error{test.error()};
  }
  if (train->features != test->features) {
    return Error{fmt::format("{}: training images have {} pixels, test images {}; they must have the same number",
                             folder.string(), train->features, test->features)};
  }
  return Dataset{folder.string(), std::move(*train), std::move(*test)};
}

void keep_first(Images& images, std::size_t count) {
  const std::size_t kept = std::min(count, images.count());
  images.pixels.resize(kept * images.features);
  images.labels.resize(kept);
}

std::string digest(const Dataset& dataset) {
  Sha256 sha256;
  for (const Images* images : {&dataset.train, &dataset.test}) {
    sha256.update(fmt::format("{} images of {} pixels\n", images->count(), images->features));
    sha256.update(std::as_bytes(std::span(images->pixels)));
    sha256.update(std::as_bytes(std::span(images->labels)));
  }
  return sha256.hex();
}

}  // namespace ringps
