// One simulated run before it starts: the job, the network's manners and the faults, all from one seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/core/job.hpp"

namespace ringps::sim {

/// How messages fare. Times are for one message.
struct NetworkManners {
  bool ordered = true;        ///< as TCP: within a connection nothing is overtaken, and lost only when it breaks
  double loss = 0;            ///< of any message; only without order
  double duplication = 0;     ///< the same
  double broadcast_loss = 0;  ///< of a PUB message, per subscriber
  double straggler = 0;       ///< how often a message takes up to delay_max rather than delay_usual
  Duration delay_usual{};
  Duration delay_max{};
};

enum class FaultKind : std::uint8_t {
  crash,              ///< a process ends at once; another comes back after `length`, or never
  crash_in_effects,   ///< the same, but between two effects of one step
  crash_all_servers,  ///< all at once, and all come back
  pause,              ///< a process does nothing for `length`, then goes on as if nothing had been
  slow,               ///< a process takes longer for everything for `length`
  reconnect,          ///< a connection breaks and is made anew; what was on its way is lost
  cut,                ///< two hosts cannot reach each other for `length`
  cut_one_way,        ///< nothing comes from `host` to `other` for `length`
  isolate,            ///< a host can reach nobody, and nobody it, for `length`
  clock_jump,         ///< a process's clock leaps ahead by `length`
  disk_fails,         ///< the next file that a process writes is torn, and the process ends
  join,               ///< a server or worker more
  replace,            ///< a second process of the same name is started elsewhere, `host` cannot reach the coordinator
  flood,              ///< messages of a view that never comes reach a server, more than it may keep
  drain,              ///< psctl asks the coordinator to drain a server or worker
};
inline constexpr std::size_t fault_kinds = 15;
const char* name_of(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::crash;
  Duration at{};            ///< after the start of the run
  std::uint32_t host = 0;   ///< index as in World: the coordinator, then servers, then workers, those to come included
  std::uint32_t other = 0;  ///< reconnect and cut: the other end
  Duration length{};
  bool for_good = false;      ///< crash: nobody comes back
  std::uint32_t effects = 0;  ///< crash_in_effects: how many effects are still carried out
};

struct Scenario {
  std::uint64_t seed = 0;
  JobSpec job;
  Iteration resume_from;  ///< 0: the run starts from the initialisers, else from a checkpoint of this version
  NetworkManners network;
  Duration compute_time{};  ///< of one gradient, at most
  Duration disk_time{};     ///< of one file, at most
  std::vector<Fault> faults;
  std::uint32_t more_servers = 0;  ///< hosts for those that join later
  std::uint32_t more_workers = 0;
  Duration faults_end{};  ///< after it nothing is lost and nobody fails
};

/// A pure function of the seed.
Scenario make_scenario(std::uint64_t seed);

/// Of the host with that index in the world: the coordinator, then the servers, then the workers.
std::string host_name(const Scenario& scenario, std::uint32_t host);

/// "crash of server1, which comes back after 0.2 s".
std::string describe(const Scenario& scenario, const Fault& fault);

std::string summary(const Scenario& scenario);

}  // namespace ringps::sim
