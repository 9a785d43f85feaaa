#include "tests/sim/scenario.hpp"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "tests/sim/dice.hpp"

namespace ringps::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

std::vector<TensorSpec> make_tensors(Dice& dice) {
  std::vector<TensorSpec> tensors;
  const std::uint64_t count = dice.between(1, 4);
  for (std::uint64_t t = 0; t < count; ++t) {
    TensorSpec tensor;
    tensor.name = "tensor" + std::to_string(t);
    tensor.shape = dice.one_in(2) ? std::vector<std::uint64_t>{dice.between(1, 24)}
                                  : std::vector<std::uint64_t>{dice.between(1, 6), dice.between(1, 6)};
    tensor.initialiser = {-0.5F, 0.5F};
    tensors.push_back(tensor);
  }
  return tensors;
}

std::vector<TableSpec> make_tables(Dice& dice) {
  std::vector<TableSpec> tables(dice.between(1, 2));
  for (std::size_t t = 0; t < tables.size(); ++t) {
    tables[t].name = "table" + std::to_string(t);
    tables[t].width = static_cast<std::uint32_t>(dice.between(1, 3));
    tables[t].buckets = static_cast<std::uint32_t>(dice.between(1, 5));
    tables[t].expire_after = static_cast<std::uint32_t>(dice.one_in(2) ? dice.between(1, 6) : 0);
    if (dice.one_in(2)) {
      tables[t].initialiser = {-0.5F, 0.5F};
    }
  }
  return tables;
}

Timeouts make_timeouts(Dice& dice) {
  Timeouts timeouts;
  timeouts.heartbeat_interval = dice.between(milliseconds(20), milliseconds(50));
  timeouts.failure_timeout = dice.between(milliseconds(200), milliseconds(1000));
  timeouts.probe_timeout = timeouts.heartbeat_interval * 3;
  timeouts.request_timeout = dice.between(milliseconds(50), milliseconds(500));
  return timeouts;
}

void set_members(Dice& dice, JobSpec& job) {
  const bool many = dice.one_in(8);
  job.servers = static_cast<std::uint32_t>(many ? dice.between(4, 9) : dice.between(1, 5));
  job.workers = static_cast<std::uint32_t>(many ? dice.between(4, 12) : dice.between(1, 6));
  job.slices = static_cast<std::uint32_t>(many ? dice.between(4, 14) : dice.between(1, 8));
  job.replicas = dice.pick({1U, 2U, 2U, 2U, 3U});
  if (dice.one_in(5)) {
    job.worker_scope = WorkerScope::server;
    job.replicas = 1;
    job.servers = static_cast<std::uint32_t>(dice.between(1, 3));
    job.workers = job.servers * static_cast<std::uint32_t>(dice.between(1, 2));
    job.slices = job.servers * static_cast<std::uint32_t>(dice.between(1, 3));
  }
}

JobSpec make_job(Dice& dice, std::uint64_t seed) {
  JobSpec job;
  job.cluster = "sim";
  job.seed = seed;
  job.tensors = make_tensors(dice);
  job.block_elements = static_cast<std::uint32_t>(dice.between(1, 16));
  job.virtual_nodes = dice.pick({1U, 4U, 16U});
  set_members(dice, job);
  job.min_workers = dice.one_in(8) && job.worker_scope == WorkerScope::all
                        ? static_cast<std::uint32_t>(dice.between(1, job.workers))
                        : 1;
  job.iterations = Iteration{dice.between(1, 40)};
  job.optimizer.kind = dice.one_in(2) ? OptimizerKind::sgd : OptimizerKind::momentum;
  job.optimizer.weight_decay = dice.one_in(2) ? 0.0F : 0.01F;
  job.checkpoint.interval = dice.pick({0U, 1U, 3U, 5U});
  job.checkpoint.wait = dice.one_in(2);
  job.checkpoint.min_gap = dice.one_in(3) ? Duration(milliseconds(40)) : Duration{};
  job.evaluate_interval = dice.pick({0U, 1U, 3U, 5U});
  if (dice.one_in(5)) {  // as the configuration demands: every checkpoint falls on a moment of new weights
    job.refresh_interval = dice.between(2, 3);
    job.checkpoint.interval = job.refresh_interval * dice.between(0, 2);
  }
  job.speculate = job.worker_scope == WorkerScope::all && job.refresh_interval == 1 && dice.one_in(4);
  Dice tables(seed, "tables");
  if (job.worker_scope == WorkerScope::all && job.refresh_interval == 1 && !job.speculate && tables.one_in(3)) {
    job.tables = make_tables(tables);
  }
  job.message_bytes = static_cast<std::uint32_t>(dice.pick({16U, 64U, 256U, 4096U}));
  job.timeouts = make_timeouts(dice);
  return job;
}

NetworkManners make_network(Dice& dice) {
  NetworkManners network;
  network.ordered = !dice.one_in(3);
  network.delay_usual = dice.between(microseconds(50), milliseconds(2));
  network.delay_max = dice.between(milliseconds(5), milliseconds(200));
  network.straggler = dice.pick({0.0, 0.001, 0.02});
  network.broadcast_loss = dice.pick({0.0, 0.1, 0.9});
  if (!network.ordered) {
    network.loss = dice.pick({0.0, 0.01, 0.1});
    network.duplication = dice.pick({0.0, 0.01, 0.2});
    network.straggler = dice.pick({0.01, 0.1, 0.3});
  }
  return network;
}

FaultKind make_kind(Dice& dice) {
  using enum FaultKind;
  return dice.pick({crash,
                    crash,
                    crash,
                    crash_in_effects,
                    crash_in_effects,
                    crash_in_effects,
                    pause,
                    pause,
                    slow,
                    reconnect,
                    cut,
                    cut_one_way,
                    isolate,
                    clock_jump,
                    disk_fails,
                    join,
                    join,
                    drain,
                    drain,
                    dice.one_in(3) ? crash_all_servers : crash});
}

Fault make_fault(Dice& dice, const Scenario& scenario, Duration window) {
  const JobSpec& job = scenario.job;
  const std::uint32_t servers = job.servers + scenario.more_servers;
  const std::uint32_t hosts = 1 + servers + job.workers + scenario.more_workers;
  Fault fault;
  fault.kind = make_kind(dice);
  fault.at = dice.between(Duration{}, window);
  fault.host = static_cast<std::uint32_t>(dice.between(dice.one_in(3) ? 0 : 1, hosts - 1));
  fault.effects = static_cast<std::uint32_t>(dice.between(1, 40));
  fault.length = dice.one_in(2) ? dice.between(milliseconds(1), milliseconds(100))
                                : dice.between(milliseconds(100), 2 * job.timeouts.failure_timeout);
  fault.for_good = dice.one_in(6);
  if (fault.kind == FaultKind::join && scenario.more_servers + scenario.more_workers > 0) {
    const auto nth = static_cast<std::uint32_t>(dice.below(scenario.more_servers + scenario.more_workers));
    fault.host =
        nth < scenario.more_servers ? 1 + job.servers + nth : 1 + servers + job.workers + nth - scenario.more_servers;
    return fault;
  }
  // A connection has the coordinator or a server at its far end.
  fault.other = static_cast<std::uint32_t>(dice.between(0, servers));
  if (fault.other == fault.host) {
    fault.other = 0;
    fault.host = std::max(fault.host, 1U);
  }
  return fault;
}

/// Servers come and go all the time, and those that hand over and take over are slow: what a settling view has to
/// stand.
void make_churn(Scenario& scenario) {
  using enum FaultKind;
  Dice dice(scenario.seed, "churn");
  JobSpec& job = scenario.job;
  if (job.worker_scope == WorkerScope::server || !dice.one_in(6)) {
    return;
  }
  job.replicas = std::max(job.replicas, 2U);
  scenario.more_servers = static_cast<std::uint32_t>(dice.between(2, 4));
  if (dice.one_in(2)) {
    scenario.network.straggler = 0.2;
    scenario.network.delay_max = dice.between(milliseconds(120), milliseconds(250));
  }
  const auto any_server = [&] {
    return static_cast<std::uint32_t>(dice.between(1, job.servers + scenario.more_servers));
  };
  for (Fault& fault : scenario.faults) {
    fault.kind = dice.pick({join, join, join, drain, pause, pause, slow, slow, crash, cut});
    fault.host = any_server();
    fault.other = any_server();
    if (fault.kind == join) {
      fault.host = job.servers + static_cast<std::uint32_t>(dice.between(1, scenario.more_servers));
    } else if (fault.kind == cut && fault.other == fault.host) {
      fault.other = 0;
    }
  }
}

/// At most one of each in a run. A flood is rare, because its thousands of messages cost more than a whole run.
void add_replacement_and_flood(Scenario& scenario, Duration window) {
  Dice dice(scenario.seed, "replacement and flood");
  const JobSpec& job = scenario.job;
  Fault fault;
  fault.at = dice.between(Duration{}, window);
  fault.length = dice.between(milliseconds(1), 2 * job.timeouts.failure_timeout);
  if (dice.one_in(5)) {
    fault.kind = FaultKind::replace;
    const std::uint32_t servers = job.servers + scenario.more_servers;
    fault.host = static_cast<std::uint32_t>(dice.between(1, dice.one_in(2) ? job.servers : servers + job.workers));
    scenario.faults.push_back(fault);
  }
  if (dice.one_in(100)) {
    fault.kind = FaultKind::flood;
    fault.host = static_cast<std::uint32_t>(dice.between(1, job.servers));
    scenario.faults.push_back(fault);
  }
}

/// One in four lets slices run on independently of each other. The job is such that sums are exact in any order
/// (exact.hpp).
void make_asynchronous(Scenario& scenario) {
  Dice dice(scenario.seed, "consistency");
  JobSpec& job = scenario.job;
  if (job.worker_scope == WorkerScope::server || !dice.one_in(4)) {
    return;
  }
  job.consistency = dice.one_in(3) ? Consistency::asp : Consistency::ssp;
  job.staleness = job.consistency == Consistency::ssp ? dice.between(0, 3) : 0;
  job.slices = dice.pick({1U, 2U, 4U, 4U, 8U});
  job.refresh_interval = 1;
  job.speculate = false;
  job.checkpoint.wait = false;
  job.optimizer.learning_rate = 0.5F;
  job.optimizer.weight_decay = 0.0F;
  job.optimizer.momentum = 0.0F;
  for (TensorSpec& tensor : job.tensors) {
    tensor.initialiser = {3.0F, 3.0F};
  }
  Dice tables(scenario.seed, "asynchronous tables");
  if (job.tables.empty() && tables.one_in(4)) {
    job.tables = make_tables(tables);
  }
  for (TableSpec& table : job.tables) {
    table.initialiser = {3.0F, 3.0F};
  }
  if (!job.tables.empty() && tables.one_in(4)) {  // nothing but rows
    job.tensors.clear();
  }
}

/// One in three sends something else than floats between workers and servers.
void make_compression(Scenario& scenario) {
  Dice dice(scenario.seed, "compression");
  JobSpec& job = scenario.job;
  if (!dice.one_in(3)) {
    return;
  }
  using enum Encoding;
  job.compression.gradients = dice.pick({float32, float16, float16, bfloat16, bfloat16});
  job.compression.weights = dice.pick({float32, float16, bfloat16});
  job.compression.lz4 = dice.one_in(2);
  if (job.asynchronous() && dice.one_in(2)) {
    job.compression.gradients = top_k;
    job.compression.keep = dice.pick({0.1, 0.3, 0.6});
  }
}

/// ", float16 gradients, …", or nothing.
std::string compression_text(const Compression& compression) {
  static constexpr const char* names[] = {"float32", "float16", "bfloat16", "top_k"};
  const auto name = [](Encoding encoding) { return std::string(names[static_cast<std::size_t>(encoding)]); };
  if (compression == Compression{}) {
    return {};
  }
  return ", " + name(compression.gradients) + " gradients, " + name(compression.weights) + " weights" +
         (compression.lz4 ? ", packed" : "");
}

}  // namespace

const char* name_of(FaultKind kind) {
  static constexpr const char* names[fault_kinds] = {"crash",
                                                     "crash between effects",
                                                     "crash of all servers",
                                                     "pause",
                                                     "slowness",
                                                     "broken connection",
                                                     "cut",
                                                     "cut one way",
                                                     "isolation",
                                                     "clock jump",
                                                     "failing disk",
                                                     "join",
                                                     "replacement",
                                                     "flood",
                                                     "drain"};
  return names[static_cast<std::size_t>(kind)];
}

Scenario make_scenario(std::uint64_t seed) {
  Dice dice(seed, "scenario");
  Scenario scenario;
  scenario.seed = seed;
  scenario.job = make_job(dice, seed);
  scenario.network = make_network(dice);
  scenario.compute_time = dice.between(milliseconds(1), milliseconds(20));
  scenario.disk_time = dice.between(milliseconds(1), milliseconds(50));
  if (dice.one_in(6)) {
    const std::uint64_t grain = scenario.job.refresh_interval;
    scenario.resume_from = Iteration{dice.between(0, scenario.job.iterations.value) / grain * grain};
  }
  const Duration iteration = scenario.compute_time + 6 * scenario.network.delay_usual;
  const Duration window = static_cast<Duration::rep>(scenario.job.iterations.value + 5) * iteration + milliseconds(200);
  if (scenario.job.worker_scope == WorkerScope::all) {
    scenario.more_servers = static_cast<std::uint32_t>(dice.between(0, 3));
    scenario.more_workers = static_cast<std::uint32_t>(dice.between(0, 2));
  }
  const std::uint64_t faults = dice.one_in(8) ? 0 : dice.between(1, 10);
  const bool burst = dice.one_in(4);  // all within a moment
  const Duration moment = dice.between(Duration{}, window);
  for (std::uint64_t f = 0; f < faults; ++f) {
    Fault fault = make_fault(dice, scenario, window);
    if (burst) {
      fault.at = moment + dice.between(Duration{}, milliseconds(60));
    }
    scenario.faults.push_back(fault);
  }
  make_churn(scenario);
  add_replacement_and_flood(scenario, window);
  make_asynchronous(scenario);
  make_compression(scenario);
  std::sort(scenario.faults.begin(), scenario.faults.end(), [](const Fault& a, const Fault& b) { return a.at < b.at; });
  scenario.faults_end = window + 3 * scenario.job.timeouts.failure_timeout;
  return scenario;
}

std::string host_name(const Scenario& scenario, std::uint32_t host) {
  const std::uint32_t servers = scenario.job.servers + scenario.more_servers;
  if (host == 0) {
    return "coordinator";
  }
  return host <= servers ? "server" + std::to_string(host - 1) : "worker" + std::to_string(host - 1 - servers);
}

std::string describe(const Scenario& scenario, const Fault& fault) {
  using enum FaultKind;
  std::ostringstream text;
  const auto length = [&]() -> std::ostringstream& {
    text << std::fixed << std::setprecision(3) << ringps::seconds(fault.length) << " s";
    return text;
  };
  text << name_of(fault.kind);
  if (fault.kind != crash_all_servers) {
    text << " of " << host_name(scenario, fault.host);
  }
  switch (fault.kind) {
    case crash:
      text << (fault.for_good ? ", for good if it can be spared, else for " : " for ");
      length();
      break;
    case crash_in_effects:
      text << ", " << fault.effects << " effects later";
      break;
    case reconnect:
      text << " with " << host_name(scenario, fault.other);
      break;
    case cut:
    case cut_one_way:
      text << (fault.kind == cut ? " from " : " to ") << host_name(scenario, fault.other) << " for ";
      length();
      break;
    case replace:
      text << ", which cannot reach the coordinator for ";
      length();
      break;
    case disk_fails:
    case join:
    case flood:
    case drain:
      break;
    default:
      text << " for ";
      length();
  }
  return text.str();
}

std::string summary(const Scenario& scenario) {
  const JobSpec& job = scenario.job;
  std::ostringstream text;
  text << "seed " << scenario.seed << ": " << job.servers << '+' << scenario.more_servers << " servers, "
       << job.replicas << " replicas, " << job.workers << '+' << scenario.more_workers << " workers, " << job.slices
       << " slices" << (job.worker_scope == WorkerScope::server ? " by server" : "") << ", " << job.iterations.value
       << " iterations"
       << (job.consistency == Consistency::asp   ? ", asp"
           : job.consistency == Consistency::ssp ? ", ssp " + std::to_string(job.staleness)
                                                 : "")
       << (job.tables.empty() ? "" : ", " + std::to_string(job.tables.size()) + " tables")
       << compression_text(job.compression) << ", checkpoint every " << job.checkpoint.interval
       << (job.checkpoint.wait ? " (waits)" : "") << ", refresh every " << job.refresh_interval << ", evaluation every "
       << job.evaluate_interval << ", " << (job.optimizer.kind == OptimizerKind::sgd ? "sgd" : "momentum")
       << ", from iteration " << scenario.resume_from.value << ", "
       << (scenario.network.ordered ? "ordered" : "hostile") << " network, " << scenario.faults.size()
       << " faults until " << ringps::seconds(scenario.faults_end) << " s";
  return text.str();
}

}  // namespace ringps::sim
