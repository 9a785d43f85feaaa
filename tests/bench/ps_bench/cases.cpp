#include "tests/bench/ps_bench/cases.hpp"

#include <sched.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "libps/config/job.hpp"
#include "libps/ring/view.hpp"
#include "tests/bench/ps_bench/cluster.hpp"
#include "tests/bench/ps_bench/in_process.hpp"
#include "tests/bench/ps_bench/statistics.hpp"
#include "tests/bench/ps_bench/yardsticks.hpp"

namespace ringps::bench {
namespace {

using nlohmann::json;
using Readings = Result<std::vector<Reading>>;

constexpr std::size_t mib_bytes = 1U << 20U;
constexpr std::size_t small_floats = 785;
/// About what a header of PushPull and one of Values take: the yardstick of small models sends as many bytes.
constexpr std::size_t header_bytes = 64;
/// What is linear. A tenth is left to chance: neighbouring points of one round differ by as much.
constexpr double linear = 1.1;

Target at_most(double value) {
  return {Target::Kind::at_most, value};
}
Target at_least(double value) {
  return {Target::Kind::at_least, value};
}

/// While it lives, this process and those that it starts have one core.
class OneCore {
 public:
  OneCore() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OneCore() { sched_setaffinity(0, sizeof before_, &before_); }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t before_{};
};

/// Memory of this machine that is free for new processes.
std::size_t available_mib() {
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("MemAvailable:")) {
      return std::stoull(line.substr(13)) / 1024;
    }
  }
  return 0;
}

/// Cases are made one after the other; `scope` says how large each is.
class Maker {
 public:
  explicit Maker(const Scope& scope) : scope_(scope) {}

  std::vector<Case> all() {
    memory();
    for (const std::string& transport : transports()) {
      small(transport, false);
      small(transport, true);
    }
    in_one_process();
    for (const std::string& transport : transports()) {
      for (const std::size_t size : {1U, 16U, 64U, 256U}) {
        for (const std::uint32_t workers : {1U, 2U, 4U}) {
          bulk({size, 1, workers, 1, transport});
          bulk({size, 2, workers, 1, transport});
          bulk({size, 2, workers, 2, transport});
        }
      }
      bulk({1024, 1, 1, 1, transport});
      bulk({1024, 2, 1, 1, transport});
      bulk({1024, 2, 1, 2, transport});
    }
    for (const std::string& transport : transports()) {
      for (const std::uint64_t rows : {1'000'000U, 10'000'000U}) {
        for (const std::uint32_t width : {1U, 16U}) {
          for (const std::uint32_t servers : {1U, 2U}) {
            sparse(rows, width, servers, transport);
          }
        }
      }
    }
    training();
    checkpoint();
    resident();
    scale();
    large();
    return std::move(cases_);
  }

 private:
  struct Bulk {
    std::size_t size_mib;
    std::uint32_t servers;
    std::uint32_t workers;
    std::uint32_t replicas;
    std::string transport;

    std::string name() const {
      return fmt::format("bulk/{} MiB/{}x{}/replicas {}/{}", size_mib, servers, workers, replicas, transport);
    }
  };

  std::vector<std::string> transports() const {
    return scope_.brief ? std::vector<std::string>{"ipc"} : std::vector<std::string>{"tcp", "ipc"};
  }

  void add(std::string name, std::vector<std::string> needs, std::function<Readings(const Round&)> measure) {
    cases_.push_back({std::move(name), std::move(needs), std::move(measure)});
  }

  ClusterCase cluster(std::size_t floats, std::uint32_t servers, std::uint32_t workers, std::uint32_t replicas,
                      const std::string& transport, std::uint64_t timed,
                      const std::vector<std::string>& overrides = {}) const {
    ClusterCase wanted{floats, servers, workers, replicas, transport, timed + timed_after, overrides};
    wanted.overrides.insert(wanted.overrides.end(), scope_.overrides.begin(), scope_.overrides.end());
    return wanted;
  }

  /// How often a model goes up and down again, so that all of it is `volume_mib`.
  std::uint64_t iterations_for(double size_mib, std::uint32_t workers, double most) const {
    return static_cast<std::uint64_t>(std::clamp(scope_.volume_mib / (size_mib * workers), 6.0, most));
  }

  void memory() {
    add("yardstick/memory copy", {}, [](const Round&) -> Readings {
      return std::vector{Reading{"yardstick/memory copy", "B/s", memory_copy_rate(), "", 0, {}}};
    });
    add("yardstick/w -= lr g", {}, [](const Round&) -> Readings {
      return std::vector{Reading{"yardstick/w -= lr g", "B/s", fused_step_rate(), "", 0, {}}};
    });
  }

  void small(const std::string& transport, bool one_core) {
    const std::string name = fmt::format("small/{}/{}", transport, one_core ? "one core" : "unpinned");
    const std::uint64_t iterations = scope_.brief ? 100 : 6000;
    const ClusterCase wanted = cluster(small_floats, 1, 1, 1, transport, iterations);
    add(name, {}, [=](const Round& round) -> Readings {
      std::optional<OneCore> pinned;
      if (one_core) {
        pinned.emplace();
      }
      const auto echo =
          run_echo({transport, 1, small_floats * sizeof(float) + header_bytes, 1, iterations}, round.scratch);
      if (!echo) {
        return echo.failure();
      }
      const auto result = run_cluster(wanted, round.scratch);
      if (!result) {
        return result.failure();
      }
      const std::vector<double> seconds = joined(result->seconds());
      const json details{{"iteration_seconds_99_percent", quantile(seconds, 0.99)}};
      return std::vector{
          Reading{name, "s", median(seconds), "raw round trip", median(joined(*echo)), at_most(1.25), details}};
    });
  }

  void in_one_process() {
    const std::string sockets = "small/ipc/one core";
    for (const bool codec : {false, true}) {
      const std::string name = fmt::format("in one process/785 floats/{}", codec ? "cores and codec" : "cores");
      const std::uint64_t iterations = scope_.brief ? 100 : 20000;
      add(name, {sockets}, [=](const Round& round) -> Readings {
        const auto result = run_in_process({small_floats, codec, iterations});
        if (!result) {
          return result.failure();
        }
        return std::vector{Reading{name, "s", median(result->seconds), sockets, round.values.at(sockets), {}}};
      });
    }
    const Bulk bulk{std::min<std::size_t>(64, scope_.largest_mib), 1, 1, 1, "ipc"};
    const std::string name = fmt::format("in one process/{} MiB/cores and codec", bulk.size_mib);
    add(name, {bulk.name()},
        [=, iterations = iterations_for(static_cast<double>(bulk.size_mib), 1, 1000)](const Round& round) -> Readings {
          const auto result = run_in_process({bulk.size_mib * mib_bytes / sizeof(float), true, iterations});
          if (!result) {
            return result.failure();
          }
          const double bytes = 2.0 * static_cast<double>(result->floats * sizeof(float));
          return std::vector{
              Reading{name, "B/s", bytes * rate_of({result->seconds}), bulk.name(), round.values.at(bulk.name()), {}}};
        });
  }

  void bulk(const Bulk& bulk) {
    if (bulk.size_mib > scope_.largest_mib) {
      return;
    }
    const std::uint64_t iterations = iterations_for(static_cast<double>(bulk.size_mib), bulk.workers, 1000);
    const ClusterCase wanted = cluster(bulk.size_mib * mib_bytes / sizeof(float), bulk.servers, bulk.workers,
                                       bulk.replicas, bulk.transport, iterations);
    std::string beside = "raw echo";
    Target target = at_least(bulk.workers == 1 ? 0.85 : 0.8);
    if (bulk.replicas > 1) {
      beside = Bulk{bulk.size_mib, bulk.servers, bulk.workers, 1, bulk.transport}.name();
      target = at_least(bulk.workers < 4 ? 0.55 : 0.75);
    } else if (bulk.servers > 1) {
      beside = Bulk{bulk.size_mib, 1, bulk.workers, 1, bulk.transport}.name();
      target = at_least(1);
    }
    const bool echoes = bulk.servers == 1;
    add(bulk.name(), echoes ? std::vector<std::string>{} : std::vector{beside}, [=](const Round& round) -> Readings {
      double yardstick = 0;
      if (echoes) {
        const auto echo = run_echo({bulk.transport, bulk.workers, mib_bytes, bulk.size_mib, iterations}, round.scratch);
        if (!echo) {
          return echo.failure();
        }
        yardstick = 2.0 * static_cast<double>(bulk.size_mib * mib_bytes) * rate_of(*echo);
      } else {
        yardstick = round.values.at(beside);
      }
      const auto result = run_cluster(wanted, round.scratch);
      if (!result) {
        return result.failure();
      }
      const double bytes = 2.0 * static_cast<double>(result->floats * sizeof(float));
      const double all_mib = bytes * static_cast<double>(iterations * bulk.workers) / mib_bytes;
      json details{{"mib", bulk.size_mib},
                   {"servers", bulk.servers},
                   {"workers", bulk.workers},
                   {"replicas", bulk.replicas},
                   {"transport", bulk.transport}};
      for (const std::string role : {"server", "worker", "coordinator"}) {
        const Usage used = result->usage_of(role);
        details[role + "_cpu_ms_per_mib"] = used.cpu_seconds * 1e3 / all_mib;
        details[role + "_page_faults_per_mib"] = used.page_faults / all_mib;
      }
      return std::vector{
          Reading{bulk.name(), "B/s", bytes * rate_of(result->seconds()), beside, yardstick, target, details}};
    });
  }

  /// Look-ups and additions in a table, beside the same in a std::unordered_map in memory.
  void sparse(std::uint64_t rows, std::uint32_t width, std::uint32_t servers, const std::string& transport) {
    if (scope_.brief) {
      rows /= 100;
    }
    const std::uint64_t ids = scope_.brief ? 1000 : 100'000;
    const std::string name = fmt::format("sparse/{} of {} rows/width {}/{}x1/{}", ids, rows, width, servers, transport);
    const std::uint64_t iterations = scope_.brief ? 20 : 100;
    ClusterCase wanted = cluster(0, servers, 1, 1, transport, iterations);
    wanted.rows = rows;
    wanted.width = width;
    wanted.ids = ids;
    add(name, {}, [=](const Round& round) -> Readings {
      const std::vector<double> map = map_seconds(rows, width, ids, iterations / 5);
      const auto result = run_cluster(wanted, round.scratch);
      if (!result) {
        return result.failure();
      }
      const std::vector<double> seconds = joined(result->seconds());
      json details{{"rows", rows}, {"width", width}, {"ids", ids}, {"servers", servers}, {"transport", transport}};
      for (const std::string role : {"server", "worker"}) {
        details[role + "_cpu_seconds"] = result->usage_of(role).cpu_seconds / static_cast<double>(iterations);
        details[role + "_bytes"] = result->usage_of(role).bytes_max;
      }
      return std::vector{
          Reading{name, "s", median(seconds), "std::unordered_map", median(map), at_most(1.0 / 3), details}};
    });
  }

  /// Real workers on real data.
  void training() {
    const auto name_of = [](std::uint32_t servers, std::uint32_t workers) {
      return fmt::format("trained/{}x{}", servers, workers);
    };
    const std::string single = name_of(1, 1);
    for (const auto& [servers, workers] :
         std::vector<std::pair<std::uint32_t, std::uint32_t>>{{1, 1}, {1, 4}, {4, 1}, {4, 4}}) {
      const std::string name = name_of(servers, workers);
      const std::uint32_t messages = servers * workers;
      const std::uint64_t iterations = scope_.brief ? 300 : 20000;
      add(name, name == single ? std::vector<std::string>{} : std::vector{single},
          [=, servers = servers, workers = workers, overrides = scope_.overrides](const Round& round) -> Readings {
            const auto rate = run_training(servers, workers, iterations, overrides, round.scratch);
            if (!rate) {
              return rate.failure();
            }
            const json details{{"data", has_mnist() ? "mnist" : "synthetic"}};
            if (name == single) {
              return std::vector{Reading{name, "/s", *rate, "", 0, at_least(6500), details}};
            }
            return std::vector{Reading{name, "/s", *rate, fmt::format("{} / {} messages", single, messages),
                                       round.values.at(single) / messages, at_least(1), details}};
          });
    }
  }

  /// What training loses while a checkpoint is written beside it.
  void checkpoint() {
    const std::size_t size_mib = scope_.largest_mib;
    const std::string name = fmt::format("checkpoint/{} MiB", size_mib);
    const std::uint64_t interval = scope_.brief ? 40 : 16;
    const ClusterCase wanted =
        cluster(size_mib * mib_bytes / sizeof(float), 1, 1, 1, "ipc", 4 * interval,
                {fmt::format("checkpoint.interval={}", interval), "checkpoint.keep=1000", "checkpoint.min_gap_ms=0"});
    add(name, {}, [=](const Round& round) -> Readings {
      const auto result = run_cluster(wanted, round.scratch);
      if (!result) {
        return result.failure();
      }
      // A checkpoint is under way from the moment at which its version is there until its manifest is: at least in the
      // iteration after it.
      const WorkerTimes& times = result->workers.front();
      std::vector<double> during;
      std::vector<double> otherwise;
      double end = times.began_unix;
      std::optional<double> under_way_until;
      double writing = 0;
      std::size_t checkpoints = 0;
      for (std::size_t k = 0; k < times.seconds.size(); ++k) {
        const double begin = end;
        end += times.seconds[k];
        const bool just_begun = k > 0 && result->committed_unix.contains(timed_after + k);
        (just_begun || (under_way_until && *under_way_until > begin) ? during : otherwise).push_back(times.seconds[k]);
        const auto committed = result->committed_unix.find(timed_after + 1 + k);
        if (committed != result->committed_unix.end() && k + 1 < times.seconds.size()) {
          under_way_until = committed->second;
          writing += committed->second - end;
          ++checkpoints;
        }
      }
      if (during.empty() || otherwise.empty()) {
        return Error{fmt::format("{}: {} iterations with a checkpoint under way and {} without: nothing to compare",
                                 name, during.size(), otherwise.size())};
      }
      const double usual = median(otherwise);
      const json details{
          {"checkpoints", checkpoints},
          {"seconds_each", writing / static_cast<double>(checkpoints)},
          {"iterations_meanwhile", during.size()},
          {"server_page_faults_each", result->usage_of("server").page_faults / static_cast<double>(checkpoints)},
          {"worst_excess_otherwise_s", *std::max_element(otherwise.begin(), otherwise.end()) - usual}};
      return std::vector{
          Reading{name + "/iterations meanwhile", "s", median(during), "the others", usual, at_most(1.25), details},
          Reading{name + "/worst excess", "s", *std::max_element(during.begin(), during.end()) - usual, "", 0,
                  at_most(0.1), details}};
    });
  }

  /// Bytes that the fullest server of a cluster needs.
  struct Room {
    std::size_t model = 0;      ///< one version of the blocks that it holds, with optimizer state
    std::size_t in_flight = 0;  ///< one gradient of each slice, and with replicas the reduced one, sent and received
  };
  static Room room_of(const ClusterResult& result) {
    const Config& config = result.config;
    const auto tensors = model_tensors(config);
    const JobSpec job = make_job(config, *tensors);
    const BlockTable blocks(job.tensors, job.block_elements);
    std::vector<std::string> servers;
    for (std::uint32_t s = 0; s < job.servers; ++s) {
      servers.push_back(fmt::format("server{}", s));
    }
    const Placement placement(servers, blocks, job.virtual_nodes, job.replicas);
    Room most;
    for (std::uint32_t s = 0; s < job.servers; ++s) {
      std::size_t held = 0;
      std::size_t owned = 0;
      for (std::uint32_t b = 0; b < blocks.size(); ++b) {
        const auto& holders = placement.holders({b});
        const std::size_t bytes = blocks[{b}].elements * sizeof(float);
        held += std::find(holders.begin(), holders.end(), s) != holders.end() ? bytes : 0;
        owned += holders.front() == s ? bytes : 0;
      }
      const Room room{held * (1 + job.optimizer.state_per_element()),
                      owned * job.slices + (job.replicas > 1 ? held : 0)};
      most = room.model + room.in_flight > most.model + most.in_flight ? room : most;
    }
    return most;
  }

  void resident() {
    struct Point {
      std::size_t size_mib;
      std::uint32_t servers;
      std::uint32_t workers;
      std::uint32_t replicas;
      std::string optimizer;
    };
    const std::size_t usual = std::min<std::size_t>(64, scope_.largest_mib);
    for (const Point& at : {Point{usual, 1, 1, 1, "sgd"}, Point{usual, 1, 4, 1, "sgd"}, Point{usual, 1, 1, 1, "adam"},
                            Point{usual, 2, 4, 2, "sgd"}, Point{1024, 1, 1, 1, "sgd"}}) {
      if (at.size_mib > scope_.largest_mib) {
        continue;
      }
      const std::string name = fmt::format("memory/{} MiB/{}x{}/replicas {}/{}", at.size_mib, at.servers, at.workers,
                                           at.replicas, at.optimizer);
      const ClusterCase wanted = cluster(at.size_mib * mib_bytes / sizeof(float), at.servers, at.workers, at.replicas,
                                         "ipc", 10, {"train.optimizer.kind=" + at.optimizer});
      add(name, {}, [=](const Round& round) -> Readings {
        const auto result = run_cluster(wanted, round.scratch);
        if (!result) {
          return result.failure();
        }
        const Room room = room_of(*result);
        const json details{{"model_bytes", room.model}, {"in_flight_bytes", room.in_flight}};
        return std::vector{
            Reading{name, "B", static_cast<double>(result->usage_of("server").bytes_max), "1.3 x model + in flight",
                    1.3 * static_cast<double>(room.model) + static_cast<double>(room.in_flight), at_most(1), details}};
      });
    }
  }

  /// The largest of each kind. What they cost is compared with what it would be if it grew as the size does.
  void large() {
    const auto room = [](const ClusterResult& result, json details) {
      details["server_bytes"] = result.usage_of("server").bytes_max;
      details["worker_bytes"] = result.usage_of("worker").bytes_max;
      return details;
    };
    // All processes together take 5.4 times the model: three of it are at the worker, two at the servers.
    const std::size_t fits_mib = static_cast<std::size_t>(static_cast<double>(available_mib()) / 5.5) / 256 * 256;
    const std::size_t largest = std::max(scope_.largest_mib, std::min(4 * scope_.largest_mib, fits_mib));
    std::string before;
    for (const std::size_t size_mib : {scope_.largest_mib, largest}) {
      const double growth = static_cast<double>(size_mib) / static_cast<double>(scope_.largest_mib);
      const std::string name = fmt::format("large/{} MiB over 4 servers", size_mib);
      ClusterCase wanted = cluster(size_mib * mib_bytes / sizeof(float), 4, 1, 1, "ipc", scope_.brief ? 6 : 3);
      add(name, before.empty() ? std::vector<std::string>{} : std::vector{before}, [=](const Round& round) -> Readings {
        const auto result = run_cluster(wanted, round.scratch);
        if (!result) {
          return result.failure();
        }
        Reading reading{name, "s", median(joined(result->seconds())), "", 0, {}, room(*result, {{"mib", size_mib}})};
        if (!before.empty()) {
          reading.beside = fmt::format("{} x {:.3g}", before, growth);
          reading.yardstick = growth * round.values.at(before);
          reading.target = at_most(linear);
        }
        return std::vector{reading};
      });
      before = name;
    }
    const std::uint64_t ids = scope_.brief ? 1000 : 100'000;
    before.clear();
    for (const std::uint64_t rows : scope_.brief ? std::vector<std::uint64_t>{10'000, 100'000}
                                                 : std::vector<std::uint64_t>{10'000'000, 100'000'000}) {
      const std::string name = fmt::format("large/{} of {} rows", ids, rows);
      ClusterCase wanted = cluster(0, 1, 1, 1, "ipc", scope_.brief ? 10 : 50);
      wanted.rows = rows;
      wanted.ids = ids;
      add(name, before.empty() ? std::vector<std::string>{} : std::vector{before}, [=](const Round& round) -> Readings {
        const auto result = run_cluster(wanted, round.scratch);
        if (!result) {
          return result.failure();
        }
        Reading reading{name, "s", median(joined(result->seconds())), "", 0, {}, room(*result, {{"rows", rows}})};
        if (!before.empty()) {
          reading.beside = before;
          reading.yardstick = round.values.at(before);
        }
        return std::vector{reading};
      });
      before = name;
    }
  }

  /// What the machine makes of the same work without ringps, at any point of an axis.
  struct Bare {
    std::string suffix;  ///< of the names of its readings
    std::function<Result<std::vector<double>>(std::uint32_t at, const Round&)> seconds;
  };

  /// Along each axis, a point is compared with the one before it.
  void scale() {
    const auto axis = [&](const std::string& what, const std::vector<std::uint32_t>& points, const auto& cluster_at,
                          const std::optional<Bare>& bare = std::nullopt) {
      std::string before;
      std::uint32_t point_before = 0;
      for (const std::uint32_t at : points) {
        if (scope_.brief && at > 4 * points.front()) {
          break;
        }
        const std::string name = fmt::format("scale/{}/{}", what, at);
        const double growth = point_before == 0 ? 0 : static_cast<double>(at) / static_cast<double>(point_before);
        add(name, before.empty() ? std::vector<std::string>{} : std::vector{before},
            [=, wanted = cluster_at(at)](const Round& round) -> Readings {
              const auto result = run_cluster(wanted, round.scratch);
              if (!result) {
                return result.failure();
              }
              std::vector readings{
                  Reading{name, "s", median(joined(result->seconds())), "", 0, {}, {{"axis", what}, {"at", at}}}};
              if (bare) {
                const auto seconds = bare->seconds(at, round);
                if (!seconds) {
                  return seconds.failure();
                }
                readings.push_back({name + bare->suffix, "s", median(*seconds), "", 0, {}, {{"without_ringps", at}}});
              }
              for (std::size_t r = 0; r < readings.size() && !before.empty(); ++r) {
                const std::string compared = r == 0 ? before : before + bare->suffix;
                readings[r].beside = fmt::format("{} x {:.3g}", compared, growth);
                readings[r].yardstick = round.values.at(compared) * growth;
              }
              readings.front().target = before.empty() ? Target{} : at_most(linear);
              return readings;
            });
        before = name;
        point_before = at;
      }
    };
    const std::size_t usual = mib_bytes / sizeof(float);
    const std::uint64_t iterations = scope_.brief ? 30 : 300;
    const auto blocks_of = [](std::size_t elements) { return fmt::format("cluster.block_elements={}", elements); };
    axis("KiB", {16, 64, 256, 1024, 4096, 16384, 65536, 262144}, [&](std::size_t kib) {
      return cluster(kib * 1024 / sizeof(float), 1, 1, 1, "ipc",
                     iterations_for(static_cast<double>(kib) / 1024, 1, static_cast<double>(iterations)));
    });
    axis(
        "servers", {1, 2, 4, 8, 16, 32, 64},
        [&](std::uint32_t n) { return cluster(usual, n, 1, 1, "ipc", iterations, {blocks_of(1024)}); },
        Bare{"/raw ZeroMQ", [=](std::uint32_t n, const Round& round) {
               return run_fan_out(n, mib_bytes / n, iterations, round.scratch);
             }});
    axis(
        "workers", {1, 2, 4, 8, 16, 32, 64, 128, 200},
        [&](std::uint32_t n) { return cluster(usual, 1, n, 1, "ipc", iterations, {blocks_of(1024)}); },
        Bare{"/memory alone", [=](std::uint32_t n, const Round&) -> Result<std::vector<double>> {
               return sums_and_copies_seconds(n, usual, iterations / 10);
             }});
    // About so many: every tensor has at least one.
    axis("blocks", {16, 64, 256, 1024, 4096, 16384},
         [&](std::size_t n) { return cluster(usual, 1, 1, 1, "ipc", iterations, {blocks_of(usual / n)}); });
  }

  const Scope& scope_;
  std::vector<Case> cases_;
};

}  // namespace

std::vector<Case> all_cases(const Scope& scope) {
  return Maker(scope).all();
}

}  // namespace ringps::bench
