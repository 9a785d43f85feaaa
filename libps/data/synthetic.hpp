// Synthetic digits: drawn by the program itself, for use where MNIST is not at hand. They have the shape of MNIST and
// are about as hard for a linear model, but they are not MNIST; whatever is measured on them is called synthetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libps/data/dataset.hpp"

namespace ringps {

inline constexpr std::size_t synthetic_side = 28;  ///< pixels
static_assert(synthetic_side * synthetic_side == digit_features);

enum class Split : std::uint8_t { train, test };

/// Draws one image and returns its label. A pure function of (seed, split, index), with the same bits on every machine.
std::uint8_t draw_digit(std::uint64_t seed, Split split, std::uint64_t index,
                        std::span<std::uint8_t, digit_features> pixels);

/// The images 0 … train - 1 and 0 … test - 1 of the two splits; both at least 1. About 100,000 images a second.
Dataset synthetic_digits(std::uint64_t seed, std::size_t train, std::size_t test);

}  // namespace ringps
