#include "services/psctl/progress.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <utility>

namespace ringps {
namespace {

constexpr Duration line_interval = std::chrono::seconds(2);
constexpr Duration pace_interval = std::chrono::milliseconds(500);

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::string progress_text(const Status& status, double iterations_per_second) {
  if (status.state == RunState::forming) {
    return status.text;
  }
  std::string text = fmt::format("iteration {} of {}", status.iteration.value, status.iterations.value);
  if (iterations_per_second > 0) {
    text += fmt::format(", {:.0f} it/s", iterations_per_second);
  }
  if (status.accuracy >= 0) {
    text += fmt::format(", accuracy {:.2f} %", status.accuracy);
  }
  text += fmt::format(", view {} ({}, {})", status.view.epoch.value, counted(status.view.servers.size(), "server"),
                      counted(status.view.workers.size(), "worker"));
  if (!status.failures.empty()) {
    text += ", " + counted(status.failures.size(), "failure");
  }
  if (!status.waiting.empty() && status.waiting.front().starts_with("the run waits")) {
    text += "; " + status.waiting.front();
  }
  return text;
}

ProgressReporter::ProgressReporter(Style style, std::FILE* out, std::string title)
    : style_(style), out_(out), title_(std::move(title)) {}

ProgressReporter::Style ProgressReporter::style_for(std::FILE* out) {
  return isatty(fileno(out)) == 1 ? Style::terminal : Style::lines;
}

void ProgressReporter::on_status(Time now, const Status& status) {
  if (style_ == Style::quiet) {
    return;
  }
  if (paced_ == Time{} || status.iteration < paced_at_) {  // the first one, or after a rollback
    paced_ = now;
    paced_at_ = status.iteration;
  } else if (now - paced_ >= pace_interval) {
    pace_ = static_cast<double>(status.iteration.value - paced_at_.value) / seconds(now - paced_);
    paced_ = now;
    paced_at_ = status.iteration;
  }
  if (style_ == Style::terminal) {
    std::fprintf(out_, "\r\033[K%s: %s", title_.c_str(), progress_text(status, pace_).c_str());
    std::fflush(out_);
    line_open_ = true;
  } else if (shown_ == Time{}) {
    shown_ = now;  // the first line comes after an interval: before that there is little to say
  } else if (now - shown_ >= line_interval) {
    shown_ = now;
    std::fprintf(out_, "%s: %s\n", title_.c_str(), progress_text(status, pace_).c_str());
    std::fflush(out_);
  }
}

void ProgressReporter::on_event(const std::string& text) {
  if (style_ == Style::quiet) {
    return;
  }
  finish();
  std::fprintf(out_, "%s: %s\n", title_.c_str(), text.c_str());
  std::fflush(out_);
}

void ProgressReporter::finish() {
  if (std::exchange(line_open_, false)) {
    std::fputs("\r\033[K", out_);
    std::fflush(out_);
  }
}

}  // namespace ringps
