// How the initial values of a layer are drawn.
#pragma once

#include <cstddef>

#include "libps/base/tensor.hpp"
#include "libps/model/model.hpp"

namespace ringps {

struct LayerInitialisers {
  Initialiser weights;
  Initialiser bias;
};

LayerInitialisers layer_initialisers(Initial initial, std::size_t inputs, std::size_t outputs);

}  // namespace ringps
