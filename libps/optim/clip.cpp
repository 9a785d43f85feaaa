#include "libps/optim/clip.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace ringps {
namespace {

double sum_of_squares(std::span<const float> gradient) {
  constexpr std::size_t lanes = 8;
  std::array<double, lanes> squares{};
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const auto value = static_cast<double>(gradient[i]);
    squares[i % lanes] += value * value;
  }
  double sum = 0;
  for (const double lane : squares) {
    sum += lane;
  }
  return sum;
}

double sum_of_squares(const RowGradients& rows) {
  const std::size_t count = rows.ids.size();
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return rows.ids[a] != rows.ids[b] ? rows.ids[a] < rows.ids[b] : a < b;
  });
  const std::size_t width = count == 0 ? 0 : rows.values.size() / count;
  std::vector<double> row(width);
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t e = 0; e < width; ++e) {
      row[e] += static_cast<double>(rows.values[order[i] * width + e]);
    }
    if (i + 1 == count || rows.ids[order[i + 1]] != rows.ids[order[i]]) {
      for (double& element : row) {
        sum += element * element;
        element = 0;
      }
    }
  }
  return sum;
}

}  // namespace

void clip(std::span<float> gradient, double norm_max) {
  clip(gradient, {}, norm_max);
}

void clip(std::span<float> gradient, std::span<const RowGradients> rows, double norm_max) {
  double sum = sum_of_squares(gradient);
  for (const RowGradients& each : rows) {
    sum += sum_of_squares(each);
  }
  const double norm = std::sqrt(sum);
  if (!(norm > norm_max) || !std::isfinite(norm)) {
    return;
  }
  const auto factor = static_cast<float>(norm_max / norm);
  const auto shorten = [factor](std::span<float> values) {
    for (float& value : values) {
      value *= factor;
    }
  };
  shorten(gradient);
  for (const RowGradients& each : rows) {
    shorten(each.values);
  }
}

}  // namespace ringps
