#include "tests/bench/ps_bench/report.hpp"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <sstream>
#include <zmq.hpp>

#include "libps/storage/file.hpp"
#include "services/psctl/gnuplot.hpp"
#include "tests/bench/ps_bench/statistics.hpp"

namespace ringps::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double mib = 1U << 20U;

struct Group {
  const char* name;
  const char* title;
  const char* text;
};

constexpr Group groups[] = {
    {"yardstick", "The machine",
     "One thread, 64 MiB at a time: bytes copied by memcpy, and bytes of gradient in the simplest optimizer in place."},
    {"small", "Round trips of a small model",
     "785 floats, one server, one worker: the median time of an iteration, that is one `PushPull` and its answer, "
     "beside "
     "a raw DEALER/ROUTER round trip between two processes with as many bytes."},
    {"in one process", "Without sockets",
     "The state machines of a server and a worker hand each other the same messages in one thread. The ratio says how "
     "much of an iteration over sockets is theirs (785 floats), or how many times faster they are (MiB). The codec "
     "encodes and decodes the headers."},
    {"bulk", "Goodput",
     "`size/servers x workers/replicas/transport`: bytes of gradients up plus bytes of weights down, per second, of "
     "all "
     "workers together. One server is compared with a raw zero-copy echo of 1 MiB messages by as many clients; two "
     "servers with one; two replicas with one. `tcp`: sockets, as between hosts. `ipc`: what processes of one host do "
     "by "
     "themselves, UNIX sockets for messages and shared memory for payloads; the echo sends both. The last column is "
     "processor time in ms, then page faults of servers "
     "and "
     "workers, all per MiB moved (a MiB has 256 pages)."},
    {"trained", "Training",
     "`servers x workers`: iterations per second of logistic regression on even and odd digits, 128 samples a worker, "
     "gradients computed. The others are compared with 1x1 divided by the number of messages in an iteration."},
    {"sparse", "Rows of a table",
     "`ids of rows/width/servers x workers/transport`: seconds to pull and to push so many random rows of a table that "
     "has them all, beside one thread that looks the same hashed ids up in a std::unordered_map in memory, copies the "
     "rows out, looks them up again and adds to them. The last column is processor time of servers and worker, and the "
     "largest resident sizes."},
    {"checkpoint", "Checkpoints",
     "One server, one worker, over UNIX sockets. The median time of the iterations in which a checkpoint was being "
     "written (from the moment its version is there until its manifest is), beside the others; and by how much the "
     "slowest of them exceeds the others' median."},
    {"memory", "Memory of a server",
     "`size/servers x workers/replicas/optimizer`: the largest resident size of any server (VmHWM, without pages of "
     "other processes that it reads: they are those processes'), beside 1.3 times one version of the blocks it holds, "
     "with optimizer state, plus what may be in flight: one gradient of each "
     "worker "
     "for the blocks it is primary for, and with replicas the reduced gradients it sends and receives."},
    {"scale", "How the cost grows",
     "The median time of an iteration along four axes, one server and one worker unless said, UNIX sockets. Each point "
     "is compared with the one before it times the growth of the axis, so that 1 is linear. `KiB`: of the model. "
     "`servers` and `workers`: a model of 1 MiB in blocks of 4 KiB. `blocks`: a model of 1 MiB in about so many. Under "
     "the points of two axes stands what the same costs without ringps: `raw ZeroMQ`, a round in which a client sends "
     "as "
     "many bytes, a part to each of as many processes, and has them back; `memory alone`, the sum of as many "
     "gradients, "
     "its application to the weights, and as many copies of these, on one thread and without a message."},
    {"large", "The largest",
     "A dense model over 4 servers, and a table of rows of width 1 on one, of which an iteration pulls and pushes so "
     "many; one worker, UNIX sockets; the median time of an iteration. Beside them the same of a smaller one: times "
     "the growth where there are more bytes. The dense one has 4 GiB, or what the free memory holds. Last, the largest "
     "resident sizes of a server and of the worker."},
};

constexpr const char* begin_mark = "<!-- written by ps-bench, from here: do not edit -->";
constexpr const char* end_mark = "<!-- to here -->";

std::string range_text(const std::vector<double>& values, const std::string& unit) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return unit.empty() ? fmt::format("{:.2f} – {:.2f}", *least, *most)
                      : fmt::format("{} – {}", shown(*least, unit), shown(*most, unit));
}

bool has_yardstick(const json& row) {
  return !row["yardsticks"].empty();
}

std::string target_text(const json& row) {
  if (row["target"].is_null()) {
    return "";
  }
  const double value = row["target"]["value"];
  return fmt::format("{} {}", row["target"]["kind"] == "at most" ? "≤" : "≥",
                     has_yardstick(row) ? fmt::format("{:.2f}", value) : shown(value, row["unit"]));
}

double detail(const json& row, const char* key) {
  std::vector<double> values;
  for (const json& details : row["details"]) {
    if (details.contains(key)) {
      values.push_back(details[key]);
    }
  }
  return median(values);
}

/// What else there is to say of a row.
std::string remark(const json& row) {
  const std::string group = row["group"];
  if (group == "bulk") {
    return fmt::format("server {:.3f}, worker {:.3f}, coordinator {:.3f}; {:.0f}, {:.0f}",
                       detail(row, "server_cpu_ms_per_mib"), detail(row, "worker_cpu_ms_per_mib"),
                       detail(row, "coordinator_cpu_ms_per_mib"), detail(row, "server_page_faults_per_mib"),
                       detail(row, "worker_page_faults_per_mib"));
  }
  if (group == "small") {
    return fmt::format("99 of 100 within {}", shown(detail(row, "iteration_seconds_99_percent"), "s"));
  }
  if (group == "sparse") {
    return fmt::format("server {}, worker {}; {}, {}", shown(detail(row, "server_cpu_seconds"), "s"),
                       shown(detail(row, "worker_cpu_seconds"), "s"), shown(detail(row, "server_bytes"), "B"),
                       shown(detail(row, "worker_bytes"), "B"));
  }
  if (group == "checkpoint") {
    return fmt::format(
        "{:.0f} checkpoints of {} and {:.0f} page faults of the server each, {:.0f} iterations meanwhile; worst excess "
        "of the others {}",
        detail(row, "checkpoints"), shown(detail(row, "seconds_each"), "s"), detail(row, "server_page_faults_each"),
        detail(row, "iterations_meanwhile"), shown(detail(row, "worst_excess_otherwise_s"), "s"));
  }
  if (group == "large") {
    return fmt::format("{}, {}", shown(detail(row, "server_bytes"), "B"), shown(detail(row, "worker_bytes"), "B"));
  }
  if (group == "memory") {
    return fmt::format("model {}, in flight {}", shown(detail(row, "model_bytes"), "B"),
                       shown(detail(row, "in_flight_bytes"), "B"));
  }
  if (group == "scale") {
    const double of_linear = detail(row, "of_linear");
    return of_linear > 0 ? fmt::format("{:.2f} of linear", of_linear) : "";
  }
  return group == "trained" ? row["details"].front()["data"].get<std::string>() : "";
}

/// name, measured, of all rounds, beside, yardstick, ratio, of all rounds, target, verdict, remark
std::vector<std::string> cells(const json& row) {
  const std::string unit = row["unit"];
  const std::vector<double> values = row["values"];
  std::vector<std::string> texts{row["name"], shown(row["median"], unit), range_text(values, unit), row["beside"]};
  if (has_yardstick(row)) {
    const std::vector<double> ratios = row["ratios"];
    texts.insert(texts.end(), {shown(median(row["yardsticks"]), unit),
                               fmt::format("{:.2f}", row["ratio"].get<double>()), range_text(ratios, "")});
  } else {
    texts.insert(texts.end(), {"", "", ""});
  }
  texts.push_back(target_text(row));
  texts.emplace_back(row["met"].is_null() ? "" : row["met"].get<bool>() ? "reached" : "missed");
  texts.push_back(remark(row));
  return texts;
}

/// Columns on a terminal, where some of these letters are longer than a byte.
std::string padded(const std::string& text, std::size_t width) {
  const auto letters = static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0U) != 0x80U; }));
  return text + std::string(width > letters ? width - letters : 0, ' ');
}

std::string processor() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown";
}

json machine() {
  utsname system{};
  uname(&system);
  const auto [major, minor, patch] = zmq::version();
  return {{"processor", processor()},
          {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
          {"memory_bytes", static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE))},
          {"kernel", std::string(system.sysname) + " " + system.release},
          {"libzmq", fmt::format("{}.{}.{}", major, minor, patch)}};
}

using Points = std::vector<std::vector<double>>;

/// A picture of goodput against the size of the model, beside the raw echo.
std::string goodput_script(const json& document) {
  std::string data;
  std::string plots;
  std::size_t drawn = 0;
  for (const std::string transport : {"tcp", "ipc"}) {
    Points points;
    for (const json& row : document["rows"]) {
      const json& details = row["details"].front();
      if (row["group"] == "bulk" && row["beside"] == "raw echo" && details["workers"] == 1 &&
          details["transport"] == transport) {
        points.push_back({details["mib"].get<double>(), row["median"].get<double>() * 1e-9,
                          row["min"].get<double>() * 1e-9, row["max"].get<double>() * 1e-9,
                          median(row["yardsticks"]) * 1e-9});
      }
    }
    if (points.empty()) {
      continue;
    }
    data += plot_data(transport, points);
    plots += fmt::format(
        "{0}${1} using 1:2:3:4 with yerrorlines linewidth 2 pointtype 7 pointsize 0.6 linecolor rgb '{2}' title "
        "'ringps, "
        "{1}', ${1} using 1:5 with linespoints linewidth 1.2 dashtype 2 pointtype 6 pointsize 0.7 linecolor rgb '{2}' "
        "title 'raw echo, {1}'",
        plots.empty() ? "plot " : ", ", transport, plot_colours[drawn++]);
  }
  return plots.empty()
             ? ""
             : data +
                   "set title '1 server, 1 worker'\nset xlabel 'model (MiB)'\nset logscale x 2\n"
                   "set ylabel 'up plus down (GB/s)'\nset yrange [0:*]\nset key outside bottom center horizontal\n" +
                   plots;
}

/// Cost of an iteration along each axis, and what would be linear.
std::string scale_script(const json& document) {
  struct Axis {
    const char* name;
    int tic;  ///< the first, and the factor to the next
    int factor;
  };
  std::string script;
  int axes = 0;
  for (const Axis& axis : {Axis{"KiB", 16, 16}, Axis{"servers", 1, 2}, Axis{"workers", 1, 2}, Axis{"blocks", 16, 4}}) {
    Points points;
    for (const json& row : document["rows"]) {
      const json& details = row["details"].front();
      if (row["group"] == "scale" && details.value("axis", "") == axis.name) {
        points.push_back({details["at"].get<double>(), row["median"].get<double>() * 1e3,
                          row["min"].get<double>() * 1e3, row["max"].get<double>() * 1e3});
      }
    }
    if (points.size() < 2) {
      continue;
    }
    script += plot_data(axis.name, points) +
              fmt::format(
                  "set xlabel '{0}'\nset xtics {4},{5}\nset xrange [{6:.10g}:{3:.10g}]\n"
                  "set yrange [{7:.10g}:*]\n"
                  "plot ${0} using 1:2:3:4 with yerrorlines linewidth 2 pointtype 7 pointsize 0.6 linecolor rgb "
                  "'{1}' title 'ringps', {2:.10g} * x / {3:.10g} with lines linewidth 1.2 dashtype 2 linecolor "
                  "rgb '#888888' title 'linear'\n",
                  axis.name, plot_colours[0], points.back()[1], points.back()[0], axis.tic, axis.factor,
                  points.front()[0], points.front()[2] / 2);
    ++axes;
  }
  return axes == 0
             ? ""
             : "set multiplot layout 2,2\nset logscale x 2\nset logscale y\nset ylabel 'time per iteration (ms)'\n"
               "set key top left\nset format x '%.0f'\n" +
                   script + "unset multiplot\n";
}

}  // namespace

std::string shown(double value, const std::string& unit) {
  if (unit == "s") {
    return std::abs(value) < 1e-3 ? fmt::format("{:.1f} µs", value * 1e6)
           : std::abs(value) < 1  ? fmt::format("{:.2f} ms", value * 1e3)
                                  : fmt::format("{:.2f} s", value);
  }
  if (unit == "B/s") {
    return fmt::format("{:.2f} GB/s", value * 1e-9);
  }
  return unit == "B" ? fmt::format("{:.0f} MiB", value / mib) : fmt::format("{:.0f} {}", value, unit);
}

json new_document(const std::string& command, const std::string& commit) {
  return {{"machine", machine()},
          {"command", command},
          {"commit", commit},
          {"began", fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)))},
          {"rounds", 0},
          {"rows", json::array()},
          {"failed", json::array()}};
}

void add_reading(json& document, const Reading& reading) {
  json& rows = document["rows"];
  auto at = std::find_if(rows.begin(), rows.end(), [&](const json& row) { return row["name"] == reading.name; });
  if (at == rows.end()) {
    json target;
    if (reading.target.kind != Target::Kind::none) {
      target = {{"kind", reading.target.kind == Target::Kind::at_most ? "at most" : "at least"},
                {"value", reading.target.value}};
    }
    rows.push_back({{"name", reading.name},
                    {"group", reading.name.substr(0, reading.name.find('/'))},
                    {"unit", reading.unit},
                    {"beside", reading.beside},
                    {"target", target},
                    {"values", json::array()},
                    {"yardsticks", json::array()},
                    {"ratios", json::array()},
                    {"details", json::array()}});
    at = rows.end() - 1;
  }
  json& row = *at;
  row["values"].push_back(reading.value);
  row["details"].push_back(reading.details);
  const std::vector<double> values = row["values"];
  row["median"] = median(values);
  row["quartiles"] = {quantile(values, 0.25), quantile(values, 0.75)};
  row["min"] = quantile(values, 0);
  row["max"] = quantile(values, 1);
  if (!reading.beside.empty()) {
    row["yardsticks"].push_back(reading.yardstick);
    row["ratios"].push_back(reading.value / reading.yardstick);
    row["ratio"] = median(row["ratios"]);
  }
  const double compared = reading.beside.empty() ? row["median"] : row["ratio"];
  row["met"] = nullptr;
  if (reading.target.kind != Target::Kind::none) {
    row["met"] = reading.target.kind == Target::Kind::at_most ? compared <= reading.target.value
                                                              : compared >= reading.target.value;
  }
}

std::string table_text(const json& document) {
  std::vector<std::vector<std::string>> table{
      {"", "measured", "all rounds", "beside", "yardstick", "ratio", "all rounds", "target", "", ""}};
  for (const json& row : document["rows"]) {
    table.push_back(cells(row));
  }
  constexpr std::size_t widths[] = {42, 11, 25, 40, 11, 6, 12, 10, 8, 0};
  std::string text;
  for (const auto& row : table) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      text += padded(row[c], widths[c]) + (c + 1 < row.size() ? " " : "\n");
    }
  }
  return text;
}

std::string markdown(const json& document, const std::vector<std::string>& pictures) {
  const json& machine = document["machine"];
  std::string text = fmt::format(
      "{}, {} cores, {:.0f} GiB, {}, libzmq {}. Commit {}, {}, `{}`: {} rounds. In each round everything is measured "
      "once, one after the other, whatever is compared close together, so that the machine's drift cancels. Numbers "
      "are "
      "medians of the rounds, with the least and the greatest; ratios are taken within a round.\n",
      machine["processor"].get<std::string>(), machine["cores"].get<int>(),
      machine["memory_bytes"].get<double>() / (1024 * mib), machine["kernel"].get<std::string>(),
      machine["libzmq"].get<std::string>(), document["commit"].get<std::string>(), document["began"].get<std::string>(),
      document["command"].get<std::string>(), document["rounds"].get<int>());
  std::size_t reached = 0;
  std::string missed;
  for (const json& row : document["rows"]) {
    if (row["met"] == true) {
      ++reached;
    } else if (row["met"] == false) {
      missed += fmt::format(
          "- {}: {}, target {}\n", row["name"].get<std::string>(),
          has_yardstick(row) ? fmt::format("{:.2f}", row["ratio"].get<double>()) : shown(row["median"], row["unit"]),
          target_text(row));
    }
  }
  text +=
      fmt::format("\nTargets reached: {}. {}\n{}", reached, missed.empty() ? "None is missed." : "Missed:\n", missed);
  for (const json& failure : document["failed"]) {
    text +=
        fmt::format("\n**{} failed**: {}\n", failure["name"].get<std::string>(), failure["error"].get<std::string>());
  }
  for (const std::string& picture : pictures) {
    text += fmt::format("\n![{}]({})\n", fs::path(picture).stem().string(), picture);
  }
  for (const Group& group : groups) {
    std::string table;
    for (const json& row : document["rows"]) {
      if (row["group"] == group.name) {
        table += "|";
        for (const std::string& cell : cells(row)) {
          table += " " + cell + " |";
        }
        table += "\n";
      }
    }
    if (!table.empty()) {
      text += fmt::format(
          "\n## {}\n\n{}\n\n"
          "| row | measured | all rounds | beside | yardstick | ratio | all rounds | target | | |\n"
          "|---|---|---|---|---|---|---|---|---|---|\n{}",
          group.title, group.text, table);
    }
  }
  return text;
}

Result<std::vector<std::string>> draw_pictures(const json& document, const fs::path& folder) {
  struct Picture {
    const char* name;
    int width_px;
    int height_px;
    std::string script;
  };
  std::vector<std::string> drawn;
  for (const Picture& picture : {Picture{"bench-goodput.svg", 700, 420, goodput_script(document)},
                                 Picture{"bench-scale.svg", 900, 640, scale_script(document)}}) {
    if (picture.script.empty()) {
      continue;
    }
    if (auto done = draw(folder / picture.name, picture.width_px, picture.height_px, picture.script); !done) {
      return done.failure();
    }
    drawn.emplace_back(picture.name);
  }
  return drawn;
}

Result<void> update_report(const fs::path& report, const std::string& text) {
  std::string whole =
      fmt::format("# Benchmarks\n\n{}\n{}\n\n## What stands in the way of the targets\n", begin_mark, end_mark);
  if (fs::exists(report)) {
    std::ifstream in(report);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto begin = whole.find(begin_mark);
  const auto end = whole.find(end_mark);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    return Error{
        fmt::format("{} has no lines '{}' and '{}' between which to write", report.string(), begin_mark, end_mark)};
  }
  whole.replace(begin, end - begin, fmt::format("{}\n\n{}\n", begin_mark, text));
  return write_text(report, whole);
}

}  // namespace ringps::bench
