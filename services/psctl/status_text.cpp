#include "services/psctl/status_text.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "services/common/status_json.hpp"
#include "services/psctl/metrics.hpp"

namespace ringps {
namespace {

/// "leaving": a server that hands on what it holds, to go when that is done.
std::string_view membership_of(const ProcessStatus& process, const View& view) {
  const auto index = process.role == Role::server ? view.server_index(process.id) : std::nullopt;
  if (process.member && index && !view.servers[*index].stays) {
    return "leaving";
  }
  return process.member ? "yes" : "no";
}

}  // namespace

std::string to_text(const Status& status) {
  std::string text = fmt::format("{}: iteration {} of {}, view {} ({}), checkpoint {}", name_of(status.state),
                                 status.iteration.value, status.iterations.value, status.view.epoch.value,
                                 status.view.settled() ? "settled" : "not settled", status.committed_checkpoint.value);
  if (status.accuracy >= 0) {
    text += fmt::format(", accuracy {:.2f} %, loss {:.4f}", status.accuracy, status.loss);
  }
  if (!status.staleness.empty()) {
    text += fmt::format(", {}", staleness_text(status.staleness));
  }
  text += fmt::format("\n{}{}", status.text, status.text.empty() ? "" : "\n");
  for (const std::string& waiting : status.waiting) {
    const bool stands_below = std::any_of(status.processes.begin(), status.processes.end(), [&](const auto& process) {
      return waiting == process.id + ": " + process.waiting_for;
    });
    text += stands_below ? "" : fmt::format("waits: {}\n", waiting);
  }
  text += fmt::format("{:<12} {:>9} {:>8} {:>10} {:>9}  {}\n", "process", "pid", "member", "iteration", "silent", "");
  for (const ProcessStatus& process : status.processes) {
    text += fmt::format("{:<12} {:>9} {:>8} {:>10} {:>7.2f} s  {}\n", process.id, process.pid,
                        membership_of(process, status.view), process.iteration.value, process.silent_seconds,
                        process.waiting_for.empty() ? process.endpoint : "waits: " + process.waiting_for);
  }
  for (const FailureStatus& failure : status.failures) {
    text += fmt::format("{} failed at iteration {}: {}; {} iterations replayed\n", failure.id, failure.iteration.value,
                        failure.how, failure.iterations_replayed);
  }
  return text;
}

}  // namespace ringps
