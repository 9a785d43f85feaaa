#include "libps/model/model.hpp"

#include <cmath>
#include <string>

#include "libps/base/check.hpp"
#include "libps/model/dense_network.hpp"
#include "libps/model/initial.hpp"
#include "libps/model/logistic_regression.hpp"

namespace ringps {

LayerInitialisers layer_initialisers(Initial initial, std::size_t inputs, std::size_t outputs) {
  switch (initial) {
    case Initial::zeros:
      return {};
    case Initial::uniform:
      return {{0.0F, 1.0F}, {0.0F, 1.0F}};
    case Initial::glorot: {
      const float bound = std::sqrt(6.0F / static_cast<float>(inputs + outputs));
      return {{-bound, bound}, {}};
    }
  }
  check(false, "the initialiser is known");
  return {};
}

std::unique_ptr<Model> make_model(const ModelSpec& spec, std::size_t features) {
  switch (spec.kind) {
    case ModelKind::logistic_regression:
      return make_logistic_regression(spec.initial, features);
    case ModelKind::softmax_regression:
      return make_dense_network({{"fc_weights", "fc_bias", features, label_classes}}, spec.initial);
    case ModelKind::mlp: {
      std::vector<LayerShape> layers;
      std::size_t inputs = features;
      auto widths = spec.hidden;
      widths.push_back(label_classes);
      for (const std::size_t outputs : widths) {
        const std::string name = "layer" + std::to_string(layers.size() + 1);
        layers.push_back({name + ".weights", name + ".bias", inputs, outputs});
        inputs = outputs;
      }
      return make_dense_network(layers, spec.initial);
    }
  }
  check(false, "the model kind is known");
  return nullptr;
}

}  // namespace ringps
