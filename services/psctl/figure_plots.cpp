#include <spdlog/fmt/fmt.h>

#include <functional>

#include "services/psctl/figures.hpp"
#include "services/psctl/gnuplot.hpp"

namespace ringps {
namespace {

using Rows = std::vector<std::vector<double>>;

constexpr const char* ours_style = "linewidth 2 pointtype 7 pointsize 0.6";
constexpr const char* published_style = "linewidth 1.2 dashtype 2 pointtype 6 pointsize 0.7";

std::string colour(std::size_t i) {
  return plot_colours[i % std::size(plot_colours)];
}

Result<void> draw_balance(const Figures& figures, const std::filesystem::path& picture) {
  std::string script =
      "set multiplot layout 1,2\nset ylabel 'mean load / maximum load'\nset yrange [0:1]\nset logscale x\n"
      "set key bottom right\nset xlabel 'points per server'\nset title '5 servers, 785 parameters'\n";
  std::string plots;
  Rows against_points;
  for (std::size_t p = 0; p < balance_points.size(); ++p) {
    Rows against_parameters;
    for (const BalancePoint& point : figures.balance) {
      if (point.points == balance_points[p]) {
        (point.parameters == model_parameters ? against_points : against_parameters)
            .push_back({static_cast<double>(point.parameters == model_parameters ? point.points : point.parameters),
                        point.mean_over_max});
      }
    }
    script += plot_data(fmt::format("parameters{}", p), against_parameters);
    plots += fmt::format("{}$parameters{} using 1:2 with linespoints {} linecolor rgb '{}' title '{} points'",
                         p == 0 ? "" : ", ", p, ours_style, colour(p), balance_points[p]);
  }
  script += plot_data("points", against_points);
  script +=
      fmt::format("plot $points using 1:2 with linespoints {} linecolor rgb '{}' notitle\n", ours_style, colour(0));
  script +=
      "set xlabel 'parameters'\nset title '5 servers'\nset format x '10^{%T}'\nplot " + plots + "\nunset multiplot\n";
  return draw(picture, 1000, 420, script);
}

/// A way through the table: rows that differ in one thing, which is the axis.
struct Slice {
  const char* name;
  const char* axis;
  std::function<bool(const PublishedRow&)> belongs;
  std::function<double(const PublishedRow&)> at;
};

const std::vector<Slice>& slices() {
  static const std::vector<Slice> all = {
      {"servers", "servers, 1 worker each", [](const auto& row) { return row.workers == 1; },
       [](const auto& row) { return row.servers; }},
      {"workers", "workers of 1 server", [](const auto& row) { return row.servers == 1; },
       [](const auto& row) { return row.workers; }},
      {"splits", "servers that share 12 workers", [](const auto& row) { return row.servers * row.workers == 12; },
       [](const auto& row) { return row.servers; }},
  };
  return all;
}

/// Best accuracy, then time per iteration, for one way through the table.
Result<void> draw_slice(const Figures& figures, const Slice& slice, const std::filesystem::path& picture) {
  Rows rows;
  for (std::size_t i = 0; i < published_rows.size(); ++i) {
    const PublishedRow& published = published_rows[i];
    if (slice.belongs(published)) {
      const MeasuredRow& ours = figures.rows[i];
      rows.push_back({slice.at(published), published.best_accuracy, ours.best_accuracy, published.iteration_ms,
                      ours.iteration_ms});
    }
  }
  const auto plot = [&](int published_column, int our_column) {
    return fmt::format(
        "plot $rows using 1:{} with linespoints {} linecolor rgb '{}' title 'published', "
        "$rows using 1:{} with linespoints {} linecolor rgb '{}' title 'ringps'\n",
        published_column, published_style, colour(1), our_column, ours_style, colour(0));
  };
  return draw(picture, 1000, 420,
              plot_data("rows", rows) +
                  fmt::format("set multiplot layout 1,2\nset xlabel '{}'\nset key bottom right\n"
                              "set ylabel 'best accuracy (%)'\nset yrange [84:92]\n{}"
                              "set ylabel 'time per iteration (ms)'\nset yrange [0.05:2000]\nset logscale y\n"
                              "set key center left\n{}unset multiplot\n",
                              slice.axis, plot(2, 3), plot(4, 5)));
}

/// Accuracy along the work, a line for each row that `title` names.
Result<void> draw_curves(const std::vector<MeasuredRow>& rows, const std::function<std::string(std::size_t)>& title,
                         const std::string& heading, const std::string& range, const std::filesystem::path& picture) {
  std::string data;
  std::string plots;
  std::size_t drawn = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string name = title(i);
    if (name.empty()) {
      continue;
    }
    Rows points;
    for (std::size_t k = 0; k < rows[i].curve.size(); ++k) {
      points.push_back({static_cast<double>(rows[i].curve_iterations[k]), rows[i].curve[k]});
    }
    data += plot_data(fmt::format("row{}", i), points);
    plots += fmt::format("{}$row{} using 1:2 with lines linewidth 1.5 linecolor rgb '{}' title {}",
                         plots.empty() ? "plot " : ", ", i, colour(drawn++), plot_text(name));
  }
  return draw(picture, 900, 480,
              data + fmt::format("set title {}\nset xlabel 'iterations of work done'\nset ylabel 'accuracy (%)'\n"
                                 "set key bottom right\n{}\n{}\n",
                                 plot_text(heading), range, plots));
}

}  // namespace

Result<void> draw_figures(const Figures& figures, const std::filesystem::path& out) {
  if (auto drawn = draw_balance(figures, out / "figure2.svg"); !drawn) {
    return drawn;
  }
  for (const Slice& slice : slices()) {
    if (auto drawn = draw_slice(figures, slice, out / fmt::format("figure3-{}.svg", slice.name)); !drawn) {
      return drawn;
    }
  }
  const auto servers_of = [](std::size_t i) {
    const PublishedRow& row = published_rows[i];
    return row.workers == 1 ? fmt::format("{} server{}", row.servers, row.servers == 1 ? "" : "s") : "";
  };
  if (auto drawn = draw_curves(figures.rows, servers_of, "1 worker per server", "set autoscale xfix",
                               out / "figure3-curves.svg");
      !drawn) {
    return drawn;
  }
  const auto failure_of = [](std::size_t i) {
    const PublishedFailure& row = published_failures[i];
    return row.fails_at == 0
               ? fmt::format("no failure (published best {} %)", row.best_accuracy)
               : fmt::format("server4 fails at {} (published best {} %)", row.fails_at, row.best_accuracy);
  };
  return draw_curves(figures.failures, failure_of, "5 servers, checkpoint every 5 iterations", "set xrange [0:100]",
                     out / "figure4.svg");
}

std::string comparison_table(const Figures& figures) {
  std::string text = fmt::format("{:>9} {:>8} {:>8} {:>6}   {:>10} {:>9} {:>7}   {:>10} {:>9} {:>7}\n", "", "best",
                                 "ours", "diff", "iteration", "ours", "ratio", "gradient", "ours", "ratio");
  for (std::size_t i = 0; i < figures.rows.size(); ++i) {
    const PublishedRow& published = published_rows[i];
    const MeasuredRow& ours = figures.rows[i];
    text += fmt::format(
        "{:>4} x {:<2} {:>8.2f} {:>8.2f} {:>+6.2f}   {:>7.1f} ms {:>6.3f} ms {:>7.0f}   {:>7.1f} ms "
        "{:>6.3f} ms {:>7.0f}\n",
        published.servers, published.workers, published.best_accuracy, ours.best_accuracy,
        ours.best_accuracy - published.best_accuracy, published.iteration_ms, ours.iteration_ms,
        published.iteration_ms / ours.iteration_ms, published.gradient_ms, ours.gradient_ms,
        published.gradient_ms / ours.gradient_ms);
  }
  for (std::size_t i = 0; i < figures.failures.size(); ++i) {
    const PublishedFailure& published = published_failures[i];
    const double best = figures.failures[i].best_accuracy;
    const std::string what = published.fails_at == 0 ? "none" : fmt::format("at {}", published.fails_at);
    text += fmt::format("{:>9} {:>8.2f} {:>8.2f} {:>+6.2f}   5 x 1, {}\n", what, published.best_accuracy, best,
                        best - published.best_accuracy,
                        published.fails_at == 0 ? "no failure" : "server4 fails at that iteration");
  }
  return text;
}

}  // namespace ringps
