// Samples whose features are numbered with 64 bits, read from a file or computed when they are asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "libps/data/sparse.hpp"
#include "libps/data/synthetic.hpp"

namespace ringps {

struct FeatureValue {
  std::uint64_t feature = 0;
  float value = 0.0F;

  friend bool operator==(const FeatureValue&, const FeatureValue&) = default;
};

/// Samples of two classes. All calls are pure functions, and any thread may make them.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  SampleSource(const SampleSource&) = delete;
  SampleSource& operator=(const SampleSource&) = delete;

  virtual std::size_t count(Split split) const = 0;
  /// Writes the sample's features over `features`; returns whether it is of the positive class.
  virtual bool sample(Split split, std::size_t index, std::vector<FeatureValue>& features) const = 0;
  /// The probability of the positive class, where the samples are drawn from a known one.
  virtual std::optional<double> truth(Split /*split*/, std::size_t /*index*/) const { return std::nullopt; }

 protected:
  SampleSource() = default;
};

/// Those of a LIBSVM file.
std::unique_ptr<SampleSource> sparse_source(SparseDataset dataset);

/// Clicks on advertisements, as far as their shape goes: each sample has `fields` features of value 1, one of each
/// field's share of the `features` possible ones, by a power law (the r-th most frequent of a field as often as 1 / r).
/// Labels are drawn from a factorisation machine with weights in [-weight, weight) and `factors` factors, which is a
/// pure function of the seed: neither samples nor truth take up memory.
struct ClickSpec {
  std::uint64_t seed = 0;
  std::uint64_t features = 1'000'000;
  std::uint32_t fields = 10;
  std::uint32_t factors = 0;
  double weight = 1.0;
  std::size_t train_samples = 100'000;
  std::size_t test_samples = 10'000;
};
std::unique_ptr<SampleSource> click_source(const ClickSpec& spec);

/// What somebody thinks of something.
struct Rating {
  std::uint64_t user = 0;
  std::uint64_t item = 0;
  float rating = 0.0F;
};

/// Ratings of a matrix of low rank: the product of a user's and an item's `rank` factors, which are uniform in [-1, 1),
/// and uniform noise in [-noise, noise). Pure functions of the seed.
struct RatingSpec {
  std::uint64_t seed = 0;
  std::uint64_t users = 1000;
  std::uint64_t items = 1000;
  std::uint32_t rank = 8;
  double noise = 0.1;
  std::size_t train_samples = 100'000;
  std::size_t test_samples = 10'000;
};
Rating draw_rating(const RatingSpec& spec, Split split, std::size_t index);

}  // namespace ringps
