#include "libps/config/rules.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "libps/config/text.hpp"

namespace ringps::config_detail {

namespace {

constexpr std::size_t hidden_layers_max = 8;
constexpr std::uint32_t hidden_default = 256;
constexpr std::uint64_t synthetic_train_samples = 10'000;
constexpr std::uint64_t synthetic_test_samples = 2'000;

/// Whether a rule about these values makes sense: after a wrong value, only that one is worth reporting.
bool all_sound(const Report& report, std::initializer_list<const char*> paths) {
  return std::all_of(paths.begin(), paths.end(), [&](const char* path) { return report.sound(path); });
}

void check_text(const Config& config, Report& report) {
  constexpr std::size_t name_bytes_max = 64;
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  const auto& name = config.name;
  const bool good_name =
      !name.empty() && name.size() <= name_bytes_max && std::all_of(name.begin(), name.end(), allowed);
  if (report.sound("name") && !good_name) {
    report.problem("name",
                   fmt::format("expected 1 to 64 of the characters a-z 0-9 _ -, found {}", single_quoted(name)));
  }
  if (report.sound("cluster.host") && config.cluster.host.empty()) {
    report.problem("cluster.host", "expected an address to bind, such as 127.0.0.1; found none");
  }
}

void check_model(const ModelConfig& model, Report& report) {
  if (!all_sound(report, {"model.kind", "model.hidden"})) {
    return;
  }
  const std::size_t layers = model.hidden.size();
  const bool is_mlp = model.kind == ModelKind::mlp;
  if (!is_mlp && layers > 0) {
    report.problem("model.hidden",
                   fmt::format("only an mlp has hidden layers: remove them, or change model.kind, which "
                               "is {}, to mlp",
                               schema::name_of(model.kind)));
  }
  if (is_mlp && (layers > hidden_layers_max || (layers == 0 && report.was_given("model.hidden")))) {
    report.problem("model.hidden",
                   fmt::format("expected 1 to {} hidden layers, as in [256]; found {}", hidden_layers_max, layers));
  }
}

void check_not_in_this_version(const Config& config, Report& report) {
  if (report.sound("train.consistency") && config.train.consistency != TrainConfig::Consistency::bsp) {
    report.problem("train.consistency",
                   fmt::format("{} is not in this version, which trains synchronously; expected bsp",
                               schema::name_of(config.train.consistency)));
  }
}

void check_timeouts(const TimeoutConfig& timeouts, Report& report) {
  const std::string probe_path = "cluster.timeouts.probe_timeout_ms";
  const std::string failure_path = "cluster.timeouts.failure_timeout_ms";
  if (report.sound("cluster.timeouts.heartbeat_interval_ms") && report.sound(probe_path) &&
      timeouts.probe_timeout_ms <= timeouts.heartbeat_interval_ms) {
    report.problem(probe_path, fmt::format("{} would remove members that are well; expected more than "
                                           "heartbeat_interval_ms, which is {}",
                                           timeouts.probe_timeout_ms, timeouts.heartbeat_interval_ms));
  }
  if (report.sound(failure_path) && report.sound(probe_path) &&
      timeouts.failure_timeout_ms < timeouts.probe_timeout_ms) {
    report.problem(failure_path, fmt::format("expected at least probe_timeout_ms, which is {}; found {}",
                                             timeouts.probe_timeout_ms, timeouts.failure_timeout_ms));
  }
}

void check_min_workers(const ClusterConfig& cluster, Report& report) {
  if (all_sound(report, {"cluster.min_workers", "cluster.workers", "cluster.servers", "cluster.worker_scope"}) &&
      cluster.min_workers > cluster.total_workers()) {
    report.problem("cluster.min_workers", fmt::format("training would never begin; expected at most the number of "
                                                      "workers, which is {}, found {}",
                                                      cluster.total_workers(), cluster.min_workers));
  }
}

void check_worker_scope(const Config& config, Report& report) {
  if (!report.sound("cluster.worker_scope") || config.cluster.worker_scope != WorkerScope::server) {
    return;
  }
  if (report.sound("cluster.replicas") && config.cluster.replicas > 1) {
    report.problem("cluster.replicas",
                   fmt::format("with cluster.worker_scope: server a block leaves with its server and its workers, and "
                               "comes back from the last checkpoint; expected 1, found {}",
                               config.cluster.replicas));
  }
  if (report.sound("train.speculate") && config.train.speculate) {
    report.problem(
        "train.speculate",
        "not possible with cluster.worker_scope: server, where a slice belongs to one worker; expected false");
  }
  const std::uint32_t workers = config.cluster.total_workers();
  const std::uint32_t slices = config.train.slices;
  if (all_sound(report, {"train.slices", "cluster.servers", "cluster.workers"}) && slices != 0 && slices != workers) {
    report.problem("train.slices",
                   fmt::format("with cluster.worker_scope: server each worker has one slice; expected 0 "
                               "or servers * workers = {}, found {}",
                               workers, slices));
  }
  if (config.verify.fault_free) {
    report.problem(
        "verify.fault_free",
        "not possible with cluster.worker_scope: server, because a server that is removed takes its workers' "
        "contributions with it; use worker_scope: all");
  }
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

bool exists(const std::string& process, const ClusterConfig& cluster) {
  const auto server = index_after("server", process);
  const auto worker = index_after("worker", process);
  return (server && *server < cluster.servers) || (worker && *worker < cluster.total_workers());
}

std::string first_to_last(std::string_view role, std::uint32_t count) {
  return count == 1 ? fmt::format("{}0", role) : fmt::format("{0}0 … {0}{1}", role, count - 1);
}

void check_fault(const std::string& path, const FaultConfig& fault, const Config& config, Report& report) {
  const std::string at_path = path + ".at_iteration";
  const std::string kill_path = path + ".kill";
  const auto& cluster = config.cluster;
  if (report.sound(at_path) && report.sound("train.iterations") &&
      (fault.at_iteration == 0 || fault.at_iteration > config.train.iterations)) {
    report.problem(at_path,
                   fmt::format("expected an iteration from 1 to the last one, {}; found {}", config.train.iterations,
                               report.was_given(at_path) ? std::to_string(fault.at_iteration) : "none"));
  }
  if (report.sound(kill_path) && all_sound(report, {"cluster.servers", "cluster.workers", "cluster.worker_scope"}) &&
      !exists(fault.kill, cluster)) {
    report.problem(kill_path, fmt::format("expected one of {}, {}; found {}", first_to_last("server", cluster.servers),
                                          first_to_last("worker", cluster.total_workers()),
                                          fault.kill.empty() ? "none" : single_quoted(fault.kill)));
  }
}

/// With restart: never, somebody of each role has to be left. Needs faults that are sound.
void check_survivors(const Config& config, Report& report) {
  std::set<std::string> servers;
  std::set<std::string> workers;
  for (const auto& fault : config.faults) {
    (fault.kill.starts_with("server") ? servers : workers).insert(fault.kill);
  }
  const bool no_server = servers.size() == config.cluster.servers;
  if (no_server || workers.size() == config.cluster.total_workers()) {
    report.problem("faults", fmt::format("every {} is killed, and with cluster.restart: never none comes back; use "
                                         "restart: needed, or leave one",
                                         no_server ? "server" : "worker"));
  }
}

void check_faults(const Config& config, Report& report) {
  if (!report.sound("faults")) {
    return;
  }
  bool sound = all_sound(report, {"cluster.servers", "cluster.workers", "cluster.worker_scope", "cluster.restart"});
  for (std::size_t i = 0; i < config.faults.size(); ++i) {
    const std::string path = fmt::format("faults[{}]", i);
    if (report.sound(path)) {
      check_fault(path, config.faults[i], config, report);
    }
    sound = sound && report.sound(path) && report.sound(path + ".kill");
  }
  if (sound && config.cluster.restart == ClusterConfig::Restart::never) {
    check_survivors(config, report);
  }
}

}  // namespace

void check_rules(const Config& config, Report& report) {
  check_text(config, report);
  check_model(config.model, report);
  check_not_in_this_version(config, report);
  check_timeouts(config.cluster.timeouts, report);
  check_min_workers(config.cluster, report);
  check_worker_scope(config, report);
  check_faults(config, report);
}

void resolve_defaults(Config& config) {
  auto& model = config.model;
  if (model.kind == ModelKind::mlp && model.hidden.empty()) {
    model.hidden = {hidden_default};
  }
  if (!model.initial) {
    model.initial = model.kind == ModelKind::logistic_regression  ? Initial::uniform
                    : model.kind == ModelKind::softmax_regression ? Initial::zeros
                                                                  : Initial::glorot;
  }
  auto& data = config.data;
  if (data.kind == DataConfig::Kind::synthetic) {
    data.train_samples = data.train_samples == 0 ? synthetic_train_samples : data.train_samples;
    data.test_samples = data.test_samples == 0 ? synthetic_test_samples : data.test_samples;
  }
  if (config.train.slices == 0) {
    config.train.slices = config.cluster.total_workers();
  }
}

}  // namespace ringps::config_detail
