// What a person sees of a run while it goes on: one line that is rewritten on a terminal, plain lines elsewhere.
#pragma once

#include <cstdio>
#include <string>

#include "libps/base/time.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// "iteration 1500 of 3000, 812 it/s, accuracy 84.20 %, view 2 (2 servers, 4 workers), 1 failure"
std::string progress_text(const Status& status, double iterations_per_second);

class ProgressReporter {
 public:
  enum class Style : std::uint8_t { quiet, lines, terminal };

  /// Writes to `out`. `title` begins every line.
  ProgressReporter(Style style, std::FILE* out, std::string title);
  ~ProgressReporter() { finish(); }
  ProgressReporter(const ProgressReporter&) = delete;
  ProgressReporter& operator=(const ProgressReporter&) = delete;

  /// terminal if `out` is one, else lines.
  static Style style_for(std::FILE* out);

  void on_status(Time now, const Status& status);
  /// Something that happened once.
  void on_event(const std::string& text);
  /// Leaves the cursor at the start of a line.
  void finish();

 private:
  const Style style_;
  std::FILE* const out_;
  const std::string title_;

  Time shown_;              ///< when the last progress was shown
  Time paced_;              ///< start of the stretch over which the pace is taken
  Iteration paced_at_;      ///< where it began
  double pace_ = 0;         ///< iterations per second
  bool line_open_ = false;  ///< on a terminal: the cursor stands behind a line of progress
};

}  // namespace ringps
