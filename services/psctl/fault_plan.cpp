#include "services/psctl/fault_plan.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "services/psctl/plan.hpp"

namespace ringps {
namespace {

/// Which random number of a fault is for what.
enum Purpose : std::uint64_t { gap, victim, other, way, role, length, strength, purposes };

constexpr std::array<std::string_view, 8> kind_names = {"kill", "pause", "resume", "cut",
                                                        "heal", "slow",  "add",    "drain"};

Duration duration_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

bool is_of(const std::string& id, Role role) {
  return id.starts_with(role == Role::server ? "server" : "worker");
}

bool uses_links(const Config& config) {
  return config.random_faults.uses_links() ||
         std::any_of(config.faults.begin(), config.faults.end(),
                     [](const FaultConfig& fault) { return !fault.cut.empty() || !fault.slow.empty(); });
}

}  // namespace

std::string_view name_of(FaultKind kind) {
  return kind_names[static_cast<std::size_t>(kind)];
}

FaultKind kind_of(const FaultConfig& fault) {
  const std::array<bool, 8> given = {!fault.kill.empty(),   !fault.pause.empty(), !fault.resume.empty(),
                                     !fault.cut.empty(),    !fault.heal.empty(),  !fault.slow.empty(),
                                     fault.add.has_value(), !fault.drain.empty()};
  return static_cast<FaultKind>(std::find(given.begin(), given.end() - 1, true) - given.begin());
}

bool is_self_kill(const FaultConfig& fault) {
  return fault.at_iteration && !fault.kill.empty() && fault.kill != coordinator_id;
}

FaultOrder order_of(const FaultConfig& fault) {
  FaultOrder order;
  order.kind = kind_of(fault);
  order.whom = fault.kill + fault.pause + fault.resume + fault.drain;  // one of them
  for (const auto* pair : {&fault.cut, &fault.heal, &fault.slow}) {
    if (pair->size() == 2) {
      order.link.from = (*pair)[0];
      order.link.to = (*pair)[1];
    }
  }
  order.link.one_way = fault.one_way;
  order.link.cut = order.kind == FaultKind::cut;
  order.link.delay = std::chrono::milliseconds(fault.delay_ms);
  order.link.bytes_per_second = fault.bytes_per_second;
  order.role = fault.add == FaultConfig::Added::worker ? Role::worker : Role::server;
  order.count = fault.count;
  if (fault.for_seconds) {
    order.lasts = duration_of(*fault.for_seconds);
  }
  order.at_iteration = fault.at_iteration;
  return order;
}

FaultPlan::FaultPlan(const Config& config) : settings_(config.random_faults), uses_links_(ringps::uses_links(config)) {
  std::copy_if(config.faults.begin(), config.faults.end(), std::back_inserter(scheduled_),
               [](const FaultConfig& fault) { return !is_self_kill(fault); });
  const std::uint64_t seed = settings_.seed.value_or(config.seed);
  const std::initializer_list<std::pair<FaultKind, double>> rates = {
      {FaultKind::kill, settings_.kills_per_minute}, {FaultKind::pause, settings_.pauses_per_minute},
      {FaultKind::cut, settings_.cuts_per_minute},   {FaultKind::slow, settings_.slowdowns_per_minute},
      {FaultKind::add, settings_.adds_per_minute},   {FaultKind::drain, settings_.drains_per_minute},
  };
  for (const auto& [kind, per_minute] : rates) {
    if (per_minute > 0) {
      random_.push_back({kind, per_minute / 60, KeyedRandom(seed, name_of(kind))});
      draw_next(random_.back());
    }
  }
}

void FaultPlan::draw_next(RandomSource& source) const {
  const double uniform = source.random.uniform(source.drawn * purposes + gap);
  source.next_s -= std::log(1 - uniform) / source.per_second;
  if (source.next_s > settings_.until_seconds.value_or(std::numeric_limits<double>::infinity())) {
    source.next_s = std::numeric_limits<double>::infinity();
  }
}

std::vector<FaultOrder> FaultPlan::take_due(double training_s, std::uint64_t iteration,
                                            std::vector<std::string> alive) {
  std::vector<FaultOrder> due;
  std::erase_if(scheduled_, [&](const FaultConfig& fault) {
    const bool is_due =
        fault.at_iteration ? iteration >= *fault.at_iteration : training_s >= fault.at_seconds.value_or(0);
    if (is_due) {
      due.push_back(order_of(fault));
    }
    return is_due;
  });
  std::sort(alive.begin(), alive.end());  // the same choice whoever was started first
  for (RandomSource& source : random_) {
    while (training_s >= source.next_s) {
      if (auto order = draw(source, alive)) {
        due.push_back(std::move(*order));
      }
      ++source.drawn;
      draw_next(source);
    }
  }
  return due;
}

/// Nothing where nobody can be chosen.
std::optional<FaultOrder> FaultPlan::draw(const RandomSource& source, const std::vector<std::string>& alive) const {
  const auto number = [&](Purpose purpose) { return source.drawn * purposes + purpose; };
  FaultOrder order;
  order.kind = source.kind;
  order.random = true;
  order.role = source.random.below(number(role), 2) == 0 ? Role::server : Role::worker;
  order.lasts = duration_of(2 * settings_.for_seconds * std::max(source.random.uniform(number(length)), 0.005F));
  if (source.kind == FaultKind::add) {
    return order;
  }
  if (source.kind == FaultKind::cut || source.kind == FaultKind::slow) {
    return draw_link(source, std::move(order), alive);
  }
  std::vector<std::string> candidates;
  for (const std::string& id : alive) {
    const bool may_leave = source.kind != FaultKind::drain || is_of(id, order.role);
    const bool is_coordinator = id == coordinator_id;
    if (may_leave && (!is_coordinator || settings_.coordinator)) {
      candidates.push_back(id);
    }
  }
  if (candidates.empty() || (source.kind == FaultKind::drain && candidates.size() < 2)) {
    return std::nullopt;
  }
  order.whom = candidates[source.random.below(number(victim), candidates.size())];
  return order;
}

/// Between a server or a worker, and somebody whom it speaks with.
std::optional<FaultOrder> FaultPlan::draw_link(const RandomSource& source, FaultOrder order,
                                               const std::vector<std::string>& alive) const {
  const auto number = [&](Purpose purpose) { return source.drawn * purposes + purpose; };
  std::vector<std::string> members;
  std::copy_if(alive.begin(), alive.end(), std::back_inserter(members),
               [](const std::string& id) { return id != coordinator_id; });
  if (members.empty()) {
    return std::nullopt;
  }
  order.link.from = members[source.random.below(number(victim), members.size())];
  std::vector<std::string> others;
  std::copy_if(alive.begin(), alive.end(), std::back_inserter(others), [&](const std::string& id) {
    return id != order.link.from && !(is_of(id, Role::worker) && is_of(order.link.from, Role::worker));
  });
  if (others.empty()) {
    return std::nullopt;
  }
  order.link.to = others[source.random.below(number(other), others.size())];
  const std::uint64_t ways = source.random.below(number(way), 3);  // both, there, back
  order.link.one_way = ways != 0;
  if (ways == 2) {
    std::swap(order.link.from, order.link.to);
  }
  order.link.cut = order.kind == FaultKind::cut;
  if (!order.link.cut) {
    const std::uint64_t extent = source.random.below(number(strength), 50) + 1;
    order.link.delay = std::chrono::milliseconds(extent);
    order.link.bytes_per_second = 20'000'000 / extent;
  }
  return order;
}

double FaultPlan::next_due_s() const {
  double next = std::numeric_limits<double>::infinity();
  for (const FaultConfig& fault : scheduled_) {
    next = fault.at_iteration ? next : std::min(next, fault.at_seconds.value_or(0));
  }
  for (const RandomSource& source : random_) {
    next = std::min(next, source.next_s);
  }
  return next;
}

}  // namespace ringps
