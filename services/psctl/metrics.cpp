#include "services/psctl/metrics.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "libps/storage/file.hpp"

namespace ringps {
namespace {

constexpr std::uint64_t metrics_bytes_max = std::uint64_t{4} << 30U;

/// Of each life of a worker; a later record says all that an earlier one did.
using WorkerLife = std::pair<std::string, std::uint64_t>;
struct ByLife {
  std::map<WorkerLife, std::vector<std::uint64_t>> staleness;
  std::map<WorkerLife, Traffic> traffic;
};

void parse_line(std::string_view line, Metrics& metrics, ByLife& lives) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) {
    return;
  }
  try {
    const std::string event = json.value("event", "");
    if (event == "iteration") {
      metrics.iterations.push_back(
          {json.at("restore_epoch"), json.at("iteration"), json.at("total_time"), json.at("gradient_time")});
    } else if (event == "evaluation") {
      metrics.evaluations.push_back(
          {json.at("restore_epoch"), json.at("iteration"), json.at("accuracy").get<double>(), json.at("loss")});
    } else if (event == "staleness") {
      lives.staleness[{json.at("worker"), json.at("incarnation")}] =
          json.at("gradients").get<std::vector<std::uint64_t>>();
    } else if (event == "traffic") {
      lives.traffic[{json.at("worker"), json.at("incarnation")}] = {json.at("gradients"), json.at("gradients_float32"),
                                                                    json.at("weights"), json.at("weights_float32"),
                                                                    json.at("residuals_lost")};
    }
  } catch (const nlohmann::json::exception&) {
    return;
  }
}

/// The last lineage's record of each iteration, ascending.
template <class Record>
std::vector<Record> last_of_each(const std::vector<Record>& all) {
  std::map<std::uint64_t, Record> last;
  for (const Record& record : all) {
    const auto [at, fresh] = last.try_emplace(record.iteration, record);
    if (!fresh && record.restore_epoch > at->second.restore_epoch) {
      at->second = record;
    }
  }
  std::vector<Record> records;
  for (const auto& [iteration, record] : last) {
    records.push_back(record);
  }
  return records;
}

}  // namespace

Metrics parse_metrics(std::string_view lines) {
  Metrics metrics;
  ByLife lives;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    parse_line(lines.substr(0, end), metrics, lives);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  for (const auto& [life, traffic] : lives.traffic) {
    metrics.traffic.gradients += traffic.gradients;
    metrics.traffic.gradients_float32 += traffic.gradients_float32;
    metrics.traffic.weights += traffic.weights;
    metrics.traffic.weights_float32 += traffic.weights_float32;
    metrics.traffic.residuals_lost += traffic.residuals_lost;
  }
  for (const auto& [life, counts] : lives.staleness) {
    metrics.staleness.resize(std::max(metrics.staleness.size(), counts.size()), 0);
    std::transform(counts.begin(), counts.end(), metrics.staleness.begin(), metrics.staleness.begin(), std::plus<>());
  }
  return metrics;
}

Result<Metrics> read_metrics(const std::filesystem::path& file) {
  const auto text = read_text(file, metrics_bytes_max);
  if (!text) {
    return text.failure();
  }
  return parse_metrics(*text);
}

Metrics final_metrics(const Metrics& all) {
  return {last_of_each(all.iterations), last_of_each(all.evaluations), all.staleness, all.traffic};
}

std::string staleness_text(const std::vector<std::uint64_t>& staleness) {
  double gradients = 0;
  double lacked = 0;
  for (std::size_t s = 0; s < staleness.size(); ++s) {
    gradients += static_cast<double>(staleness[s]);
    lacked += static_cast<double>(s) * static_cast<double>(staleness[s]);
  }
  return fmt::format("staleness {:.2f} on average, {} at most", gradients > 0 ? lacked / gradients : 0.0,
                     staleness.empty() ? 0 : staleness.size() - 1);
}

std::vector<Lineage> lineages(const Metrics& all) {
  std::map<std::uint64_t, Lineage> by_epoch;
  for (const MeasuredIteration& measured : all.iterations) {
    const std::uint64_t before = measured.iteration - 1;
    Lineage& lineage =
        by_epoch.try_emplace(measured.restore_epoch, Lineage{measured.restore_epoch, before, 0, 0}).first->second;
    lineage.start = std::min(lineage.start, before);
    lineage.last = std::max(lineage.last, measured.iteration);
  }
  std::vector<Lineage> ordered;
  for (const auto& [epoch, lineage] : by_epoch) {
    ordered.push_back(lineage);
    ordered.back().work_before = ordered.size() == 1 ? lineage.start : ordered.end()[-2].work(ordered.end()[-2].last);
  }
  return ordered;
}

std::vector<CurvePoint> curve_points(const Metrics& all) {
  const auto ordered = lineages(all);
  std::vector<CurvePoint> points;
  for (const MeasuredEvaluation& measured : all.evaluations) {
    const auto lineage = std::find_if(ordered.begin(), ordered.end(), [&](const Lineage& candidate) {
      return candidate.restore_epoch == measured.restore_epoch && candidate.start <= measured.iteration;
    });
    if (lineage != ordered.end()) {
      points.push_back({static_cast<std::size_t>(lineage - ordered.begin()), lineage->work(measured.iteration),
                        measured.accuracy, measured.loss});
    }
  }
  std::sort(points.begin(), points.end(), [](const CurvePoint& a, const CurvePoint& b) {
    return std::tie(a.lineage, a.work) < std::tie(b.lineage, b.work);
  });
  return points;
}

}  // namespace ringps
