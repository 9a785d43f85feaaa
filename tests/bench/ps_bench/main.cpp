// ps-bench: what ringps does on the workloads of parameter servers, with yardsticks beside it in the same run.
//   ps-bench                     all rows, several rounds, interleaved (make bench)
//   ps-bench --filter bulk/64    only rows whose name contains this
#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libps/base/log.hpp"
#include "services/psctl/process.hpp"
#include "tests/bench/ps_bench/cluster.hpp"
#include "tests/bench/ps_bench/yardsticks.hpp"

namespace ringps::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t mib = 1U << 20U;
constexpr std::size_t small_floats = 785;
/// About what a header of PushPull and one of Values take: the yardstick of small models sends as many bytes.
constexpr std::size_t header_bytes = 64;

struct Options {
  int rounds = 3;
  std::string filter;
  fs::path out = "runs/bench";
  double volume_mib = 2048;
  bool large = false;
  std::vector<std::string> overrides;
  std::string commit = "unknown";
};

/// One line of the table: a cluster, and what it is measured against.
struct Row {
  std::string name;
  ClusterCase cluster;
  Echo echo;             ///< without messages: there is none
  std::string relative;  ///< name of another row, whose rate is the yardstick; empty: the echo
  bool one_core = false;
  bool latency = false;  ///< compared by the time of an iteration, else by bytes per second
  double target = 0;     ///< of the ratio: at most this (latency), or at least
};

struct Sample {
  double ringps = 0;     ///< seconds of an iteration, or bytes per second
  double yardstick = 0;  ///< the same
  double server_cpu_per_mib = 0;
  double worker_cpu_per_mib = 0;
  std::uint64_t server_bytes = 0;
  std::vector<double> seconds;  ///< of each iteration of the first worker
};

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<double> joined(const std::vector<std::vector<double>>& lists) {
  std::vector<double> all;
  for (const auto& list : lists) {
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

/// Sum over processes of the bytes per second of each; `bytes`: of one round, up and down.
double rate_of(const std::vector<std::vector<double>>& seconds, double bytes) {
  double rate = 0;
  for (const auto& each : seconds) {
    double total = 0;
    for (const double s : each) {
      total += s;
    }
    rate += total > 0 ? bytes * static_cast<double>(each.size()) / total : 0;
  }
  return rate;
}

std::vector<Row> rows_of(const Options& options) {
  std::vector<Row> rows;
  for (const std::string transport : {"tcp", "ipc"}) {
    for (const bool one_core : {false, true}) {
      Row row{
          fmt::format("small/{}/{}", transport, one_core ? "one core" : "unpinned"), {}, {}, "", one_core, true, 1.25};
      row.cluster = {small_floats, 1, 1, 1, transport, 6000, {}};
      row.echo = {transport, 1, small_floats * sizeof(float) + header_bytes, 1, 6000};
      rows.push_back(row);
    }
  }
  const auto bulk = [&](std::size_t size_mib, std::uint32_t servers, std::uint32_t workers, std::uint32_t replicas,
                        const std::string& transport) {
    Row row{fmt::format("bulk/{} MiB/{} servers/{} workers/replicas {}/{}", size_mib, servers, workers, replicas,
                        transport),
            {},
            {},
            "",
            false,
            false,
            workers == 1 ? 0.85 : 0.8};
    const auto iterations = static_cast<std::uint64_t>(
        std::clamp(options.volume_mib / static_cast<double>(size_mib * workers), 6.0, 1000.0));
    row.cluster = {size_mib * mib / sizeof(float), servers, workers, replicas, transport, iterations + 2, {}};
    if (replicas > 1) {
      row.relative =
          fmt::format("bulk/{} MiB/{} servers/{} workers/replicas 1/{}", size_mib, servers, workers, transport);
      row.target = workers == 1 ? 0.55 : 0.75;
    } else {
      row.echo = {transport, workers, mib, size_mib, iterations};
    }
    rows.push_back(row);
  };
  for (const std::string transport : {"tcp", "ipc"}) {
    for (const std::size_t size : {1, 16, 64, 256}) {
      bulk(size, 1, 1, 1, transport);
    }
    if (options.large) {
      bulk(1024, 1, 1, 1, transport);
    }
    bulk(64, 1, 2, 1, transport);
    bulk(64, 1, 4, 1, transport);
    bulk(64, 2, 1, 1, transport);
    bulk(64, 2, 4, 1, transport);
    bulk(64, 2, 1, 2, transport);
    bulk(64, 2, 4, 2, transport);
  }
  for (Row& row : rows) {
    row.cluster.overrides = options.overrides;
  }
  std::erase_if(rows, [&](const Row& row) { return row.name.find(options.filter) == std::string::npos; });
  return rows;
}

void pin(bool one_core) {
  static const cpu_set_t all = [] {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, one_core ? &one : &all);
}

bool measure(const Row& row, const fs::path& scratch, Sample& sample) {
  pin(row.one_core);
  if (row.echo.message_bytes != 0) {
    const auto seconds = run_echo(row.echo, scratch);
    if (seconds.empty()) {
      fmt::print(stderr, "{}: the echo failed, see {}\n", row.name, scratch.string());
      return false;
    }
    const double bytes = 2.0 * static_cast<double>(row.echo.message_bytes * row.echo.messages);
    sample.yardstick = row.latency ? median(joined(seconds)) : rate_of(seconds, bytes);
  }
  const auto result = run_cluster(row.cluster, scratch);
  pin(false);
  if (!result) {
    fmt::print(stderr, "{}: {}\n", row.name, result.error());
    return false;
  }
  const double bytes = 2.0 * static_cast<double>(result->floats * sizeof(float));
  sample.ringps = row.latency ? median(joined(result->seconds)) : rate_of(result->seconds, bytes);
  const double volume_mib = bytes * static_cast<double>(row.cluster.iterations * row.cluster.workers) / mib;
  sample.server_cpu_per_mib = result->server_cpu_seconds / volume_mib;
  sample.worker_cpu_per_mib = result->worker_cpu_seconds / volume_mib;
  sample.server_bytes = result->server_bytes_max;
  sample.seconds = result->seconds.front();
  return true;
}

std::string shown(const Row& row, double value) {
  return row.latency ? fmt::format("{:.1f} us", value * 1e6) : fmt::format("{:.2f} GB/s", value * 1e-9);
}

/// The table for people.
std::string markdown(const Options& options, const json& document) {
  std::string processor = "unknown";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) {
      processor = line.substr(line.find(':') + 2);
      break;
    }
  }
  utsname system{};
  uname(&system);
  std::string text = fmt::format(
      "Machine: {}, {} cores, Linux {}. Commit {}. {} rounds, all rows of a round one after the other; medians.\n\n"
      "memcpy of 64 MiB {:.1f} GB/s; `w -= lr g` over 64 MiB {:.1f} GB/s of g; one thread.\n\n"
      "| row | ringps | yardstick | ratio | all rounds | target | server ms/MiB | server RSS, MiB |\n"
      "|---|---|---|---|---|---|---|---|\n",
      processor, sysconf(_SC_NPROCESSORS_ONLN), system.release, options.commit, options.rounds,
      median(document["memory_copy_gb_per_s"]), median(document["fused_step_gb_per_s"]));
  for (const json& row : document["rows"]) {
    const bool latency = row["unit"] == "seconds";
    const auto shown = [&](const char* key) {
      const double value = median(row[key]);
      return latency ? fmt::format("{:.1f} µs", value * 1e6) : fmt::format("{:.2f} GB/s", value * 1e-9);
    };
    const std::vector<double> ratios = row["ratios"];
    text +=
        fmt::format("| {} | {} | {} | {:.2f} | {:.2f} – {:.2f} | {} {:.2f}{} | {:.2f} | {:.0f} |\n",
                    row["name"].get<std::string>(), shown("ringps"), shown("yardstick"), row["ratio"].get<double>(),
                    *std::min_element(ratios.begin(), ratios.end()), *std::max_element(ratios.begin(), ratios.end()),
                    latency ? "≤" : "≥", row["target"].get<double>(), row["met"].get<bool>() ? "" : ", missed",
                    row["server_cpu_ms_per_mib"].get<double>(), row["server_resident_bytes_max"].get<double>() / mib);
  }
  text += "\n| iterations per second, with gradients computed | median | all rounds |\n|---|---|---|\n";
  for (const json& row : document["trained"]) {
    const std::vector<double> rates = row["iterations_per_second"];
    text += fmt::format("| {} | {:.0f} | {:.0f} – {:.0f} |\n", row["name"].get<std::string>(), median(rates),
                        *std::min_element(rates.begin(), rates.end()), *std::max_element(rates.begin(), rates.end()));
  }
  return text;
}

/// Real workers on real data, beside what the machine manages with one server and one worker.
void measure_training(const Options& options, const fs::path& scratch, json& document) {
  struct Training {
    std::uint32_t servers;
    std::uint32_t workers;
    double target;  ///< iterations per second; 0: none
  };
  for (const Training& each : {Training{1, 1, 6500}, Training{1, 4, 0}, Training{4, 1, 0}, Training{4, 4, 0}}) {
    const std::string name = fmt::format("trained/even or odd/{} servers/{} workers", each.servers, each.workers);
    if (name.find(options.filter) == std::string::npos) {
      continue;
    }
    std::vector<double> rates;
    for (int round = 0; round < options.rounds; ++round) {
      if (const auto rate = run_training(each.servers, each.workers, 20000, options.overrides, scratch)) {
        rates.push_back(*rate);
      } else {
        fmt::print(stderr, "{}: {}\n", name, rate.error());
      }
    }
    if (rates.empty()) {
      continue;
    }
    const std::string target =
        each.target > 0 ? fmt::format(">={:.0f}/s{}", each.target, median(rates) >= each.target ? "" : " !") : "";
    fmt::print("{:<52} {:>10.0f}/s {:>36} {:>8}\n", name, median(rates),
               fmt::format("{:.0f} - {:.0f}", *std::min_element(rates.begin(), rates.end()),
                           *std::max_element(rates.begin(), rates.end())),
               target);
    document["trained"].push_back({{"name", name}, {"iterations_per_second", rates}, {"target", each.target}});
  }
}

int run(const Options& options) {
  const std::vector<Row> rows = rows_of(options);
  fs::create_directories(options.out);
  const fs::path scratch = fs::absolute(options.out) / "scratch";
  fs::remove_all(scratch);
  fs::create_directories(scratch);
  std::map<std::string, std::vector<Sample>> samples;
  std::vector<double> copies;
  std::vector<double> steps;
  bool all = true;
  for (int round = 0; round < options.rounds; ++round) {
    copies.push_back(memory_copy_rate());
    steps.push_back(fused_step_rate());
    for (const Row& row : rows) {
      Sample sample;
      if (!measure(row, scratch, sample)) {
        all = false;
        continue;
      }
      if (!row.relative.empty() && !samples[row.relative].empty()) {
        sample.yardstick = samples[row.relative].back().ringps;
      }
      samples[row.name].push_back(sample);
      fmt::print("round {} of {}  {:<52} {:>12} beside {:>12}\n", round + 1, options.rounds, row.name,
                 shown(row, sample.ringps), shown(row, sample.yardstick));
      std::fflush(stdout);
    }
  }

  json document{{"memory_copy_gb_per_s", copies},
                {"fused_step_gb_per_s", steps},
                {"rows", json::array()},
                {"trained", json::array()}};
  fmt::print("\nmemory copy {:.1f} GB/s, w -= lr g {:.1f} GB/s of g (64 MiB, one thread)\n\n", median(copies),
             median(steps));
  fmt::print("{:<52} {:>12} {:>12} {:>7} {:>15} {:>8}  {}\n", "", "ringps", "yardstick", "ratio", "of all rounds",
             "target", "server RSS");
  for (const Row& row : rows) {
    std::vector<double> ringps;
    std::vector<double> yardstick;
    std::vector<double> ratios;
    double server_cpu = 0;
    double worker_cpu = 0;
    std::uint64_t bytes = 0;
    for (const Sample& sample : samples[row.name]) {
      ringps.push_back(sample.ringps);
      yardstick.push_back(sample.yardstick);
      ratios.push_back(sample.yardstick > 0 ? sample.ringps / sample.yardstick : 0);
      server_cpu = sample.server_cpu_per_mib;
      worker_cpu = sample.worker_cpu_per_mib;
      bytes = std::max(bytes, sample.server_bytes);
    }
    if (ratios.empty()) {
      continue;
    }
    const double ratio = median(ratios);
    const bool met = row.latency ? ratio <= row.target : ratio >= row.target;
    fmt::print("{:<52} {:>12} {:>12} {:>7.2f} {:>15} {:>8}  {:.0f} MiB\n", row.name, shown(row, median(ringps)),
               shown(row, median(yardstick)), ratio,
               fmt::format("{:.2f} - {:.2f}", *std::min_element(ratios.begin(), ratios.end()),
                           *std::max_element(ratios.begin(), ratios.end())),
               fmt::format("{}{:.2f}{}", row.latency ? "<=" : ">=", row.target, met ? "" : " !"),
               static_cast<double>(bytes) / mib);
    document["rows"].push_back({{"name", row.name},
                                {"unit", row.latency ? "seconds" : "bytes per second, up and down"},
                                {"ringps", ringps},
                                {"yardstick", yardstick},
                                {"yardstick_is", row.relative.empty() ? "raw ZeroMQ echo" : row.relative},
                                {"ratio", ratio},
                                {"ratios", ratios},
                                {"target", row.target},
                                {"met", met},
                                {"server_cpu_ms_per_mib", server_cpu * 1e3},
                                {"worker_cpu_ms_per_mib", worker_cpu * 1e3},
                                {"server_resident_bytes_max", bytes},
                                {"iteration_seconds", samples[row.name].back().seconds}});
  }
  measure_training(options, scratch, document);
  fs::remove_all(scratch);
  const fs::path file = options.out / "bench.json";
  std::ofstream(file) << document.dump(2) << "\n";
  std::ofstream(options.out / "bench.md") << markdown(options, document);
  fmt::print("\n{}, and as a table {}\n", file.string(), (options.out / "bench.md").string());
  return all ? exit_done : exit_run_failed;
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
  app.add_option("--rounds", options.rounds, "how often each row is measured")->capture_default_str();
  app.add_option("--filter", options.filter, "only rows whose name contains this");
  app.add_option("--volume", options.volume_mib, "MiB of gradients of one bulk row")->capture_default_str();
  app.add_flag("--large", options.large, "models of 1 GiB as well");
  app.add_option("--set", options.overrides, "keys of the configuration, as in cluster.block_elements=65536");
  app.add_option("--commit", options.commit, "what was measured, for the table");
  app.add_option("--out", options.out, "folder of the results")->capture_default_str();
  if (const auto code = parse(app, argc, argv)) {
    return *code;
  }
  return bench::run(options);
}
