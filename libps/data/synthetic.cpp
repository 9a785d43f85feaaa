#include "libps/data/synthetic.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "libps/base/deterministic_math.hpp"
#include "libps/base/random.hpp"
#include "libps/data/strokes.hpp"

namespace ringps {
namespace {

constexpr int steps_per_curve_piece = 5;  // straight pieces that stand for the curve between two points

/// The random numbers of one image, taken one after the other.
class Dice {
 public:
  explicit Dice(const KeyedRandom& random) : random_(random) {}
  double between(double low, double high) { return low + (high - low) * double{random_.uniform(next_++)}; }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_.below(next_++, bound)); }

 private:
  KeyedRandom random_;
  std::uint64_t next_ = 0;
};

/// From the unit box of the strokes to pixels, by a random hand.
class Hand {
 public:
  explicit Hand(Dice& dice)
      : scale_x_(dice.between(11.0, 20.0)),
        scale_y_(dice.between(15.0, 21.0)),
        shear_(dice.between(-0.15, 0.45)),
        rotation_(sine_cosine(dice.between(-0.25, 0.25))),
        centre_{14.0 + dice.between(-1.5, 1.5), 14.0 + dice.between(-1.5, 1.5)} {}

  Point place(Point point) const {
    const double y = (point.y - 0.5) * scale_y_;
    const double x = (point.x - 0.5) * scale_x_ - shear_ * y;
    return {centre_.x + rotation_.cosine * x - rotation_.sine * y,
            centre_.y + rotation_.sine * x + rotation_.cosine * y};
  }

 private:
  double scale_x_;
  double scale_y_;
  double shear_;
  SineCosine rotation_;
  Point centre_;
};

/// Squared distances of all pixels from the nearest line that was drawn, as far as they are within reach of the pen.
class Canvas {
 public:
  explicit Canvas(double pen_radius) : reach_(pen_radius + 0.5) { squared_distance_.fill(reach_ * reach_); }

  void draw_line(Point from, Point to) {
    const double dx = to.x - from.x;
    const double dy = to.y - from.y;
    const double length_squared = std::max(dx * dx + dy * dy, 1e-9);
    const auto [left, right] = pixels_within_reach(from.x, to.x);
    const auto [top, bottom] = pixels_within_reach(from.y, to.y);
    for (int row = top; row < bottom; ++row) {
      for (int column = left; column < right; ++column) {
        const double px = column + 0.5 - from.x;
        const double py = row + 0.5 - from.y;
        const double along = std::clamp((px * dx + py * dy) / length_squared, 0.0, 1.0);
        const double off_x = px - along * dx;
        const double off_y = py - along * dy;
        double& nearest =
            squared_distance_[static_cast<std::size_t>(row) * synthetic_side + static_cast<std::size_t>(column)];
        nearest = std::min(nearest, off_x * off_x + off_y * off_y);
      }
    }
  }

  /// From 0 (paper) to 1; the edge of the line is one pixel wide.
  double ink(std::size_t pixel) const { return std::min(1.0, reach_ - std::sqrt(squared_distance_[pixel])); }

 private:
  struct Range {
    int begin;
    int end;
  };
  Range pixels_within_reach(double a, double b) const {
    return {std::max(0, static_cast<int>(std::min(a, b) - reach_)),
            std::min(static_cast<int>(synthetic_side), static_cast<int>(std::max(a, b) + reach_) + 1)};
  }

  double reach_;
  std::array<double, digit_features> squared_distance_;
};

/// Between b and c, at t in [0, 1], on the curve through all four. Source: Catmull and Rom 1974.
Point on_curve(Point a, Point b, Point c, Point d, double t) {
  const auto blend = [t](double pa, double pb, double pc, double pd) {
    return 0.5 * (2 * pb + t * ((pc - pa) + t * ((2 * pa - 5 * pb + 4 * pc - pd) + t * (3 * (pb - pc) + pd - pa))));
  };
  return {blend(a.x, b.x, c.x, d.x), blend(a.y, b.y, c.y, d.y)};
}

void draw_curve(Canvas& canvas, const std::vector<Point>& points) {
  const std::size_t last = points.size() - 1;
  Point from = points[0];
  for (std::size_t i = 0; i < last; ++i) {
    const Point& before = points[i == 0 ? 0 : i - 1];
    const Point& after = points[std::min(i + 2, last)];
    for (int step = 1; step <= steps_per_curve_piece; ++step) {
      const Point to =
          on_curve(before, points[i], points[i + 1], after, static_cast<double>(step) / steps_per_curve_piece);
      canvas.draw_line(from, to);
      from = to;
    }
  }
}

void draw_stroke(Canvas& canvas, const Stroke& stroke, const Hand& hand, Dice& dice) {
  constexpr double tremor = 0.06;
  std::vector<Point> points;
  for (const Point& point : stroke.points) {
    const double x = point.x + dice.between(-tremor, tremor);
    points.push_back(hand.place({x, point.y + dice.between(-tremor, tremor)}));
  }
  if (stroke.curved) {
    draw_curve(canvas, points);
    return;
  }
  for (std::size_t i = 1; i < points.size(); ++i) {
    canvas.draw_line(points[i - 1], points[i]);
  }
}

Images draw_split(std::uint64_t seed, Split split, std::size_t count) {
  Images images{digit_features, std::vector<std::uint8_t>(count * digit_features), std::vector<std::uint8_t>(count)};
  for (std::size_t i = 0; i < count; ++i) {
    const auto pixels = std::span(images.pixels).subspan(i * digit_features).first<digit_features>();
    images.labels[i] = draw_digit(seed, split, i, pixels);
  }
  return images;
}

}  // namespace

std::uint8_t draw_digit(std::uint64_t seed, Split split, std::uint64_t index,
                        std::span<std::uint8_t, digit_features> pixels) {
  const std::string_view purpose = split == Split::train ? "synthetic digits, train" : "synthetic digits, test";
  Dice dice(KeyedRandom(seed, purpose, index));
  const auto label = static_cast<std::uint8_t>(dice.below(label_classes));
  const auto& ways = glyphs(label);
  const Glyph& glyph = ways[dice.below(ways.size())];

  const Hand hand(dice);
  Canvas canvas(dice.between(0.8, 1.8));
  for (const Stroke& stroke : glyph) {
    draw_stroke(canvas, stroke, hand, dice);
  }
  for (std::size_t i = 0; i < digit_features; ++i) {
    constexpr double fading = 0.3;
    const double shade = 1.0 - fading * dice.between(0.0, 1.0);
    pixels[i] = static_cast<std::uint8_t>(255.0 * shade * canvas.ink(i));
  }
  return label;
}

Dataset synthetic_digits(std::uint64_t seed, std::size_t train, std::size_t test) {
  return {"synthetic digits", draw_split(seed, Split::train, train), draw_split(seed, Split::test, test)};
}

}  // namespace ringps
