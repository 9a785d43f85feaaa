#include "libps/model/model.hpp"

#include <cmath>
#include <string>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/model/dense_network.hpp"
#include "libps/model/initial.hpp"
#include "libps/model/logistic_regression.hpp"

namespace ringps {

void Model::gradient(std::span<const float> /*weights*/, std::span<const std::uint32_t> /*samples*/,
                     std::span<float> /*gradient*/) {
  check(false, "a model without tables has a gradient");
}

Evaluation Model::evaluate(std::span<const float> /*weights*/, std::size_t /*count*/) const {
  check(false, "a model without tables can be evaluated");
  return {};
}

void Model::choose_rows(std::span<const std::uint32_t> /*samples*/, RowIds& /*ids*/) {
  check(false, "a model with tables chooses rows");
}

void Model::gradient_with_rows(std::span<const float> /*weights*/, Rows<const float> /*rows*/,
                               std::span<const std::uint32_t> /*samples*/, std::span<float> /*gradient*/,
                               Rows<float> /*row_gradient*/) {
  check(false, "a model with tables has a gradient of their rows");
}

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

std::unique_ptr<ImageModel> make_model(const ModelSpec& spec, std::size_t features) {
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
    case ModelKind::sparse_logistic_regression:
    case ModelKind::factorization_machine:
    case ModelKind::matrix_factorization:
    case ModelKind::custom:
      break;
  }
  check(false, "the model is one of images");
  return nullptr;
}

namespace {

/// An image model has scratch memory, so evaluation, which runs beside gradients, needs one of its own.
class ModelOfImages final : public Model {
 public:
  ModelOfImages(const ModelSpec& spec, Dataset dataset)
      : ModelOfImages(make_model(spec, dataset.train.features), make_model(spec, dataset.train.features),
                      std::move(dataset)) {}

  std::size_t train_samples() const override { return dataset_.train.count(); }
  void gradient(std::span<const float> weights, std::span<const std::uint32_t> samples,
                std::span<float> gradient) override {
    trained_->gradient(weights, dataset_.train, samples, gradient);
  }
  Evaluation evaluate(std::span<const float> weights, std::size_t count) const override {
    return evaluated_->evaluate(weights, dataset_.test, count);
  }

 private:
  ModelOfImages(std::unique_ptr<ImageModel> trained, std::unique_ptr<ImageModel> evaluated, Dataset&& dataset)
      : Model(trained->tensors()),
        dataset_(std::move(dataset)),
        trained_(std::move(trained)),
        evaluated_(std::move(evaluated)) {}

  Dataset dataset_;
  std::unique_ptr<ImageModel> trained_;
  std::unique_ptr<ImageModel> evaluated_;
};

}  // namespace

std::unique_ptr<Model> make_model_of(const ModelSpec& spec, Dataset dataset) {
  return std::make_unique<ModelOfImages>(spec, std::move(dataset));
}

}  // namespace ringps
