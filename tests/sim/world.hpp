// A simulated cluster under virtual time: one queue of events, one seed, the production cores.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "tests/sim/checker.hpp"
#include "tests/sim/checkers/requests.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/exact.hpp"
#include "tests/sim/exact_rows.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/reference.hpp"
#include "tests/sim/scenario.hpp"
#include "tests/sim/store.hpp"

namespace ringps::sim {

/// The connection of psctl to the coordinator.
inline const Route psctl_route = "psctl";

/// What came of a run.
struct Outcome {
  std::string promise;  ///< that was broken; empty: every promise was kept
  std::string how;
  Duration virtual_time{};
  std::uint64_t events = 0;
  std::uint64_t messages = 0;
  std::uint64_t lost_messages = 0;
  std::uint64_t views = 0;
  std::uint64_t rollbacks = 0;
  std::array<std::uint64_t, fault_kinds> faults{};  ///< that took place, by kind
};

using Listener = std::function<void(const std::string& line)>;

class World {
 public:
  /// `listener`: is told the story of the run, line by line; empty: nobody is.
  explicit World(const Scenario& scenario, Listener listener = {});
  ~World();

  Outcome run();

  // ---- for the processes and the network ----------------------------------------------------------------------------

  Time now() const { return now_; }
  Time local_time(const Host& host) const { return now_ + host.clock_offset; }
  const JobSpec& job() const { return scenario_.job; }
  const Scenario& scenario() const { return scenario_; }
  const Reference& reference() const { return reference_; }
  Store& store() { return store_; }
  Network& network() { return network_; }
  Dice& dice() { return dice_; }
  std::vector<Host>& hosts() { return hosts_; }
  Host& coordinator() { return hosts_.front(); }
  Host* find(const std::function<bool(const Host&)>& is_it);

  /// Runs `step` as a step of the process that is now on `host`: later if it is paused, not at all if it has ended.
  void after(Host& host, Duration delay, std::function<void()> step);
  /// Called before every effect of a process: the place where it may be struck down.
  void before_effect(Host& host);
  /// The same before a file is written.
  void before_write(Host& host);
  /// How long the host takes for what takes others `usual`.
  Duration pace(const Host& host, Duration usual) const { return now_ < host.slow_until ? usual * 10 : usual; }

  void note_request(const Host& server, const Route& from, const Message& message) {
    requests_.note(server, from, message);
  }
  void view_persisted(const View& view);
  void finish(RunState state, const std::string& text);
  template <class Method, class... Args>
  void witness(Method method, const Args&... args) {
    for (const auto& checker : checkers_) {
      ((*checker).*method)(args...);
    }
  }
  bool tells_story() const { return listener_ != nullptr; }
  void tell(const std::string& line) const;

 private:
  static constexpr HostIndex nobody = 0xFFFFFFFF;
  struct Event {
    Time at;
    std::uint64_t order = 0;  ///< events of one moment take place in the order in which they were planned
    HostIndex host = nobody;
    std::uint32_t life = 0;
    std::function<void()> step;
    bool alarm = false;  ///< the process wanted to be woken up
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };

  void plan(Time at, HostIndex host, std::uint32_t life, std::function<void()> step);
  void take_step(Event event);
  void start(Host& host);
  void take_down(Host& host, std::optional<Duration> back_after);
  void set_alarm(Host& host);
  void strike(const Fault& fault);
  void crash(Host& host, const Fault& fault);
  bool may_go_for_good(const Host& host) const;
  bool is_there_from_the_start(const Host& host) const;
  bool may_join(const Host& host) const;
  void drain(Host& host);
  void replace(Host& host, Time until);
  void flood(Host& host);
  void end_faults();
  void prepare_resume();
  void note_lost_slices(const View& view);
  std::string who_waits() const;

  const Scenario& scenario_;
  const Listener listener_;
  const Reference reference_;
  const Exact exact_;
  const ExactRows exact_rows_;
  Store store_;
  Requests requests_;
  Evidence evidence_;
  std::vector<std::unique_ptr<Checker>> checkers_;
  Network network_;
  Dice dice_;
  std::vector<Host> hosts_;
  std::priority_queue<Event, std::vector<Event>, Later> events_;
  Time now_;
  std::uint64_t planned_ = 0;
  std::uint64_t lives_ = 0;
  std::uint64_t drains_ = 0;
  bool finished_ = false;
  Outcome outcome_;
};

}  // namespace ringps::sim
