// What the system that this one succeeds has published, for the figures to stand beside.
#pragma once

#include <array>
#include <cstdint>

namespace ringps {

/// One row of its table: 500 iterations, checkpoint 1, mean of three runs.
struct PublishedRow {
  std::uint32_t servers;
  std::uint32_t workers;  ///< per server
  double best_accuracy;   ///< percent
  double iteration_ms;    ///< mean time of a whole iteration
  double gradient_ms;     ///< of it, the gradient part
};

inline constexpr std::array<PublishedRow, 19> published_rows = {{
    {1, 1, 86.98, 311.6, 260.9},  {1, 2, 88.66, 375.3, 270.4}, {1, 4, 89.67, 476.3, 274.1},
    {1, 6, 90.05, 580.0, 280.8},  {1, 8, 90.10, 726.4, 304.6}, {1, 10, 90.36, 879.0, 325.5},
    {1, 12, 90.31, 961.9, 332.0}, {2, 1, 87.27, 332.9, 220.5}, {2, 4, 89.61, 651.7, 224.9},
    {2, 6, 90.19, 882.1, 235.4},  {3, 4, 89.50, 799.0, 205.2}, {4, 1, 87.38, 400.5, 194.1},
    {4, 2, 88.77, 576.2, 192.7},  {4, 3, 89.50, 783.1, 197.2}, {6, 1, 86.83, 492.9, 185.8},
    {6, 2, 88.86, 773.6, 185.6},  {8, 1, 87.24, 590.5, 177.9}, {10, 1, 86.49, 694.4, 173.0},
    {12, 1, 87.47, 769.0, 170.6},
}};

/// 5 servers of one worker each, checkpoint 5, evaluated at every iteration.
struct PublishedFailure {
  std::uint64_t fails_at;  ///< iteration at which server4 fails; 0: it does not
  double best_accuracy;    ///< percent
};

inline constexpr std::array<PublishedFailure, 5> published_failures = {
    {{0, 87.8}, {40, 86.8}, {50, 87.1}, {60, 87.0}, {100, 87.1}}};

/// Figure 2 has 5 servers at these numbers of points, and these numbers of parameters.
inline constexpr std::uint32_t balance_servers = 5;
inline constexpr std::array<std::uint32_t, 5> balance_points = {1, 5, 10, 50, 100};
inline constexpr std::array<std::uint64_t, 7> balance_parameters = {10, 50, 100, 500, 1000, 5000, 10000};
/// Of its model, for the axis of points alone.
inline constexpr std::uint64_t model_parameters = 785;

}  // namespace ringps
