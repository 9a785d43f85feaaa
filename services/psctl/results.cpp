#include "services/psctl/results.hpp"

#include <spdlog/fmt/fmt.h>

#include <initializer_list>
#include <type_traits>
#include <utility>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "libps/config/write.hpp"
#include "services/common/status_json.hpp"
#include "services/psctl/size_text.hpp"

namespace ringps {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json json_of(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json fault_json(const FaultRecord& fault) {
  return {{"what", fault.what},
          {"whom", fault.whom},
          {"iteration", fault.iteration},
          {"detected_after", json_of(fault.detected_after_s)},
          {"recovered_after", json_of(fault.recovered_after_s)},
          {"longest_stall", json_of(fault.longest_stall_s)},
          {"iterations_replayed", fault.iterations_replayed},
          {"updates_lost", fault.updates_lost},
          {"scheduled", fault.scheduled},
          {"random", fault.random},
          {"took_place", fault.not_done.empty()},
          {"why_not", fault.not_done.empty() ? ordered_json() : ordered_json(fault.not_done)}};
}

ordered_json life_json(const Life& life) {
  return {{"role", name_of(life.role)},
          {"id", life.id},
          {"pid", life.pid},
          {"endpoint", life.endpoint},
          {"incarnation", life.incarnation.value},
          {"end", life.end ? to_string(life.end->exit) : "running"}};
}

ordered_json final_json(const std::optional<FinalEvaluation>& found) {
  if (!found) {
    return nullptr;
  }
  return {{"train_loss", json_of(found->train_loss)},       {"test_loss", json_of(found->test_loss)},
          {"test_accuracy", json_of(found->test_accuracy)}, {"test_auc", json_of(found->test_auc)},
          {"objective", json_of(found->objective)},         {"truth_loss", json_of(found->truth_loss)},
          {"train_error", json_of(found->train_error)},     {"test_error", json_of(found->test_error)},
          {"truth_error", json_of(found->truth_error)},     {"rows", json_of(found->rows)}};
}

template <class Record>
ordered_json list_of(const std::vector<Record>& records, auto member) {
  auto list = ordered_json::array();
  for (const Record& record : records) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(record.*member)>>) {
      list.push_back(record.*member);
    } else {
      list.push_back(json_of(record.*member));
    }
  }
  return list;
}

/// Of what is there.
std::string words(const FinalEvaluation& found) {
  std::string text;
  const auto add = [&](const char* what, std::initializer_list<std::pair<const char*, std::optional<double>>> values) {
    std::string line;
    for (const auto& [name, value] : values) {
      line += value ? fmt::format("{}{} {:.6f}", line.empty() ? "" : ", ", name, *value) : "";
    }
    text += line.empty() ? "" : fmt::format("{:<13} {}\n", what, line);
  };
  add("training data", {{"log-loss", found.train_loss}, {"objective", found.objective}, {"error", found.train_error}});
  add("test data", {{"accuracy", found.test_accuracy},
                    {"AUC", found.test_auc},
                    {"log-loss", found.test_loss},
                    {"error", found.test_error}});
  add("the truth", {{"log-loss", found.truth_loss}, {"error", found.truth_error}});
  text += found.rows ? fmt::format("{:<13} {}\n", "rows", *found.rows) : "";
  return text;
}

/// By the number of iterations that were missing; null in a synchronous run.
ordered_json staleness_json(const std::vector<std::uint64_t>& staleness) {
  ordered_json json;
  for (std::size_t s = 0; s < staleness.size(); ++s) {
    json[std::to_string(s)] = staleness[s];
  }
  return json;
}

ordered_json direction_json(std::uint64_t bytes, std::uint64_t as_float32) {
  return {{"bytes", bytes},
          {"float32_bytes", as_float32},
          {"ratio", as_float32 == 0 ? ordered_json()
                                    : ordered_json(static_cast<double>(bytes) / static_cast<double>(as_float32))}};
}

ordered_json traffic_json(const Traffic& traffic) {
  return {{"gradients", direction_json(traffic.gradients, traffic.gradients_float32)},
          {"weights", direction_json(traffic.weights, traffic.weights_float32)},
          {"residuals_lost", traffic.residuals_lost}};
}

std::optional<double> difference(const std::optional<double>& a, const std::optional<double>& b) {
  return a && b ? std::optional(*a - *b) : std::nullopt;
}

/// What compression has cost; null where nobody has asked.
ordered_json uncompressed_json(const RunRecord& record) {
  if (!record.uncompressed) {
    return nullptr;
  }
  const Quality with = quality_of(record);
  const Quality& without = *record.uncompressed;
  return {{"accuracy", json_of(without.accuracy)},
          {"loss", json_of(without.loss)},
          {"accuracy_compressed", json_of(with.accuracy)},
          {"loss_compressed", json_of(with.loss)},
          {"accuracy_difference", json_of(difference(with.accuracy, without.accuracy))},
          {"loss_difference", json_of(difference(with.loss, without.loss))}};
}

std::string direction_text(const char* what, std::uint64_t bytes, std::uint64_t as_float32) {
  std::string text = fmt::format("{} {}", what, size_text(bytes));
  if (bytes != as_float32) {
    text += fmt::format(" for {} of float32 ({:.1f} %)", size_text(as_float32),
                        100 * static_cast<double>(bytes) / static_cast<double>(as_float32));
  }
  return text;
}

std::string traffic_text(const Traffic& traffic) {
  return direction_text("gradients", traffic.gradients, traffic.gradients_float32) + ", " +
         direction_text("weights", traffic.weights, traffic.weights_float32) +
         (traffic.residuals_lost == 0 ? "" : fmt::format(", residuals lost: {}", traffic.residuals_lost));
}

std::string cost_text(const Quality& with, const Quality& without) {
  std::string text;
  if (const auto cost = difference(with.accuracy, without.accuracy)) {
    text += fmt::format("accuracy {:.2f} %, {:+.2f} with it", *without.accuracy, *cost);
  }
  if (const auto cost = difference(with.loss, without.loss)) {
    text += fmt::format("{}loss {:.4f}, {:+.4f} with it", text.empty() ? "" : "; ", *without.loss, *cost);
  }
  return text.empty() ? "not measured" : text;
}

/// How a run ended, in a few words: what has gone wrong stands above the summary.
std::string headline(const std::string& end) {
  constexpr std::size_t few = 60;
  return end.size() <= few && end.find('\n') == std::string::npos ? end : "failed";
}

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f} %", *value) : "not measured";
}

}  // namespace

Quality quality_of(const RunRecord& record) {
  if (const auto& found = record.final) {
    return {found->test_accuracy ? std::optional(100 * *found->test_accuracy) : std::nullopt,
            found->test_loss ? found->test_loss : found->test_error};
  }
  const Metrics last = final_metrics(record.metrics);
  if (!last.evaluations.empty()) {
    return {last.evaluations.back().accuracy, last.evaluations.back().loss};
  }
  return {};
}

RunFigures figures_of(const RunRecord& record) {
  const Metrics last = final_metrics(record.metrics);
  RunFigures figures;
  double seconds_sum = 0;
  for (const MeasuredIteration& measured : last.iterations) {
    seconds_sum += measured.total_time;
    figures.iterations_completed = std::max(figures.iterations_completed, measured.iteration);
  }
  if (seconds_sum > 0) {
    figures.mean_iteration_s = seconds_sum / static_cast<double>(last.iterations.size());
    figures.iterations_per_second = 1 / figures.mean_iteration_s;
  }
  if (!last.evaluations.empty()) {
    figures.final_accuracy = last.evaluations.back().accuracy;
  }
  for (const MeasuredEvaluation& measured : record.metrics.evaluations) {
    figures.best_accuracy = std::max(figures.best_accuracy, measured.accuracy);
  }
  return figures;
}

ordered_json results_json(const RunRecord& record) {
  const Metrics last = final_metrics(record.metrics);
  const RunFigures figures = figures_of(record);
  auto faults = ordered_json::array();
  for (const FaultRecord& fault : record.faults) {
    faults.push_back(fault_json(fault));
  }
  auto processes = ordered_json::array();
  for (const Life& life : record.lives) {
    processes.push_back(life_json(life));
  }
  return {{"total_time", list_of(last.iterations, &MeasuredIteration::total_time)},
          {"gradient_time", list_of(last.iterations, &MeasuredIteration::gradient_time)},
          {"accuracy", list_of(last.evaluations, &MeasuredEvaluation::accuracy)},
          {"evaluation_iterations", list_of(last.evaluations, &MeasuredEvaluation::iteration)},
          {"loss", list_of(last.evaluations, &MeasuredEvaluation::loss)},
          {"end", record.end},
          {"iterations_completed", figures.iterations_completed},
          {"final_weights_sha256", json_of(record.final_weights_sha256)},
          {"final", final_json(record.final)},
          {"equals_fault_free", json_of(record.equals_fault_free)},
          {"traffic", traffic_json(record.metrics.traffic)},
          {"uncompressed", uncompressed_json(record)},
          {"best_accuracy", json_of(figures.best_accuracy)},
          {"iterations_per_second", figures.iterations_per_second},
          {"wall_seconds", record.wall_seconds},
          {"staleness", staleness_json(record.metrics.staleness)},
          {"faults", faults},
          {"processes", processes},
          {"config", to_json(record.config)},
          {"version", RINGPS_VERSION}};
}

std::string summary(const RunRecord& record) {
  const RunFigures figures = figures_of(record);
  std::string resumed;
  if (const auto& measured = record.metrics.iterations; !record.config.checkpoint.resume.empty() && !measured.empty()) {
    const auto first = std::min_element(measured.begin(), measured.end(),
                                        [](const auto& a, const auto& b) { return a.iteration < b.iteration; });
    resumed = fmt::format(", from {} on,", first->iteration);
  }
  std::string text =
      fmt::format("{}: {} iterations{} in {:.1f} s ({:.0f} per second while training)\n", headline(record.end),
                  figures.iterations_completed, resumed, record.wall_seconds, figures.iterations_per_second);
  const bool has_errors = !record.metrics.evaluations.empty() && !figures.best_accuracy;
  if (has_errors && !record.final) {
    text += fmt::format("test data     error {:.6f}\n", *quality_of(record).loss);
  } else if (figures.best_accuracy || !record.final) {  // ratings have no accuracy, and say below what they have
    text += fmt::format("accuracy      {} at the end, {} at best\n", percent(figures.final_accuracy),
                        percent(figures.best_accuracy));
  }
  if (const auto& found = record.final) {
    text += words(*found);
  }
  if (!record.metrics.staleness.empty()) {
    text += fmt::format("gradients     {}\n", staleness_text(record.metrics.staleness));
  }
  if (const Traffic& traffic = record.metrics.traffic; traffic != Traffic{}) {
    text += fmt::format("traffic       {}\n", traffic_text(traffic));
  }
  if (record.uncompressed) {
    text += fmt::format("uncompressed  {}\n", cost_text(quality_of(record), *record.uncompressed));
  }
  for (std::size_t i = 0; i < record.faults.size(); ++i) {
    text += fmt::format("{:<13} {}\n", i == 0 ? "faults" : "", to_string(record.faults[i]));
  }
  if (record.final_weights_sha256) {
    text += fmt::format("weights       {}\n", *record.final_weights_sha256);
  }
  if (record.equals_fault_free) {
    text += *record.equals_fault_free ? "              the same as without the faults, bit for bit\n"
                                      : "              NOT the same as without the faults\n";
  }
  return text;
}

}  // namespace ringps
