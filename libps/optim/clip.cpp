#include "libps/optim/clip.hpp"

#include <array>
#include <cmath>
#include <cstddef>

namespace ringps {

void clip(std::span<float> gradient, double norm_max) {
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
  const double norm = std::sqrt(sum);
  if (!(norm > norm_max) || !std::isfinite(norm)) {
    return;
  }
  const auto factor = static_cast<float>(norm_max / norm);
  for (float& value : gradient) {
    value *= factor;
  }
}

}  // namespace ringps
