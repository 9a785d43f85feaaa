// A host runs one process at a time; the process is the real core with the thin shell that a real program puts around
// it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "libps/base/time.hpp"
#include "libps/core/member.hpp"
#include "libps/core/shard.hpp"

namespace ringps::sim {

using HostIndex = std::uint32_t;

/// One life of a coordinator, server or worker. Deleted when it ends, whatever it was about to do.
class Process {
 public:
  Process() = default;
  virtual ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  virtual void start() = 0;
  /// `from`: the connection that it came by, where this process bound the socket.
  virtual void on_message(const Route& from, Message message) = 0;
  virtual void on_tick() = 0;
  virtual Time next_deadline() const = 0;
  virtual std::string waiting_for() const = 0;
  /// A connection from here to `server` has broken.
  virtual void on_disconnected(const std::string& /*server*/, Incarnation) {}
};

struct Host {
  HostIndex index = 0;
  Role role = Role::coordinator;
  std::string name;
  std::string label;  ///< in stories: the name, with a dash if it is the second host of that name

  std::unique_ptr<Process> process;  ///< null: nothing runs here now
  std::uint32_t life = 0;            ///< counts processes, so that what was meant for an earlier one goes nowhere
  Incarnation incarnation;
  Duration clock_offset{};  ///< each life's clock starts somewhere else
  bool subscribed = false;  ///< to the coordinator's broadcasts
  bool gone_for_good = false;
  bool asked_to_go = false;  ///< psctl has asked to drain it
  bool replaced = false;     ///< a process of the same name was started elsewhere: this host starts none any more

  Time paused_until;
  Time slow_until;
  std::optional<std::uint32_t> effects_to_live;
  bool disk_fails = false;
  std::uint64_t wake_token = 0;
  Time wake_at = time_never;
};

/// Thrown where a process ends in the middle of a step; nothing of the step that is still to come happens.
struct Gone {
  std::optional<Duration> back_after;  ///< nothing: for good
};

}  // namespace ringps::sim
