#include "libps/data/sample_source.hpp"

#include <algorithm>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/base/deterministic_math.hpp"
#include "libps/base/random.hpp"

namespace ringps {
namespace {

class LibsvmSource final : public SampleSource {
 public:
  explicit LibsvmSource(SparseDataset dataset) : dataset_(std::move(dataset)) {}

  std::size_t count(Split split) const override { return of(split).count(); }
  bool sample(Split split, std::size_t index, std::vector<FeatureValue>& features) const override {
    features.clear();
    for (const SparseEntry& entry : of(split).row(index)) {
      features.push_back({entry.feature, entry.value});
    }
    return of(split).labels[index] != 0;
  }

 private:
  const SparseSamples& of(Split split) const { return split == Split::train ? dataset_.train : dataset_.test; }

  SparseDataset dataset_;
};

const char* name_of(Split split) {
  return split == Split::train ? "train" : "test";
}

/// In [-size, size).
double symmetric(const KeyedRandom& random, std::uint64_t counter, double size) {
  return (2.0 * double{random.uniform(counter)} - 1.0) * size;
}

class ClickSource final : public SampleSource {
 public:
  explicit ClickSource(const ClickSpec& spec) : spec_(spec), truth_(spec.seed, "truth of clicks") {
    check(spec.fields > 0 && spec.features >= spec.fields, "each field has a feature");
  }

  std::size_t count(Split split) const override {
    return split == Split::train ? spec_.train_samples : spec_.test_samples;
  }

  bool sample(Split split, std::size_t index, std::vector<FeatureValue>& features) const override {
    draw(split, index, features);
    const double draw = KeyedRandom(spec_.seed, name_of(split), index).uniform(spec_.fields);
    return draw < probability(features);
  }

  std::optional<double> truth(Split split, std::size_t index) const override {
    std::vector<FeatureValue> features;
    draw(split, index, features);
    return probability(features);
  }

 private:
  void draw(Split split, std::size_t index, std::vector<FeatureValue>& features) const {
    const KeyedRandom random(spec_.seed, name_of(split), index);
    features.clear();
    const std::uint64_t share = spec_.features / spec_.fields;
    const double log_share = logarithm(static_cast<double>(share + 1));
    for (std::uint32_t f = 0; f < spec_.fields; ++f) {
      // e^(u ln(n + 1)), rounded down, is r with probability ln((r + 1) / r) / ln(n + 1): about 1 / r.
      const double rank = exponential(double{random.uniform(f)} * log_share);
      const auto r = std::min<std::uint64_t>(static_cast<std::uint64_t>(rank), share) - 1;
      features.push_back({f * share + r, 1.0F});
    }
  }

  double probability(const std::vector<FeatureValue>& features) const {
    double logit = 0;
    const std::uint64_t stride = std::uint64_t{1} + spec_.factors;
    for (const FeatureValue& f : features) {
      logit += symmetric(truth_, f.feature * stride, spec_.weight);
    }
    for (std::uint32_t k = 0; k < spec_.factors; ++k) {
      double sum = 0;
      double squares = 0;
      for (const FeatureValue& f : features) {
        const double v = symmetric(truth_, f.feature * stride + 1 + k, spec_.weight / 2);
        sum += v;
        squares += v * v;
      }
      logit += 0.5 * (sum * sum - squares);
    }
    return 1.0 / (1.0 + exponential(-logit));
  }

  ClickSpec spec_;
  KeyedRandom truth_;
};

}  // namespace

std::unique_ptr<SampleSource> sparse_source(SparseDataset dataset) {
  return std::make_unique<LibsvmSource>(std::move(dataset));
}

std::unique_ptr<SampleSource> click_source(const ClickSpec& spec) {
  return std::make_unique<ClickSource>(spec);
}

Rating draw_rating(const RatingSpec& spec, Split split, std::size_t index) {
  const KeyedRandom random(spec.seed, name_of(split), index);
  const KeyedRandom users(spec.seed, "truth of users");
  const KeyedRandom items(spec.seed, "truth of items");
  Rating rating{random.below(0, spec.users), random.below(1, spec.items), 0.0F};
  double product = 0;
  for (std::uint32_t k = 0; k < spec.rank; ++k) {
    product += symmetric(users, rating.user * spec.rank + k, 1.0) * symmetric(items, rating.item * spec.rank + k, 1.0);
  }
  rating.rating = static_cast<float>(product + symmetric(random, 2, spec.noise));
  return rating;
}

}  // namespace ringps
