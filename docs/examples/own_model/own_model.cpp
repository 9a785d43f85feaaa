// A model of your own: a straight line through points that this program draws. Build: see README.md.
#include <algorithm>
#include <libps/base/random.hpp>
#include <libps/worker/worker_main.hpp>
#include <memory>
#include <vector>

namespace {

struct Point {
  float x;
  float y;
};

class Line final : public ringps::Model {
 public:
  /// The same tensors as in own_model.yaml, and the same points in every worker: a pure function of the seed.
  explicit Line(const ringps::Config& config) : Model({{"slope", {1}, {}}, {"intercept", {1}, {}}}) {
    const ringps::KeyedRandom random(config.seed, "points of the line");
    for (std::uint64_t i = 0; i < 1000; ++i) {
      const float x = random.uniform(2 * i);
      points_.push_back({x, 3.0F * x + 2.0F + 0.1F * (random.uniform(2 * i + 1) - 0.5F)});
    }
  }

  std::size_t train_samples() const override { return points_.size(); }

  void gradient(std::span<const float> weights, std::span<const std::uint32_t> samples,
                std::span<float> gradient) override {
    std::fill(gradient.begin(), gradient.end(), 0.0F);
    for (const std::uint32_t sample : samples) {
      const float by_y = 2.0F * error(weights, points_[sample]) / static_cast<float>(samples.size());
      gradient[0] += by_y * points_[sample].x;
      gradient[intercept] += by_y;
    }
  }

  /// Here the loss alone says how good the line is.
  ringps::Evaluation evaluate(std::span<const float> weights, std::size_t count) const override {
    count = std::min(count, points_.size());
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sum += error(weights, points_[i]) * error(weights, points_[i]);
    }
    return {0.0, sum / static_cast<double>(count)};
  }

 private:
  static constexpr std::size_t intercept = ringps::tensor_alignment_elements;  // each tensor begins at a multiple of it
  static float error(std::span<const float> w, Point p) { return w[0] * p.x + w[intercept] - p.y; }
  std::vector<Point> points_;
};

}  // namespace

int main(int argc, char** argv) {
  return ringps::worker_main(argc, argv, ringps::factory_of<Line>());
}
