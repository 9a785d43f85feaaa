#include "services/psctl/curve.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "services/psctl/gnuplot.hpp"

namespace ringps {
namespace {

std::string said_of(const std::string& what) {
  const bool is_kind = what == "add" || what == "drain" || what == "pause" || what == "cut" || what == "slow";
  return is_kind ? fmt::format(" ({})", what) : " fails";
}

}  // namespace

std::vector<FaultMark> fault_marks(const std::vector<FaultRecord>& faults, const std::vector<Lineage>& lineages) {
  std::vector<FaultMark> marks;
  std::size_t current = 0;
  for (const FaultRecord& fault : faults) {
    if (!fault.not_done.empty()) {
      continue;
    }
    std::size_t at = current;
    while (at + 1 < lineages.size() && lineages[at].last + 1 < fault.iteration) {  // it dies on its way
      ++at;
    }
    if (at >= lineages.size()) {
      break;
    }
    const bool rolled_back = fault.rolled_back && at + 1 < lineages.size();
    const Lineage& lineage = lineages[at];
    const std::uint64_t iteration =
        rolled_back ? lineage.last : std::clamp(fault.iteration, lineage.start, lineage.last);
    marks.push_back({lineage.work(iteration), fault.whom + said_of(fault.what)});
    current = rolled_back ? at + 1 : at;
  }
  return marks;
}

std::string curve_script(const RunRecord& record) {
  std::string marks;
  for (const FaultMark& mark : fault_marks(record.faults, lineages(record.metrics))) {
    marks += fmt::format(
        "set arrow from first {0}, graph 0 to first {0}, graph 1 nohead dashtype 3 linewidth 1.2 linecolor rgb "
        "'#999999'\n"
        "set label {1} at first {0}, graph 0.03 offset 0.6,0 left font ',11' textcolor rgb '#666666' noenhanced\n",
        mark.work, plot_text(mark.label));
  }
  const auto points = curve_points(record.metrics);
  const bool has_accuracy = std::any_of(points.begin(), points.end(), [](const CurvePoint& p) { return p.accuracy; });
  const auto height = [&](const CurvePoint& point) { return has_accuracy ? point.accuracy.value_or(0) : point.loss; };
  std::string curve;  // a blank line where a rollback breaks it
  std::string jumps;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i > 0 && points[i].lineage != points[i - 1].lineage) {
      jumps +=
          fmt::format("{} {}\n{} {}\n\n", points[i - 1].work, height(points[i - 1]), points[i].work, height(points[i]));
      curve += "\n";
    }
    curve += fmt::format("{} {} {}\n", points[i].work, height(points[i]), points[i].loss);
  }
  const std::string colour = plot_colours[0];
  const std::string loss_colour = plot_colours[1];
  std::string script = fmt::format("$curve << EOD\n{}EOD\n$jumps << EOD\n{}EOD\n", curve, jumps);
  script += fmt::format(
      "set title {} noenhanced font ',15' textcolor rgb '#222222'\n"
      "set xlabel 'iterations of work done' textcolor rgb '#333333'\n"
      "set ylabel '{} on the test set{}' textcolor rgb '{}'\nset key center right\nset autoscale xfix\n",
      plot_text(record.config.name), has_accuracy ? "accuracy" : "error", has_accuracy ? " (%)" : "", colour);
  if (has_accuracy) {
    const auto [least, most] = std::minmax_element(
        points.begin(), points.end(), [](const CurvePoint& a, const CurvePoint& b) { return a.loss < b.loss; });
    const bool ranges_far = most->loss > 4 * least->loss;  // an axis of logarithms has whole decades
    script += fmt::format("set y2label 'loss' textcolor rgb '{}'\nset border 11\nset y2tics\n{}", loss_colour,
                          ranges_far ? "set logscale y2\n" : "");
  }
  script += marks + "plot ";
  if (has_accuracy) {
    script += fmt::format("$curve using 1:3 axes x1y2 with lines linewidth 1.2 linecolor rgb '{}' title 'loss', ",
                          loss_colour);
  }
  if (!jumps.empty()) {
    script += fmt::format(
        "$jumps using 1:2 with lines dashtype 2 linewidth 1 linecolor rgb '{}' title 'back to the checkpoint', ",
        colour);
  }
  return script + fmt::format("$curve using 1:2 with {} linewidth 2 linecolor rgb '{}' title '{}'\n",
                              points.size() < 20 ? "linespoints pointtype 7 pointsize 0.5" : "lines", colour,
                              has_accuracy ? "accuracy" : "error");
}

Result<void> draw_curve(const RunRecord& record, const std::filesystem::path& picture) {
  if (record.metrics.evaluations.empty()) {
    return Error{"nothing was evaluated, so there is no curve to draw"};
  }
  return draw(picture, 900, 480, curve_script(record));
}

}  // namespace ringps
