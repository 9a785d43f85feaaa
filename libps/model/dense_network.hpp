// Fully connected layers with ReLU between them and softmax cross-entropy behind the last: which digit is it? Without
// hidden layers this is softmax regression.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "libps/model/model.hpp"

namespace ringps {

struct LayerShape {
  std::string weights;  ///< name of the tensor [outputs, inputs]
  std::string bias;     ///< name of the tensor [outputs]
  std::size_t inputs;
  std::size_t outputs;
};

/// `layers` from first to last, at least one; each has as many inputs as the one before has outputs.
std::unique_ptr<ImageModel> make_dense_network(const std::vector<LayerShape>& layers, Initial initial);

}  // namespace ringps
