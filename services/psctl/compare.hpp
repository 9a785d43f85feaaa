// Compares the weights of two checkpoints bit for bit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "libps/base/result.hpp"

namespace ringps {

struct FirstDifference {
  std::string tensor;
  std::uint64_t element = 0;
  float left = 0;
  float right = 0;
};

/// NaN: a row that is not there.
/// "fc_weights[17] is 0.25 and should be 0.125 (0x3e800000 and 0x3e000000)"
std::string to_string(const FirstDifference& difference);

/// The first element, in order of tensors, whose bits differ. An error if the checkpoints are not of the same tensors.
Result<std::optional<FirstDifference>> first_difference(const std::filesystem::path& left,
                                                        const std::filesystem::path& right);

}  // namespace ringps
