// The models that ps-worker brings with it.
#pragma once

#include <memory>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/model/model.hpp"

namespace ringps {

/// The model of a loaded configuration, with its data read or drawn, cut to the sizes that the configuration asks for.
/// An error for a custom one.
Result<std::unique_ptr<Model>> make_built_in_model(const Config& config);

}  // namespace ringps
