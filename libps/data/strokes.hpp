// How the digits are written: for each digit a few ways, each a few strokes of the pen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ringps {

/// In a box of width and height 1; x to the right, y downwards.
struct Point {
  double x;
  double y;
};

struct Stroke {
  bool curved;  ///< a smooth curve through the points, else straight from one to the next
  std::vector<Point> points;
};

using Glyph = std::vector<Stroke>;

/// The ways to write `digit`, 0 … 9; at least one.
const std::vector<Glyph>& glyphs(std::uint8_t digit);

}  // namespace ringps
