// A server's disk, on a thread of its own: training does not wait for it.
#pragma once

#include <filesystem>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "libps/core/shard.hpp"
#include "libps/net/mailbox.hpp"

namespace ringps {

class Disk {
 public:
  struct Written {
    BlocksWritten report;
  };
  struct Restored {
    Epoch restore_epoch;
    std::vector<BlockState> states;
  };
  struct RestoreFailed {
    Epoch restore_epoch;
    std::string text;
  };
  struct Broken {  ///< the run cannot go on
    std::string text;
  };
  using Done = std::variant<Written, Restored, RestoreFailed, Broken>;

  Disk(const JobSpec& job, const BlockTable& table, ServerId server, Incarnation incarnation,
       std::filesystem::path checkpoints);
  /// Finishes what is under way, drops what is not.
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  void start(Shard::WriteCheckpoint order) { orders_.put(std::move(order)); }
  void start(Shard::RestoreBlocks order) { orders_.put(std::move(order)); }

  int descriptor() const { return done_.descriptor(); }
  std::vector<Done> take_done() { return done_.take_all(); }

 private:
  struct Quit {};
  using Order = std::variant<Shard::WriteCheckpoint, Shard::RestoreBlocks, Quit>;

  void run();
  Done write(Shard::WriteCheckpoint order) const;
  Done restore(const Shard::RestoreBlocks& order) const;

  const JobSpec& job_;
  const BlockTable& table_;
  const ServerId server_;
  const Incarnation incarnation_;
  const std::filesystem::path checkpoints_;
  Mailbox<Order> orders_;
  Mailbox<Done> done_;
  std::thread thread_;  ///< last: it uses all the others
};

}  // namespace ringps
