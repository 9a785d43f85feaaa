#include "services/psctl/gnuplot.hpp"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstdio>

namespace ringps {
namespace {

/// What all pictures have in common: thin grey axes, a light grid, no box.
std::string style(const std::filesystem::path& picture, int width_px, int height_px) {
  return fmt::format(
      "set terminal svg size {},{} enhanced font 'Helvetica Neue,Helvetica,Arial,sans-serif,13' background '#ffffff'\n"
      "set output {}\n"
      "set encoding utf8\n"
      "set border 3 linecolor rgb '#555555' linewidth 0.8\n"
      "set tics nomirror out scale 0.5 textcolor rgb '#333333'\n"
      "set grid ytics linecolor rgb '#e4e4e4' linewidth 0.8 linetype 1\n"
      "set key textcolor rgb '#333333' samplen 1.5 spacing 1.2\n"
      "set datafile missing 'nan'\n",
      width_px, height_px, plot_text(picture.string()));
}

}  // namespace

Result<void> draw(const std::filesystem::path& picture, int width_px, int height_px, const std::string& script) {
  // stderr is dropped: gnuplot warns of fonts that an SVG only names.
  std::FILE* gnuplot = popen("command -v gnuplot >/dev/null || exit 127; exec gnuplot - 2>/dev/null", "w");
  if (gnuplot == nullptr) {
    return Error{"cannot start a shell for gnuplot"};
  }
  const std::string text = style(picture, width_px, height_px) + script + "\nunset output\n";
  const bool written = std::fwrite(text.data(), 1, text.size(), gnuplot) == text.size();
  const int status = pclose(gnuplot);
  if (status != 0) {
    const bool missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
    return Error{missing ? "gnuplot is not installed (Debian: gnuplot-nox)"
                         : fmt::format("gnuplot could not draw {}", picture.string())};
  }
  std::error_code error;
  if (const auto bytes = std::filesystem::file_size(picture, error); error || bytes == 0) {  // gnuplot does not mind
    return Error{fmt::format("{} could not be written", picture.string())};
  }
  return written ? Result<void>{} : Error{fmt::format("gnuplot did not take the script of {}", picture.string())};
}

std::string plot_text(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? "''" : std::string(1, c);
  }
  return quoted + "'";
}

std::string plot_data(std::string_view name, const std::vector<std::vector<double>>& rows) {
  std::string text = fmt::format("${} << EOD\n", name);
  for (const auto& row : rows) {
    for (const double value : row) {
      text += std::isfinite(value) ? fmt::format("{:.10g} ", value) : "nan ";
    }
    text += '\n';
  }
  return text + "EOD\n";
}

}  // namespace ringps
