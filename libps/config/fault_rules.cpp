#include "libps/config/fault_rules.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libps/config/suggest.hpp"
#include "libps/config/text.hpp"

namespace ringps::config_detail {

namespace {

using Names = std::vector<std::string_view>;

const Names actions = {"kill", "pause", "resume", "cut", "heal", "slow", "add", "drain"};

/// What a name may stand for, as bits.
enum Roles : unsigned { nobody = 0, coordinator = 1, servers = 2, workers = 4 };

/// How many there are of each role, those that are added during the run included.
struct Population {
  std::uint64_t servers = 0;
  std::uint64_t workers = 0;
};

Population population_of(const Config& config) {
  Population population{config.cluster.servers, config.cluster.total_workers()};
  for (const FaultConfig& fault : config.faults) {
    if (fault.add) {
      (*fault.add == FaultConfig::Added::server ? population.servers : population.workers) += fault.count;
    }
  }
  return population;
}

/// The N of "serverN", written without leading zeros.
std::optional<std::uint64_t> index_after(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(prefix.size());
  std::uint64_t index = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  const bool whole = status == std::errc() && end == digits.data() + digits.size() && std::to_string(index) == digits;
  return whole ? std::optional(index) : std::nullopt;
}

/// The role of the one process that is called so.
Roles role_of_process(std::string_view name, const Population& population) {
  const auto server = index_after("server", name);
  const auto worker = index_after("worker", name);
  if (name == "coordinator") {
    return coordinator;
  }
  if (server && *server < population.servers) {
    return servers;
  }
  return worker && *worker < population.workers ? workers : nobody;
}

unsigned roles_of_group(std::string_view name) {
  return name == "servers"   ? servers
         : name == "workers" ? workers
         : name == "all"     ? coordinator | servers | workers
                             : 0;
}

std::string first_to_last(std::string_view role, std::uint64_t count) {
  return count == 1 ? fmt::format("{}0", role) : fmt::format("{0}0 … {0}{1}", role, count - 1);
}

/// "sevrer1" is answered with "server1"; a number that nobody has, with nothing.
std::string meant_process(std::string_view name, const Names& words) {
  const std::size_t digits = std::min(name.find_first_of("0123456789"), name.size());
  const std::string_view word = name.substr(0, digits);
  const std::string_view meant = std::find(words.begin(), words.end(), word) == words.end() ? closest(word, words) : "";
  return meant.empty() ? "" : did_you_mean(fmt::format("{}{}", meant, name.substr(digits)));
}

std::string shown(const std::string& name) {
  return name.empty() ? "none" : single_quoted(name);
}

class FaultRules {
 public:
  FaultRules(const Config& config, Report& report)
      : config_(config), report_(report), population_(population_of(config)) {}

  void check(const std::string& path, const FaultConfig& fault) {
    check_moment(path, fault);
    const auto given = given_of(path, actions);
    if (given.size() != 1) {
      report_.problem(path, fmt::format("expected exactly one of {}; found {}", fmt::join(actions, ", "),
                                        given.empty() ? "none" : fmt::format("{}", fmt::join(given, " and "))));
      return;
    }
    check_belongings(path, given.front());
    if (!cluster_is_sound_) {
      return;
    }
    check_process(path, "kill", fault.kill);
    check_process(path, "pause", fault.pause);
    check_process(path, "resume", fault.resume);
    check_process(path, "drain", fault.drain);
    check_pair(path, "cut", fault.cut);
    check_pair(path, "heal", fault.heal);
    check_pair(path, "slow", fault.slow);
    check_slow(path, fault);
    check_scope(path, given.front());
  }

 private:
  Names given_of(const std::string& path, const Names& keys) const {
    Names given;
    for (const std::string_view key : keys) {
      if (report_.was_given(join_path(path, key))) {
        given.push_back(key);
      }
    }
    return given;
  }

  void check_moment(const std::string& path, const FaultConfig& fault) {
    const std::string iteration = path + ".at_iteration";
    const std::string time = path + ".at_seconds";
    if (!report_.sound(iteration) || !report_.sound(time) || !report_.sound("train.iterations")) {
      return;
    }
    if (fault.at_iteration && fault.at_seconds) {
      report_.problem(time, "expected either at_iteration or at_seconds, found both");
    } else if (!fault.at_seconds && fault.at_iteration.value_or(0) - 1 >= config_.train.iterations) {
      report_.problem(iteration, fmt::format("expected an iteration from 1 to the last one, {}{}; found {}",
                                             config_.train.iterations, fault.at_iteration ? "" : ", or at_seconds",
                                             fault.at_iteration ? std::to_string(*fault.at_iteration) : "none"));
    }
  }

  /// Keys that say more of an action stand with no other.
  void check_belongings(const std::string& path, std::string_view action) {
    struct Belonging {
      const char* key;
      Names actions;
    };
    static const std::vector<Belonging> belongings = {{"for_seconds", {"pause", "cut", "slow"}},
                                                      {"one_way", {"cut", "slow"}},
                                                      {"delay_ms", {"slow"}},
                                                      {"bytes_per_second", {"slow"}},
                                                      {"count", {"add"}}};
    for (const auto& [key, with] : belongings) {
      const std::string key_path = join_path(path, key);
      if (report_.was_given(key_path) && std::find(with.begin(), with.end(), action) == with.end()) {
        report_.problem(key_path, fmt::format("expected only with {}; found with {}", fmt::join(with, ", "), action));
      }
    }
  }

  void check_process(const std::string& path, std::string_view key, const std::string& name) {
    const std::string key_path = join_path(path, key);
    if (!report_.was_given(key_path) || !report_.sound(key_path)) {
      return;
    }
    const bool drain = key == "drain";
    const Roles role = role_of_process(name, population_);
    if (role == nobody || (drain && role == coordinator)) {
      const Names words = drain ? Names{"server", "worker"} : Names{"coordinator", "server", "worker"};
      report_.problem(
          key_path, fmt::format("expected one of {}{}, {}; found {}{}", drain ? "" : "coordinator, ",
                                first_to_last("server", population_.servers),
                                first_to_last("worker", population_.workers), shown(name), meant_process(name, words)));
    }
  }

  void check_pair(const std::string& path, std::string_view key, const std::vector<std::string>& names) {
    const std::string key_path = join_path(path, key);
    if (!report_.was_given(key_path) || !report_.sound(key_path)) {
      return;
    }
    if (names.size() != 2) {
      report_.problem(key_path, fmt::format("expected two names, as in [server0, workers]; found {}", names.size()));
      return;
    }
    std::array<unsigned, 2> roles{};
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string entry_path = fmt::format("{}[{}]", key_path, i);
      roles[i] = roles_of_group(names[i]) | role_of_process(names[i], population_);
      if (roles[i] == nobody && report_.sound(entry_path)) {
        report_.problem(
            entry_path,
            fmt::format("expected one of coordinator, servers, workers, all, {}, {}; found {}{}",
                        first_to_last("server", population_.servers), first_to_last("worker", population_.workers),
                        shown(names[i]),
                        meant_process(names[i], {"coordinator", "servers", "workers", "all", "server", "worker"})));
      }
    }
    check_connected(key_path, names, roles);
    if (config_.cluster.transport == ClusterConfig::Transport::ipc && report_.sound("cluster.transport")) {
      report_.problem(key_path,
                      "needs connections that can be led through a relay; expected cluster.transport: auto or tcp");
    }
  }

  /// Members speak with the coordinator and with servers.
  void check_connected(const std::string& key_path, const std::vector<std::string>& names,
                       const std::array<unsigned, 2>& roles) {
    const auto speaks_with = [](unsigned a, unsigned b) {
      return ((a & servers) != 0 && b != nobody) || ((a & workers) != 0 && (b & coordinator) != 0);
    };
    const bool one_process = names[0] == names[1] && roles_of_group(names[0]) == 0;
    if (roles[0] != nobody && roles[1] != nobody &&
        (one_process || !(speaks_with(roles[0], roles[1]) || speaks_with(roles[1], roles[0])))) {
      report_.problem(key_path, fmt::format("there is no connection between {} and {}: members speak with the "
                                            "coordinator and with servers",
                                            names[0], names[1]));
    }
  }

  void check_slow(const std::string& path, const FaultConfig& fault) {
    const std::string key_path = join_path(path, "slow");
    if (report_.was_given(key_path) && report_.sound(key_path) && report_.sound(path + ".delay_ms") &&
        report_.sound(path + ".bytes_per_second") && fault.delay_ms == 0 && fault.bytes_per_second == 0) {
      report_.problem(key_path, "expected delay_ms, bytes_per_second or both with it; found neither");
    }
  }

  void check_scope(const std::string& path, std::string_view action) {
    if (config_.cluster.worker_scope == WorkerScope::server && (action == "add" || action == "drain")) {
      report_.problem(join_path(path, action),
                      "not possible with cluster.worker_scope: server, where every slice has its server");
    }
  }

  const Config& config_;
  Report& report_;
  const Population population_;
  const bool cluster_is_sound_ =
      report_.sound("cluster.servers") && report_.sound("cluster.workers") && report_.sound("cluster.worker_scope");
};

/// With restart: never, somebody of each role has to be left. Needs faults that are sound.
void check_survivors(const Config& config, Report& report) {
  const Population population = population_of(config);
  std::set<std::string> servers_gone;
  std::set<std::string> workers_gone;
  for (const auto& fault : config.faults) {
    for (const std::string& gone : {fault.kill, fault.drain}) {
      if (!gone.empty() && gone != "coordinator") {
        (gone.starts_with("server") ? servers_gone : workers_gone).insert(gone);
      }
    }
  }
  const bool no_server = servers_gone.size() == population.servers;
  if (no_server || workers_gone.size() == population.workers) {
    report.problem("faults", fmt::format("every {} is killed, and with cluster.restart: never none comes back; use "
                                         "restart: needed, or leave one",
                                         no_server ? "server" : "worker"));
  }
}

void check_random_faults(const Config& config, Report& report) {
  const RandomFaultConfig& random = config.random_faults;
  if (random.uses_links() && config.cluster.transport == ClusterConfig::Transport::ipc &&
      report.sound("random_faults") && report.sound("cluster.transport")) {
    report.problem(random.cuts_per_minute > 0 ? "random_faults.cuts_per_minute" : "random_faults.slowdowns_per_minute",
                   "needs connections that can be led through a relay; expected cluster.transport: auto or tcp");
  }
  if (random.changes_members() && config.cluster.worker_scope == WorkerScope::server && report.sound("random_faults") &&
      report.sound("cluster.worker_scope")) {
    report.problem(random.adds_per_minute > 0 ? "random_faults.adds_per_minute" : "random_faults.drains_per_minute",
                   "not possible with cluster.worker_scope: server, where every slice has its server");
  }
}

}  // namespace

void check_faults(const Config& config, Report& report) {
  check_random_faults(config, report);
  if (!report.sound("faults")) {
    return;
  }
  FaultRules rules(config, report);
  bool sound = report.sound("cluster.servers") && report.sound("cluster.workers") &&
               report.sound("cluster.worker_scope") && report.sound("cluster.restart");
  for (std::size_t i = 0; i < config.faults.size(); ++i) {
    const std::string path = fmt::format("faults[{}]", i);
    if (report.sound(path)) {
      rules.check(path, config.faults[i]);
    }
    sound = sound && report.sound(path) && report.sound(path + ".kill") && report.sound(path + ".drain");
  }
  if (sound && config.cluster.restart == ClusterConfig::Restart::never) {
    check_survivors(config, report);
  }
}

}  // namespace ringps::config_detail
