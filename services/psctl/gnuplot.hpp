// Pictures, drawn by gnuplot where it is installed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps {

/// Runs a script that draws into `picture` (its terminal and output are set here). An error if gnuplot is not there or
/// does not understand the script.
Result<void> draw(const std::filesystem::path& picture, int width_px, int height_px, const std::string& script);

/// A gnuplot string.
std::string plot_text(std::string_view text);

/// "$name << EOD … EOD", one row a line.
std::string plot_data(std::string_view name, const std::vector<std::vector<double>>& rows);

/// Colours that can be told apart by everybody. Source: Okabe and Ito 2008.
inline constexpr const char* plot_colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                               "#E69F00", "#56B4E9", "#000000"};

}  // namespace ringps
