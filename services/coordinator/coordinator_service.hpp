// The coordinator process: the core behind a ROUTER and a PUB socket, with its journal, manifests and metrics on disk.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "libps/core/coordinator.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/net/socket.hpp"
#include "libps/role/role.hpp"
#include "libps/storage/journal.hpp"

namespace ringps {

class CoordinatorService {
 public:
  struct Options {
    RoleOptions role;
    std::string resume;  ///< folder of a checkpoint to start from; empty: none
    int ready_fd = -1;   ///< one line of JSON with the endpoints goes there as soon as they are bound
  };

  CoordinatorService(const Job& job, Options options);

  /// Opens the journal, binds the sockets, and says where they are.
  Result<void> open();
  /// Until the run is over and everybody has left. Returns the exit code.
  int run();

 private:
  std::filesystem::path metrics_file() const { return std::filesystem::path(options_.role.run_dir) / "metrics.jsonl"; }
  Result<Coordinator::Start> find_start() const;
  Result<std::optional<Coordinator::Recovered>> recover();
  Result<void> announce(const std::string& control, const std::string& broadcast) const;
  void leave_last_status() const;
  void receive_all();
  void carry_out();
  Result<void> carry_out(const Coordinator::Effect& effect);
  Result<void> commit_checkpoint(const Coordinator::CommitCheckpoint& order);
  Result<void> record(const Coordinator::Record& measured);

  const Job& job_;
  const Options options_;
  const std::filesystem::path checkpoints_;
  SignalDescriptor signals_;
  zmq::context_t context_;
  RouterSocket router_;
  PublisherSocket publisher_;
  std::optional<Journal> journal_;
  std::ofstream metrics_;
  Incarnation incarnation_;
  std::optional<Coordinator> core_;
  Coordinator::Effects effects_;
  std::optional<Coordinator::Exit> exit_;
};

}  // namespace ringps
