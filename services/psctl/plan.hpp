// What a run consists of, before anything is started: programs, ids, endpoints, command lines, placement, memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

inline constexpr const char* coordinator_id = "coordinator";

/// The programs of the roles.
struct Programs {
  std::filesystem::path coordinator;
  std::filesystem::path server;
  std::filesystem::path worker;
};

/// Those that lie beside this program; the worker's is `worker_program` unless that is empty.
Result<Programs> find_programs(const std::string& worker_program = "");

/// A server or a worker.
struct MemberName {
  Role role = Role::server;
  std::string id;
};

/// All servers, then all workers that a run starts with.
std::vector<MemberName> members_of(const Config& config);

/// The server whose worker this is. Only with WorkerScope::server.
std::string home_of(const Config& config, const std::string& worker);

/// The iterations at which faults kill `id`, in order: the first is for its first life, and so on.
std::vector<std::uint64_t> kills_of(const Config& config, const std::string& id);

/// Command lines of one run's processes.
class CommandLines {
 public:
  /// `socket_dir`: folder of the sockets with transport ipc. `resume`: folder of a checkpoint, or empty.
  CommandLines(const Config& config, Programs programs, const std::filesystem::path& config_file,
               const std::filesystem::path& run_dir, std::filesystem::path socket_dir, std::string resume);

  /// `bind`: where an earlier life of it listened, or empty.
  std::vector<std::string> coordinator(const std::string& bind, int ready_descriptor) const;
  /// `proxy`: through which it is to connect, or empty.
  std::vector<std::string> member(const MemberName& member, const std::string& coordinator,
                                  std::optional<std::uint64_t> kill_at, const std::string& proxy = "") const;
  /// Where `id` listens; port 0: the system chooses.
  std::string bind_endpoint(const std::string& id) const;

 private:
  ClusterConfig::Transport transport_;
  std::string host_;
  Programs programs_;
  std::string config_file_;
  std::string run_dir_;
  std::filesystem::path socket_dir_;
  std::string resume_;
};

/// Bytes that a server needs for its part of the model.
struct ServerLoad {
  std::string id;
  std::uint64_t blocks = 0;
  std::uint64_t value_bytes = 0;      ///< of one version
  std::uint64_t model_bytes = 0;      ///< versions kept, with optimizer state
  std::uint64_t in_flight_bytes = 0;  ///< contributions that may wait for others
};

std::vector<ServerLoad> server_loads(const Config& config);

/// What `psctl run --dry-run` prints.
std::string describe_plan(const Config& config, const CommandLines& command_lines);

}  // namespace ringps
