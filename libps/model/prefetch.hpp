// A batch is random images of an array far larger than the caches: without prefetching, waiting for memory takes
// several times as long as computing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libps/data/dataset.hpp"

namespace ringps {

/// Far enough to be there in time, near enough to be still in the L1 cache then.
inline constexpr std::size_t prefetch_distance_images = 8;

/// Always inlined because GCC 12 takes a function that only prefetches for one without effect, and drops its calls.
[[gnu::always_inline]] inline void prefetch(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t cache_line_bytes = 64;
  for (std::size_t i = 0; i < bytes.size(); i += cache_line_bytes) {
    __builtin_prefetch(bytes.data() + i);
  }
  __builtin_prefetch(bytes.data() + bytes.size() - 1);
}

/// Calls use(i, image) for each of the samples, i = 0 …, in order, while the images after it are on their way.
template <class Use>
void for_each_image(const Images& images, std::span<const std::uint32_t> samples, Use use) {
  for (std::size_t i = 0; i < samples.size() && i < prefetch_distance_images; ++i) {
    prefetch(images.image(samples[i]));
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (i + prefetch_distance_images < samples.size()) {
      prefetch(images.image(samples[i + prefetch_distance_images]));
    }
    use(i, images.image(samples[i]));
  }
}

}  // namespace ringps
