// A whole worker program for a model of your own: docs/examples/own_model. `ps-worker` is the same for the models that
// ringps brings.
//
//   int main(int argc, char** argv) {
//     return ringps::worker_main(argc, argv, ringps::factory_of<MyModel>());
//   }
//
// The configuration has `model: {kind: custom, tensors: […]}`, so that servers know the tensors without knowing the
// model, and `cluster.worker_program` names the program for psctl.
#pragma once

#include <exception>
#include <functional>
#include <memory>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/model/model.hpp"

namespace ringps {

/// Makes the model that a worker trains, with its data. Its tensors have the names and shapes of the configuration's,
/// in the same order; their first values are the configuration's.
using ModelFactory = std::function<Result<std::unique_ptr<Model>>(const Config&)>;

/// For a model whose constructor takes the configuration. What it throws ends the program with its words.
template <class MyModel>
ModelFactory factory_of() {
  return [](const Config& config) -> Result<std::unique_ptr<Model>> {
    try {
      return std::unique_ptr<Model>(std::make_unique<MyModel>(config));
    } catch (const std::exception& error) {
      return Error{error.what()};
    }
  };
}

/// Takes part in a run as a worker, with the command line of ps-worker. Returns the exit code.
int worker_main(int argc, char** argv, const ModelFactory& make_model);

}  // namespace ringps
