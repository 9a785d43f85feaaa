// `psctl figures`: runs the experiments of the published figures 2, 3 and 4.
#include "services/psctl/figures.hpp"

#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "libps/config/load.hpp"
#include "libps/storage/file.hpp"
#include "services/psctl/commands.hpp"
#include "services/psctl/experiment.hpp"
#include "services/psctl/ring_table.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string data;
  std::string out = "runs/figures";
  std::string configs = "configs/figures";
  std::uint32_t seeds = 3;
  std::uint32_t first_seed = 7;
};

std::vector<BalancePoint> measure_balance() {
  std::vector<BalancePoint> balance;
  std::vector<std::uint64_t> parameters(balance_parameters.begin(), balance_parameters.end());
  parameters.push_back(model_parameters);
  for (const std::uint32_t points : balance_points) {
    for (const std::uint64_t count : parameters) {
      const auto table = make_ring_table(balance_servers, points, {{"fc_weights", count, 1}}, {});
      balance.push_back({points, count, table->mean_over_max});
    }
  }
  return balance;
}

/// Adds one run to what will be a mean over `seeds` runs.
void add_run_to(MeasuredRow& row, const RunRecord& record, std::uint32_t seeds) {
  const Metrics last = final_metrics(record.metrics);
  const double weight = 1.0 / seeds;
  row.best_accuracy += weight * figures_of(record).best_accuracy.value_or(0);
  const double per_iteration_ms = 1000 * weight / static_cast<double>(std::max<std::size_t>(last.iterations.size(), 1));
  for (const MeasuredIteration& measured : last.iterations) {
    row.iteration_ms += per_iteration_ms * measured.total_time;
    row.gradient_ms += per_iteration_ms * measured.gradient_time;
  }
  const auto points = curve_points(record.metrics);
  row.curve.resize(std::max(row.curve.size(), points.size()));
  row.curve_iterations.resize(row.curve.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    row.curve[i] += weight * points[i].accuracy.value_or(0);
    row.curve_iterations[i] = points[i].work;
  }
}

/// One row of a figure, over all seeds. An exit code other than done ends everything.
Result<MeasuredRow> measure(const Options& options, const std::string& figure, const std::string& row_name,
                            Overrides overrides, SignalDescriptor& signals, int& code) {
  overrides.emplace_back("output.curve=false");
  if (!options.data.empty()) {
    const fs::path below = fs::path(options.data) / "mnist";
    overrides.push_back("data.path=" + (fs::exists(below) ? below.string() : options.data));
  }
  MeasuredRow row;
  for (std::uint32_t seed = options.first_seed; seed < options.first_seed + options.seeds; ++seed) {
    Overrides all = overrides;
    all.push_back(fmt::format("seed={}", seed));
    const auto config = load_config(fs::path(options.configs) / (figure + ".yaml"), all);
    if (!config) {
      code = exit_usage;
      return config.failure();
    }
    const fs::path run_dir = fs::path(options.out) / "runs" / fmt::format("{}-{}-seed{}", figure, row_name, seed);
    const Experiment experiment = run_experiment(*config, {run_dir, ProgressReporter::Style::quiet}, signals);
    if (experiment.code != exit_done) {
      code = experiment.code;
      return Error{fmt::format("{} {}, seed {}: {}", figure, row_name, seed, experiment.error)};
    }
    add_run_to(row, experiment.record, options.seeds);
  }
  fmt::print("{} {:<12} best accuracy {:.2f} %, {:.3f} ms per iteration\n", figure, row_name, row.best_accuracy,
             row.iteration_ms);
  std::fflush(stdout);
  return row;
}

nlohmann::ordered_json json_of(const MeasuredRow& row) {
  return {{"best_accuracy", row.best_accuracy},
          {"iteration_ms", row.iteration_ms},
          {"gradient_ms", row.gradient_ms},
          {"curve_iterations", row.curve_iterations},
          {"curve", row.curve}};
}

nlohmann::ordered_json json_of(const Figures& figures) {
  nlohmann::ordered_json json;
  for (const BalancePoint& point : figures.balance) {
    json["figure2"].push_back(
        {{"points", point.points}, {"parameters", point.parameters}, {"mean_over_max", point.mean_over_max}});
  }
  for (std::size_t i = 0; i < figures.rows.size(); ++i) {
    const PublishedRow& row = published_rows[i];
    json["figure3"].push_back(
        {{"servers", row.servers},
         {"workers", row.workers},
         {"published",
          {{"best_accuracy", row.best_accuracy}, {"iteration_ms", row.iteration_ms}, {"gradient_ms", row.gradient_ms}}},
         {"ringps", json_of(figures.rows[i])}});
  }
  for (std::size_t i = 0; i < figures.failures.size(); ++i) {
    const PublishedFailure& row = published_failures[i];
    json["figure4"].push_back({{"fails_at", row.fails_at},
                               {"published", {{"best_accuracy", row.best_accuracy}}},
                               {"ringps", json_of(figures.failures[i])}});
  }
  return json;
}

Result<Figures> measure_all(const Options& options, SignalDescriptor& signals, int& code) {
  Figures figures{measure_balance(), {}, {}};
  for (const PublishedRow& row : published_rows) {
    auto measured =
        measure(options, "figure3", fmt::format("{}x{}", row.servers, row.workers),
                {fmt::format("cluster.servers={}", row.servers), fmt::format("cluster.workers={}", row.workers)},
                signals, code);
    if (!measured) {
      return measured.failure();
    }
    figures.rows.push_back(std::move(*measured));
  }
  for (const PublishedFailure& row : published_failures) {
    const std::string faults =
        row.fails_at == 0 ? "[]" : fmt::format("[{{at_iteration: {}, kill: server4}}]", row.fails_at);
    auto measured =
        measure(options, "figure4", row.fails_at == 0 ? "no-failure" : fmt::format("fails-at-{}", row.fails_at),
                {"faults=" + faults}, signals, code);
    if (!measured) {
      return measured.failure();
    }
    figures.failures.push_back(std::move(*measured));
  }
  return figures;
}

int run_figures(const Options& options) {
  SignalDescriptor signals;
  int code = exit_done;
  const auto figures = measure_all(options, signals, code);
  if (!figures) {
    return complain(figures.error(), static_cast<ExitCode>(code));
  }
  const std::string table = comparison_table(*figures);
  for (const auto& [name, text] : {std::pair(std::string("figures.json"), json_of(*figures).dump(2) + "\n"),
                                   std::pair(std::string("table.txt"), table)}) {
    if (const auto written = write_text(fs::path(options.out) / name, text); !written) {
      return complain(written.error(), exit_run_failed);
    }
  }
  fmt::print("\n{}\ndata and pictures in {}\n", table, options.out);
  if (const auto drawn = draw_figures(*figures, options.out); !drawn) {
    return complain("no pictures: " + drawn.error(), exit_run_failed);
  }
  return exit_done;
}

}  // namespace

void add_figures(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      add_command(app, "figures", "Run the experiments of the published figures, and draw them beside ours",
                  "  psctl figures --data ~/.cache/ringps/mnist --out runs/figures --seeds 3");
  command->add_option("--data", options->data, "folder of MNIST; without it, as any run finds it");
  command->add_option("--out", options->out, "folder for data and pictures")->capture_default_str();
  command->add_option("--configs", options->configs, "folder of figure3.yaml and figure4.yaml")->capture_default_str();
  command->add_option("--seeds", options->seeds, "runs of each row")->check(CLI::Range(1, 100))->capture_default_str();
  command->add_option("--first-seed", options->first_seed, "of the first run of each row")->capture_default_str();
  command->callback([options, &action] { action = [options] { return run_figures(*options); }; });
}

}  // namespace ringps
