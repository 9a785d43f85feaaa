// Carries out the faults that are due, ends those that last for a while, and keeps a record of each. What it does to
// processes and connections goes through the hands that it is given.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/wire/messages.hpp"
#include "services/psctl/fault_plan.hpp"

namespace ringps {

/// One fault as it took place, or why it did not.
struct Injection {
  FaultOrder order;
  std::vector<std::string> ids;  ///< the processes that it was done to, or names of those that a link joins
  std::uint64_t iteration = 0;   ///< the newest that was known to be complete
  Time at;
  std::optional<Time> over;     ///< of a pause, cut or slowness: when it ended
  std::optional<Time> noticed;  ///< of add and drain: when a view first said so
  std::optional<Time> done;     ///< of add and drain: when a settled view was without, or with, all of them
  std::string not_done;         ///< why it did not take place; empty: it did
};

/// Not thread-safe.
class FaultInjector {
 public:
  struct Hands {
    /// False: there is no such process.
    std::function<bool(const std::string& id, int signal)> send_signal;
    std::function<std::vector<std::string>()> alive;
    /// The names that the new processes have.
    std::function<std::vector<std::string>(Role role, std::uint32_t count)> add;
    /// Asks the coordinator, until it has answered (see on_drain_answer).
    std::function<void(const std::string& id)> drain;
    std::function<void(std::vector<LinkFault> faults)> set_links;
    std::function<void(const std::string& text)> say;
  };

  FaultInjector(const Config& config, Hands hands) : plan_(config), hands_(std::move(hands)) {}

  bool uses_links() const { return plan_.uses_links(); }
  /// Whether the status has to be asked for often: something waits for an iteration, or is to be timed.
  bool is_watchful() const { return plan_.any() || !injections_.empty(); }

  bool is_finished() const { return finished_; }

  void on_status(Time now, const Status& status);
  void on_drain_answer(const std::string& id, const std::string& refusal);
  void on_tick(Time now);
  Time next_deadline() const;
  /// Ends all that lasts, so that the run can end in good order; nothing is done from now on.
  void finish(Time now);

  /// In the order in which they were due. Those of the configuration that never were come last, with the reason.
  std::vector<Injection> injections() const;

 private:
  void carry_out(Time now, const FaultOrder& order);
  void pause(Time now, Injection& injection);
  void resume(Time now, Injection& injection);
  void heal(Time now, Injection& injection);
  void end(Time now, Injection& injection);
  void set_links();
  void watch_members(Time now, const View& view);

  FaultPlan plan_;
  const Hands hands_;
  std::vector<Injection> injections_;
  std::optional<Time> training_began_;
  std::uint64_t iteration_ = 0;
  std::vector<std::string> retired_;  ///< of the newest view
  bool finished_ = false;
};

}  // namespace ringps
