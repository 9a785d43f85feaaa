// The published figures, once more: measurements and pictures. figures.cpp runs the experiments, figure_plots.cpp
// draws.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "services/psctl/published.hpp"

namespace ringps {

/// Load balance of a ring: mean load over maximum load.
struct BalancePoint {
  std::uint32_t points = 0;  ///< per server
  std::uint64_t parameters = 0;
  double mean_over_max = 0;
};

/// One experiment over several seeds.
struct MeasuredRow {
  double best_accuracy = 0;                     ///< percent; mean over the seeds of the best of each run
  double iteration_ms = 0;                      ///< mean
  double gradient_ms = 0;                       ///< mean
  std::vector<double> curve;                    ///< accuracy, mean over the seeds, along the work done
  std::vector<std::uint64_t> curve_iterations;  ///< the work done at each
};

struct Figures {
  std::vector<BalancePoint> balance;
  std::vector<MeasuredRow> rows;      ///< as published_rows
  std::vector<MeasuredRow> failures;  ///< as published_failures
};

/// Draws figure2.svg, figure3-*.svg and figure4.svg.
Result<void> draw_figures(const Figures& figures, const std::filesystem::path& out);

/// The published values beside ours.
std::string comparison_table(const Figures& figures);

}  // namespace ringps
