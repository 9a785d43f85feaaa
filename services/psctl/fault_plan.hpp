// When which fault is due: those of the configuration, and those drawn from a seed. Pure.
//
// A kill of a server or a worker at an iteration is not here: the process does it itself, to be exact (see kills_of).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libps/base/random.hpp"
#include "libps/config/config.hpp"
#include "libps/wire/messages.hpp"
#include "services/psctl/link_fault.hpp"

namespace ringps {

enum class FaultKind : std::uint8_t { kill, pause, resume, cut, heal, slow, add, drain };

std::string_view name_of(FaultKind kind);

/// The one action of an entry of the configuration.
FaultKind kind_of(const FaultConfig& fault);

/// Whether the process that it kills does it itself.
bool is_self_kill(const FaultConfig& fault);

/// Something to be done now.
struct FaultOrder {
  FaultKind kind = FaultKind::kill;
  std::string whom;               ///< kill, pause, resume, drain: the process
  LinkFault link;                 ///< cut, slow; of heal: only between whom
  Role role = Role::server;       ///< add
  std::uint32_t count = 1;        ///< add
  std::optional<Duration> lasts;  ///< pause, cut, slow; nothing: until it is ended by another order
  bool random = false;
  std::optional<std::uint64_t> at_iteration;  ///< where it was to be at an iteration
};

/// As an entry of the configuration says it.
FaultOrder order_of(const FaultConfig& fault);

class FaultPlan {
 public:
  explicit FaultPlan(const Config& config);

  /// Whether connections are to be led through a relay.
  bool uses_links() const { return uses_links_; }
  /// Whether anything is still to come.
  bool any() const { return !scheduled_.empty() || !random_.empty(); }

  /// What is due `training_s` seconds after training has begun, when `iteration` is complete. Random ones choose among
  /// `alive`: servers, workers and the coordinator, in any order.
  std::vector<FaultOrder> take_due(double training_s, std::uint64_t iteration, std::vector<std::string> alive);

  /// Seconds after the begin of training at which something is due, whatever the iteration; infinite: nothing.
  double next_due_s() const;

  /// What the configuration asks for and has not been due so far.
  const std::vector<FaultConfig>& left() const { return scheduled_; }

 private:
  /// Faults of one kind, at random moments: a Poisson process.
  struct RandomSource {
    FaultKind kind;
    double per_second;
    KeyedRandom random;
    std::uint64_t drawn = 0;  ///< so many have been due
    double next_s = 0;
  };

  void draw_next(RandomSource& source) const;
  std::optional<FaultOrder> draw(const RandomSource& source, const std::vector<std::string>& alive) const;
  std::optional<FaultOrder> draw_link(const RandomSource& source, FaultOrder order,
                                      const std::vector<std::string>& alive) const;

  const RandomFaultConfig settings_;
  const bool uses_links_;
  std::vector<FaultConfig> scheduled_;
  std::vector<RandomSource> random_;
};

}  // namespace ringps
