// What must hold, always: one checker per promise of section 9 of the design. The world tells them everything that
// happens, right when it happens; a broken promise ends the run.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "libps/core/client.hpp"
#include "libps/core/coordinator.hpp"
#include "libps/core/shard.hpp"
#include "tests/sim/store.hpp"

namespace ringps::sim {

class Exact;
class ExactRows;
class Reference;
class Requests;
struct Host;

struct Violation : std::runtime_error {
  Violation(std::string broken, const std::string& how) : std::runtime_error(how), promise(std::move(broken)) {}
  std::string promise;  ///< its number in section 9 of the design, and its words in brackets
};

/// What all checkers may look at.
struct Evidence {
  const JobSpec& job;
  const Reference& reference;  ///< of bsp
  const Exact& exact;          ///< of asynchronous modes
  const ExactRows& exact_rows;
  const Store& store;
  const Requests& requests;
  Iteration resume_from;
  std::uint32_t workers;  ///< that there may be at one time
  bool bits_hold = true;  ///< false once a server with slices of its own was lost: then they go with it
};

class Checker {
 public:
  explicit Checker(const Evidence& evidence) : evidence_(evidence) {}
  virtual ~Checker() = default;
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  virtual void on_persisted(const View&) {}
  virtual void on_sent(const Host&, const Message&) {}
  /// A member's data side has taken a view.
  virtual void on_adopted(const Host&, const View&) {}
  /// A message has arrived at a shard, and what came of it.
  virtual void before_shard_message(const Host&, const Message&, const Shard&) {}
  virtual void after_shard_message(const Host&, const Message&, const Shard&, const Shard::Effects&) {}
  /// A message has arrived at a client that was in `epoch`, and what came of it.
  virtual void after_client_message(const Host&, const Message&, Epoch /*epoch*/, const ClientCore::Effects&) {}
  /// A client in an asynchronous mode has taken a gradient, and sends it, perhaps more than once.
  virtual void on_gradient(const Host&, Iteration, SliceId, const Floats&) {}
  virtual void on_pushed(const Host&, const Message&) {}
  virtual void on_shard_step(const Host&, const Shard&) {}
  /// A shard answers whoever is connected by `to`.
  virtual void on_answered(const Host&, const Route& /*to*/, const Message&) {}
  virtual void on_reached(const Host&, const Weights&) {}
  virtual void on_committed(const Manifest&) {}
  virtual void on_restore(const Host&, const Restore&) {}
  /// psctl asks the coordinator to drain a member, and the coordinator answers psctl.
  virtual void on_drain_asked(RequestId, const std::string& /*id*/) {}
  virtual void on_psctl_told(const Message&) {}
  /// The coordinator starts, is woken up (null) or has a message, at that time of its own clock.
  virtual void before_coordinator_step(Time, const Message*) {}
  virtual void on_coordinator_started(const Coordinator&) {}
  virtual void on_finished(RunState, const std::string&) {}

 protected:
  const Evidence& evidence_;
};

/// All of them.
std::vector<std::unique_ptr<Checker>> make_checkers(const Evidence& evidence);

[[noreturn]] inline void violated(const std::string& promise, const std::string& how) {
  throw Violation(promise, how);
}

}  // namespace ringps::sim
