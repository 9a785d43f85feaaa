#include "services/psctl/plan.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>

#include "libps/base/check.hpp"
#include "libps/config/job.hpp"
#include "libps/ring/layout.hpp"
#include "libps/ring/view.hpp"
#include "services/psctl/process.hpp"
#include "services/psctl/size_text.hpp"

namespace ringps {
namespace {

/// Of the current and the previous version of each block, and of one that is being made or written to a checkpoint. In
/// synchronous runs the version before has no optimizer state.
std::uint64_t floats_per_element(const JobSpec& job) {
  const std::uint64_t version = 1 + job.optimizer.state_per_element();
  return 2 * version + (job.asynchronous() ? version : 1);
}

/// As a shell would need it.
std::string quoted(const std::string& argument) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("/._-:=@").find(c) != std::string_view::npos;
  };
  if (!argument.empty() && std::all_of(argument.begin(), argument.end(), plain)) {
    return argument;
  }
  std::string text = "'";
  for (const char c : argument) {
    text += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return text + "'";
}

std::string command_text(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) {
    text += fmt::format("{}{}", text.empty() ? "" : " ", quoted(argument));
  }
  return text;
}

std::string kibibytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
}

}  // namespace

Result<Programs> find_programs(const std::string& worker_program) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return Error{"cannot find where psctl lies: /proc/self/exe: " + error.message()};
  }
  const auto folder = self.parent_path();
  Programs programs{folder / "ps-coordinator", folder / "ps-server", folder / "ps-worker"};
  for (const auto& program : {programs.coordinator, programs.server, programs.worker}) {
    if (access(program.c_str(), X_OK) != 0) {
      return Error{fmt::format("{}: is not there or cannot be executed; psctl starts the programs that lie beside it",
                               program.string())};
    }
  }
  if (!worker_program.empty()) {
    programs.worker = worker_program;
  }
  return programs;
}

std::vector<MemberName> members_of(const Config& config) {
  std::vector<MemberName> members;
  for (std::uint32_t i = 0; i < config.cluster.servers; ++i) {
    members.push_back({Role::server, fmt::format("server{}", i)});
  }
  for (std::uint32_t i = 0; i < config.cluster.total_workers(); ++i) {
    members.push_back({Role::worker, fmt::format("worker{}", i)});
  }
  return members;
}

std::string home_of(const Config& config, const std::string& worker) {
  const auto number = std::stoul(worker.substr(worker.find_first_of("0123456789")));
  return fmt::format("server{}", number / config.cluster.workers);
}

std::vector<std::uint64_t> kills_of(const Config& config, const std::string& id) {
  std::vector<std::uint64_t> iterations;
  for (const FaultConfig& fault : config.faults) {
    if (fault.kill == id && fault.at_iteration) {
      iterations.push_back(*fault.at_iteration);
    }
  }
  std::sort(iterations.begin(), iterations.end());
  return iterations;
}

CommandLines::CommandLines(const Config& config, Programs programs, const std::filesystem::path& config_file,
                           const std::filesystem::path& run_dir, std::filesystem::path socket_dir, std::string resume)
    : transport_(config.cluster.transport),
      host_(config.cluster.host),
      programs_(std::move(programs)),
      config_file_(config_file.string()),
      run_dir_(run_dir.string()),
      socket_dir_(std::move(socket_dir)),
      resume_(std::move(resume)) {}

std::string CommandLines::bind_endpoint(const std::string& id) const {
  if (transport_ == ClusterConfig::Transport::ipc) {
    return "ipc://" + (socket_dir_ / (id == coordinator_id ? "control.sock" : id + ".sock")).string();
  }
  return host_.find(':') == std::string::npos ? "tcp://" + host_ + ":0" : "tcp://[" + host_ + "]:0";
}

std::vector<std::string> CommandLines::coordinator(const std::string& bind, int ready_descriptor) const {
  std::vector<std::string> arguments = {programs_.coordinator.string(),
                                        "--config",
                                        config_file_,
                                        "--bind",
                                        bind.empty() ? bind_endpoint(coordinator_id) : bind,
                                        "--run-dir",
                                        run_dir_};
  if (ready_descriptor >= 0) {
    arguments.insert(arguments.end(), {"--ready-fd", std::to_string(ready_descriptor)});
  }
  if (!resume_.empty()) {
    arguments.insert(arguments.end(), {"--resume", resume_});
  }
  return arguments;
}

std::vector<std::string> CommandLines::member(const MemberName& member, const std::string& coordinator,
                                              std::optional<std::uint64_t> kill_at, const std::string& proxy) const {
  const bool server = member.role == Role::server;
  std::vector<std::string> arguments = {(server ? programs_.server : programs_.worker).string(),
                                        "--config",
                                        config_file_,
                                        "--id",
                                        member.id,
                                        "--coordinator",
                                        coordinator,
                                        "--run-dir",
                                        run_dir_};
  if (server) {
    arguments.insert(arguments.end(), {"--bind", bind_endpoint(member.id)});
  }
  if (!proxy.empty()) {
    arguments.insert(arguments.end(), {"--proxy", proxy});
  }
  if (kill_at) {
    arguments.insert(arguments.end(), {"--kill-at", std::to_string(*kill_at)});
  }
  return arguments;
}

std::vector<ServerLoad> server_loads(const Config& config) {
  const auto tensors = model_tensors(config);
  check(tensors.ok(), "locate_inputs has found out how large the model is");
  const JobSpec job = make_job(config, *tensors);
  const BlockTable blocks(job.tensors, job.block_elements, job.tables);
  std::vector<std::string> ids;
  for (std::uint32_t i = 0; i < job.servers; ++i) {
    ids.push_back(fmt::format("server{}", i));
  }
  const Placement placement(ids, blocks, job.virtual_nodes, job.replicas);
  std::vector<ServerLoad> loads;
  for (std::uint32_t i = 0; i < job.servers; ++i) {
    const std::uint64_t bytes = value_bytes(blocks, placement.owned(i));
    loads.push_back({ids[i], placement.owned(i).size(), bytes, floats_per_element(job) * bytes, bytes * job.slices});
  }
  return loads;
}

std::string describe_plan(const Config& config, const CommandLines& command_lines) {
  const std::uint32_t batch = config.train.batch;
  std::string text =
      fmt::format("{}: 1 coordinator, {} servers, {} workers; {} iterations of {} slices of {}\n\n", config.name,
                  config.cluster.servers, config.cluster.total_workers(), config.train.iterations, config.train.slices,
                  batch == 0 ? "all samples" : fmt::format("{} samples", batch));
  text += fmt::format("{:<12} {:>8} {:>12} {:>12} {:>12}\n", "server", "blocks", "values", "memory", "in flight");
  for (const ServerLoad& load : server_loads(config)) {
    text += fmt::format("{:<12} {:>8} {:>12} {:>12} {:>12}\n", load.id, load.blocks, kibibytes(load.value_bytes),
                        kibibytes(load.model_bytes), kibibytes(load.in_flight_bytes));
  }
  for (const TableSpec& table : model_tables(config)) {
    const OptimizerSpec optimizer = make_job(config, {}).optimizer;
    text += fmt::format("table {}: grows with its rows, by {} a row on each of its {} holders\n", table.name,
                        size_text(sizeof(float) * table.width * (1 + optimizer.state_per_element())),
                        config.cluster.replicas);
  }
  text += "\nEndpoints (port 0: the system chooses one, which the view then names)\n";
  text += fmt::format("{:<12} {}\n", coordinator_id, command_lines.bind_endpoint(coordinator_id));
  for (const MemberName& member : members_of(config)) {
    text += fmt::format("{:<12} {}\n", member.id,
                        member.role == Role::server ? command_lines.bind_endpoint(member.id) : "connects only");
  }
  text += "\nCommands (CONTROL: the endpoint that the coordinator says when it is ready)\n";
  text += command_text(command_lines.coordinator("", passed_descriptor)) + "\n";
  for (const MemberName& member : members_of(config)) {
    const auto kills = kills_of(config, member.id);
    text +=
        command_text(command_lines.member(member, "CONTROL", kills.empty() ? std::nullopt : std::optional(kills[0])));
    text += "\n";
  }
  return text;
}

}  // namespace ringps
