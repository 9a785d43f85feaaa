// ps-bench: what ringps does on the workloads of parameter servers, with yardsticks beside it in the same run.
//   ps-bench                                 all cases, several rounds, interleaved (make bench)
//   ps-bench --filter bulk/64                only cases whose name contains this, and what they are compared with
//   ps-bench --report BENCHMARKS.md          … and brings the report up to date
//   ps-bench --from runs/bench/bench.json --report BENCHMARKS.md      the same without measuring anything
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "services/psctl/process.hpp"
#include "tests/bench/ps_bench/cases.hpp"
#include "tests/bench/ps_bench/cluster.hpp"
#include "tests/bench/ps_bench/report.hpp"
#include "tests/bench/ps_bench/yardsticks.hpp"

namespace ringps::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Options {
  int rounds = 3;
  std::string filter;
  fs::path out = "runs/bench";
  fs::path report;
  fs::path from;
  Scope scope;
  std::string commit = "unknown";
  std::string command;
};

/// Those that are wanted, after those that they are compared with.
std::vector<Case> selected(const Options& options) {
  std::vector<Case> cases = all_cases(options.scope);
  std::set<std::string> wanted;
  std::for_each(cases.rbegin(), cases.rend(), [&](const Case& each) {  // what is needed stands before
    if (each.name.find(options.filter) != std::string::npos || wanted.contains(each.name)) {
      wanted.insert(each.name);
      wanted.insert(each.needs.begin(), each.needs.end());
    }
  });
  std::erase_if(cases, [&](const Case& each) { return !wanted.contains(each.name); });
  return cases;
}

Result<void> write_results(const Options& options, const json& document) {
  std::ofstream(options.out / "bench.json") << document.dump(2) << "\n";
  const auto render = [&](const fs::path& folder, const std::string& prefix) {
    auto pictures = draw_pictures(document, folder);
    if (!pictures) {
      fmt::print(stderr, "no pictures: {}\n", pictures.error());
      return markdown(document, {});
    }
    for (std::string& picture : *pictures) {
      picture.insert(0, prefix);
    }
    return markdown(document, *pictures);
  };
  std::ofstream(options.out / "bench.md") << render(options.out, "");
  if (options.report.empty()) {
    return {};
  }
  const fs::path pictures = fs::absolute(options.report).parent_path() / "docs";
  fs::create_directories(pictures);
  return update_report(options.report, render(pictures, "docs/"));
}

json measure(const Options& options) {
  const fs::path scratch = fs::absolute(options.out) / "scratch";
  json document = new_document(options.command, options.commit);
  const std::vector<Case> cases = selected(options);
  bool interrupted = false;
  for (int r = 0; r < options.rounds && !interrupted; ++r) {
    Round round{scratch, {}};
    document["rounds"] = r + 1;
    for (const Case& each : cases) {
      const bool comparable = std::all_of(each.needs.begin(), each.needs.end(),
                                          [&](const std::string& name) { return round.values.contains(name); });
      if (!comparable) {
        continue;  // what it is compared with has failed, and said so
      }
      fs::remove_all(scratch);
      fs::create_directories(scratch);
      const auto readings = each.measure(round);
      if (!readings) {
        fmt::print(stderr, "{}: {}\n", each.name, readings.error());
        document["failed"].push_back({{"name", each.name}, {"error", readings.error()}});
        interrupted = readings.error().starts_with("interrupted by ");
        if (interrupted) {  // what has been measured is reported
          break;
        }
        continue;
      }
      for (const Reading& reading : *readings) {
        add_reading(document, reading);
        round.values[reading.name] = reading.value;
        fmt::print("round {} of {}  {:<46} {:>12}{}\n", r + 1, options.rounds, reading.name,
                   shown(reading.value, reading.unit),
                   reading.beside.empty() ? "" : fmt::format("  {:.2f}", reading.value / reading.yardstick));
      }
      std::fflush(stdout);
    }
    std::ofstream(options.out / "bench.json") << document.dump(2) << "\n";  // should the next one be killed
  }
  fs::remove_all(scratch);
  return document;
}

int run(const Options& options) {
  fs::create_directories(options.out);
  json document;
  if (options.from.empty()) {
    document = measure(options);
  } else {
    std::ifstream in(options.from);
    document = json::parse(in, nullptr, false);
    if (!document.is_object()) {
      return report_error(fmt::format("{} is not what ps-bench has written", options.from.string()), exit_usage);
    }
  }
  fmt::print("\n{}\n", table_text(document));
  if (const auto written = write_results(options, document); !written) {
    return report_error(written.error(), exit_run_failed);
  }
  fmt::print("{}: bench.json, bench.md{}\n", options.out.string(),
             options.report.empty() ? "" : "; " + options.report.string());
  return document["failed"].empty() ? exit_done : exit_run_failed;
}

}  // namespace
}  // namespace ringps::bench

int main(int argc, char** argv) {
  using namespace ringps;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "echo-server") {
    return bench::echo_server(arguments[1], passed_descriptor);
  }
  if (arguments.size() == 6 && arguments[0] == "echo-client") {
    return bench::echo_client(arguments[1], std::stoul(arguments[2]), std::stoul(arguments[3]),
                              std::stoul(arguments[4]), arguments[5]);
  }
  if (arguments.size() > 4 && arguments[0] == "fan-out-client") {
    return bench::fan_out_client({arguments.begin() + 4, arguments.end()}, std::stoul(arguments[1]),
                                 std::stoul(arguments[2]), arguments[3]);
  }
  if (std::find(arguments.begin(), arguments.end(), "--coordinator") != arguments.end()) {
    RoleOptions role;
    CLI::App app("a worker of the benchmark");
    role.add_to(app);
    role.add_member_options(app);
    if (const auto code = parse(app, argc, argv)) {
      return *code;
    }
    return bench::bench_worker(role);
  }
  bench::Options options;
  CLI::App app("Measures ringps beside raw ZeroMQ and memory, as real processes on this machine");
  app.add_option("--rounds", options.rounds, "how often everything is measured")->capture_default_str();
  app.add_option("--filter", options.filter, "only cases whose name contains this, and what they are compared with");
  app.add_option("--volume", options.scope.volume_mib, "MiB of gradients in each case")->capture_default_str();
  app.add_option("--largest", options.scope.largest_mib, "MiB of the largest model")->capture_default_str();
  app.add_option("--set", options.scope.overrides, "keys of the configuration, as in cluster.block_elements=65536");
  app.add_option("--commit", options.commit, "what was measured, for the report");
  app.add_option("--out", options.out, "folder of the results")->capture_default_str();
  app.add_option("--report", options.report, "a markdown file of which a marked part is replaced by the results");
  app.add_option("--from", options.from, "a bench.json to report on, instead of measuring");
  const auto* brief = app.add_flag("--brief", options.scope.brief, "one round of almost nothing, to see that it works");
  if (const auto code = parse(app, argc, argv)) {
    return *code;
  }
  if (*brief) {
    options.rounds = 1;
    options.scope.largest_mib = 1;
    options.scope.volume_mib = 4;
  }
  options.command = "ps-bench";
  for (const std::string& argument : arguments) {
    options.command += " " + argument;
  }
  return bench::run(options);
}
