#include "libps/optim/reduce.hpp"

#include <algorithm>

#include "libps/optim/kernels.hpp"

namespace ringps {
namespace {

void reduce_piece(std::span<const std::byte* const> contributions, std::size_t offset_bytes, float scale,
                  std::span<float> sum) {
  const kernels::Table& kernel = kernels::best();
  const auto at = [&](std::size_t k) { return contributions[k] + offset_bytes; };
  if (contributions.size() == 1) {
    return kernel.copy_scaled(at(0), sum.size(), scale, sum.data());
  }
  kernel.copy_scaled(at(0), sum.size(), 1.0F, sum.data());
  std::size_t k = 1;
  for (; k + 1 < contributions.size(); k += 2) {
    kernel.add_two(at(k), at(k + 1), sum.size(), sum.data());
  }
  if (k < contributions.size()) {
    kernel.add(at(k), sum.size(), sum.data());
  }
  kernel.scale(sum.size(), scale, sum.data());
}

}  // namespace

void reduce(std::span<const std::byte* const> contributions, std::size_t begin, float scale, std::span<float> sum) {
  if (contributions.empty()) {
    std::fill(sum.begin(), sum.end(), 0.0F);
    return;
  }
  for (std::size_t done = 0; done < sum.size(); done += piece_elements) {
    const std::size_t count = std::min(piece_elements, sum.size() - done);
    reduce_piece(contributions, (begin + done) * sizeof(float), scale, sum.subspan(done, count));
  }
}

std::size_t first_not_finite(const std::byte* values, std::size_t count) {
  const auto any_not_finite = kernels::best().any_not_finite;
  for (std::size_t begin = 0; begin < count; begin += piece_elements) {
    const std::size_t end = std::min(begin + piece_elements, count);
    if (any_not_finite(values + begin * sizeof(float), end - begin)) [[unlikely]] {
      std::size_t index = begin;
      while (!any_not_finite(values + index * sizeof(float), 1)) {
        ++index;
      }
      return index;
    }
  }
  return count;
}

}  // namespace ringps
