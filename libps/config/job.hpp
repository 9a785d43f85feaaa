// From the configuration to what the cores and the data set need.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/core/job.hpp"

namespace ringps {

/// The job of a loaded configuration, for a model with these tensors.
JobSpec make_job(const Config& config, std::vector<TensorSpec> tensors);

/// The value of an environment variable, or nullptr. `std::getenv` is one.
using Environment = std::function<const char*(const char* name)>;

/// The folder that holds MNIST: `data.path` if given, else $RINGPS_DATA/mnist or ~/.cache/ringps/mnist, whichever has
/// it first.
Result<std::filesystem::path> find_mnist(const DataConfig& data, const Environment& environment);

}  // namespace ringps
