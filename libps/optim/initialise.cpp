#include "libps/optim/initialise.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "libps/base/random.hpp"

namespace ringps {

void initialise(const TensorSpec& tensor, std::uint64_t seed, std::uint64_t first, std::span<float> values) {
  const KeyedRandom random(seed, "initialise " + tensor.name);
  const auto [low, high] = tensor.initialiser;
  const float width = high - low;
  const float largest = std::nextafter(high, low);  // the sum below may round up to high, which is excluded
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::min(low + width * random.uniform(first + i), largest);
  }
}

}  // namespace ringps
