#include "libps/data/dataset.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/support/temp_dir.hpp"
#include "tests/unit/data/idx_files.hpp"

namespace ringps {
namespace {

using Catch::Matchers::Contains;

/// A folder with the four files of a tiny data set: two training images and one test image of 1 x 3 pixels.
class Folder {
 public:
  Folder() {
    put("train-images-idx3-ubyte", idx({2, 1, 3}, "abcdef"));
    put("train-labels-idx1-ubyte", idx({2}, std::string{7, 0}));
    put("t10k-images-idx3-ubyte", idx({1, 1, 3}, "xyz"));
    put("t10k-labels-idx1-ubyte", idx({1}, "\x09"));
  }
  void put(const std::string& name, const std::string& bytes) const { write_file(dir_ / name, bytes); }
  void remove(const std::string& name) const { std::filesystem::remove(dir_ / name); }
  Result<Dataset> load() const { return load_idx_folder(dir_.path()); }
  std::string error() const {
    const auto dataset = load();
    REQUIRE_FALSE(dataset);
    CHECK_THAT(dataset.error(), Contains(dir_.path().string()));
    return dataset.error();
  }

 private:
  TempDir dir_;
};

TEST_CASE("a folder of four IDX files is a data set, whichever of them are gzipped") {
  const Folder folder;
  folder.remove("train-images-idx3-ubyte");
  folder.put("train-images-idx3-ubyte.gz", gzipped(idx({2, 1, 3}, "abcdef")));
  const auto dataset = folder.load();
  REQUIRE(dataset);
  CHECK(dataset->train.count() == 2);
  CHECK(dataset->train.features == 3);
  CHECK(dataset->train.image(1)[0] == 'd');
  CHECK(dataset->train.labels == std::vector<std::uint8_t>{7, 0});
  CHECK(dataset->test.count() == 1);
  CHECK(dataset->test.image(0)[2] == 'z');
  CHECK(dataset->test.labels == std::vector<std::uint8_t>{9});
}

TEST_CASE("a missing file is named, with both of its possible names") {
  const Folder folder;
  folder.remove("t10k-labels-idx1-ubyte");
  CHECK_THAT(folder.error(), Contains("neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte.gz"));
}

TEST_CASE("files that do not belong together are refused") {
  const Folder folder;
  folder.put("train-labels-idx1-ubyte", idx({3}, std::string(3, '\1')));
  CHECK_THAT(folder.error(), Contains("train-labels-idx1-ubyte: has 3 labels") && Contains("has 2 images"));
}

TEST_CASE("a label that is no digit is refused and located") {
  const Folder folder;
  folder.put("train-labels-idx1-ubyte", idx({2}, std::string{1, 10}));
  CHECK_THAT(folder.error(), Contains("train-labels-idx1-ubyte: label 1 (from 0) is 10, expected 0 to 9"));
}

TEST_CASE("training and test images of different sizes are refused") {
  const Folder folder;
  folder.put("t10k-images-idx3-ubyte", idx({1, 2, 2}, "wxyz"));
  CHECK_THAT(folder.error(), Contains("training images have 3 pixels, test images 4"));
}

TEST_CASE("a data set without images is refused") {
  const Folder folder;
  folder.put("t10k-images-idx3-ubyte", idx({0, 1, 3}, ""));
  folder.put("t10k-labels-idx1-ubyte", idx({0}, ""));
  CHECK_THAT(folder.error(), Contains("t10k-images-idx3-ubyte: the images are 0 x 1 x 3"));
}

TEST_CASE("images and labels that are exchanged are refused by their magic numbers") {
  const Folder folder;
  folder.put("train-images-idx3-ubyte", idx({2}, "ab"));
  CHECK_THAT(folder.error(), Contains("train-images-idx3-ubyte: the magic number is 0x00000801"));
}

TEST_CASE("the digest changes with any pixel, any label and with the split that an image is in") {
  const Folder folder;
  const auto digest_now = [&] { return digest(folder.load().value()); };
  const auto original = digest_now();
  CHECK(original == digest_now());
  folder.put("train-images-idx3-ubyte", idx({2, 1, 3}, "abcdeg"));
  CHECK(original != digest_now());
  folder.put("train-images-idx3-ubyte", idx({2, 1, 3}, "abcdef"));
  folder.put("t10k-labels-idx1-ubyte", idx({1}, "\x08"));
  CHECK(original != digest_now());
}

TEST_CASE("a data set can be cut to its first images") {
  auto images = Folder().load().value().train;
  keep_first(images, 5);
  CHECK(images.count() == 2);
  keep_first(images, 1);
  CHECK(images.count() == 1);
  CHECK(images.pixels == std::vector<std::uint8_t>{'a', 'b', 'c'});
}

TEST_CASE("the real MNIST files load") {
  const char* folder = std::getenv("RINGPS_DATA");
  if (folder == nullptr) {
    WARN("skipped: set RINGPS_DATA to a folder that has mnist/ with the four files of MNIST");
    return;
  }
  const auto dataset = load_idx_folder(std::filesystem::path(folder) / "mnist");
  INFO((dataset ? "" : dataset.error()));
  REQUIRE(dataset);
  CHECK(dataset->train.count() == 60000);
  CHECK(dataset->test.count() == 10000);
  CHECK(dataset->train.features == 784);
  CHECK(dataset->train.labels[0] == 5);
  CHECK(dataset->test.labels[0] == 7);
}

}  // namespace
}  // namespace ringps
