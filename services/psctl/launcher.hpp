// Runs a cluster on this host: starts the processes, watches them, starts again what is needed, ends them all.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "libps/base/time.hpp"
#include "libps/config/config.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/net/socket.hpp"
#include "libps/role/role.hpp"
#include "services/psctl/fault_injector.hpp"
#include "services/psctl/fault_records.hpp"
#include "services/psctl/lives.hpp"
#include "services/psctl/orders.hpp"
#include "services/psctl/plan.hpp"
#include "services/psctl/process.hpp"
#include "services/psctl/progress.hpp"
#include "services/psctl/relay.hpp"
#include "services/psctl/run_dir.hpp"

namespace ringps {

/// A status of the coordinator's, and when it came.
struct StatusSample {
  Status status;
  Time at;
};

/// How a run ended.
struct Outcome {
  ExitCode code = exit_done;
  std::string text;  ///< why, unless it is done
  double wall_seconds = 0;
  std::vector<Life> lives;
  std::vector<SeenFailure> failures;
  std::vector<Injection> injections;
  std::vector<ProgressPoint> progress;
};

/// Not thread-safe. One run per object.
class Launcher {
 public:
  /// All of these outlive the launcher. SIGINT and SIGTERM come through `signals`.
  Launcher(const Config& config, const RunDir& run_dir, const CommandLines& command_lines, ProgressReporter& reporter,
           SignalDescriptor& signals);

  /// `watcher` is called with every status that comes.
  void watch(std::function<void(const Status&)> watcher) { watcher_ = std::move(watcher); }

  /// Returns when the run is over and no process is left.
  Outcome run();

 private:
  static constexpr Duration ready_patience = std::chrono::seconds(15);

  struct Child {
    std::size_t life;  ///< index in lives_
    ChildProcess process;
  };
  enum class Phase : std::uint8_t {
    starting,  ///< until the coordinator is ready
    running,
    stopping,     ///< the coordinator has been asked to end the run
    leaving,      ///< the coordinator has gone; the others should follow
    terminating,  ///< SIGTERM sent
    killing,      ///< SIGKILL sent
  };

  void start_coordinator();
  void start_member(const MemberName& member);
  void start(Role role, const std::string& id, const std::vector<std::string>& arguments,
             std::optional<std::uint64_t> kill_at, int pass);
  void on_coordinator_ready();
  void turn();
  void on_signal(int signal);
  void on_message(const Message& message);
  void on_status(const Status& status);
  void carry_out(const LauncherOrder& order);
  std::vector<std::string> add(Role role, std::uint32_t count);
  bool send_signal(const std::string& id, int signal);

  FaultInjector::Hands hands();
  bool lead_connections();
  void name_endpoints(const Status& status);
  void help_self_kills(const Status& status);
  void keep_progress(const Status& status);
  void on_drain_answer(RequestId request, const std::string& refusal);
  void reap();
  void on_end(std::size_t index);
  void on_death(const Life& life);
  void on_exit(std::size_t index);
  void judge_exits();
  bool is_retired(const std::string& id) const;
  void restart(const Life& life);

  void fail(ExitCode code, std::string text);
  void ask_to_stop(const std::string& cause);
  void enter(Phase phase, Duration patience);
  void escalate();
  void poll_status();
  bool is_watchful() const;
  RequestId send(Body body);
  void send(Body body, RequestId request);
  void write_processes();
  Outcome outcome() const;
  bool is_over() const { return phase_ >= Phase::stopping; }

  const Config& config_;
  const RunDir& run_dir_;
  const CommandLines& command_lines_;
  ProgressReporter& reporter_;
  SignalDescriptor& signals_;
  std::function<void(const Status&)> watcher_ = [](const Status&) {};
  zmq::context_t context_ = make_context();
  const Time started_;
  const Incarnation incarnation_;

  std::vector<Life> lives_;  ///< in order of their beginning
  std::vector<Child> children_;
  std::map<std::string, RestartBudget> budgets_;
  OrderBook orders_;
  NameSource names_;
  FaultInjector faults_;
  std::unique_ptr<Relay> relay_;              ///< null: connections are direct
  std::map<std::string, std::string> named_;  ///< id by endpoint, as the relay knows them
  std::map<std::string, RequestId> drains_;   ///< asked for by faults, and not yet answered
  std::vector<ProgressPoint> progress_;       ///< what statuses have said
  std::optional<DealerSocket> coordinator_;
  std::string control_;   ///< the coordinator's endpoint, once it is known
  FileDescriptor ready_;  ///< from which the coordinator's first word comes
  std::string ready_text_;

  Phase phase_ = Phase::starting;
  Time phase_deadline_;
  Time next_poll_;
  RequestId last_request_;
  Time last_poll_;
  bool poll_answered_ = false;
  std::string stop_cause_;
  std::optional<ExitCode> code_;  ///< set by the first thing that decides how the run ends
  std::string text_;
  std::optional<ProcessExit> coordinator_exit_;
  std::vector<std::size_t> doubtful_exits_;  ///< lives of members that ended with an error, perhaps with the run
  Epoch seen_epoch_;
  std::optional<StatusSample> last_status_;
  FailureLog failures_;
};

}  // namespace ringps
