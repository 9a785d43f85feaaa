#include "libps/worker/worker_main.hpp"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <string>

#include "libps/role/role.hpp"
#include "libps/worker/trainer.hpp"

namespace ringps {
namespace {

std::string words(const std::vector<TensorSpec>& tensors) {
  std::string text;
  for (const TensorSpec& tensor : tensors) {
    text += fmt::format("{}{} [{}]", text.empty() ? "" : ", ", tensor.name, fmt::join(tensor.shape, ", "));
  }
  return text;
}

/// Servers hold what the configuration says: a model that means something else would write beyond it.
Result<void> check_tensors(const std::vector<TensorSpec>& of_model, const std::vector<TensorSpec>& of_job) {
  const bool same =
      std::equal(of_model.begin(), of_model.end(), of_job.begin(), of_job.end(),
                 [](const TensorSpec& a, const TensorSpec& b) { return a.name == b.name && a.shape == b.shape; });
  return same ? Result<void>()
              : Error{fmt::format("the model has the tensors {}, but the configuration says {}: both must be the same",
                                  words(of_model), words(of_job))};
}

Result<void> check_tables(const std::vector<TableSpec>& of_model, const std::vector<TableSpec>& of_job) {
  const auto text = [](const std::vector<TableSpec>& tables) {
    std::string words = tables.empty() ? "none" : "";
    for (const TableSpec& table : tables) {
      words += fmt::format("{}{} of width {}", words.empty() ? "" : ", ", table.name, table.width);
    }
    return words;
  };
  return text(of_model) == text(of_job)
             ? Result<void>()
             : Error{fmt::format("the model has the tables {}, but the configuration says {}: both must be the same",
                                 text(of_model), text(of_job))};
}

}  // namespace

int worker_main(int argc, char** argv, const ModelFactory& make_model) {
  RoleOptions options;
  CLI::App app(
      "A worker of a ringps cluster: computes gradients; holds nothing that cannot be rebuilt.\n"
      "Example: ps-worker --config run.yaml --id worker0 --coordinator tcp://10.0.0.1:7070");
  options.add_to(app);
  options.add_member_options(app);
  if (const auto code = parse(app, argc, argv)) {
    return *code;
  }
  const auto job = prepare(options);
  if (!job) {
    return report_error(job.error(), exit_usage);
  }
  const auto model = make_model(job->config);
  if (!model) {
    return report_error(model.error(), exit_usage);
  }
  if (const auto checked = check_tensors((*model)->tensors(), job->spec.tensors); !checked) {
    return report_error(checked.error(), exit_usage);
  }
  if (const auto checked = check_tables((*model)->tables(), job->spec.tables); !checked) {
    return report_error(checked.error(), exit_usage);
  }
  if (const std::size_t samples = (*model)->train_samples();
      samples == 0 || samples > std::numeric_limits<std::uint32_t>::max()) {
    return report_error(fmt::format("the model has {} training samples, expected 1 to 4294967295", samples),
                        exit_usage);
  }
  return train(*job, **model, options);
}

}  // namespace ringps
