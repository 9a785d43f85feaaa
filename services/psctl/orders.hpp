// What a running launcher is asked to do: orders that come with the coordinator's status, and names for processes that
// are added. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "libps/config/config.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// The coordinator shows an order in each status until it hears that it is done. Here each is taken once.
class OrderBook {
 public:
  /// Those that have not been taken before, in the order of their numbers.
  std::vector<LauncherOrder> take_new(std::vector<LauncherOrder> orders);
  /// Number of the last one that was taken: what GetStatus::orders_done says.
  std::uint64_t done() const { return done_; }

 private:
  std::uint64_t done_ = 0;
};

/// Names processes that join a run: with the next number that nobody of the role has had in it.
class NameSource {
 public:
  explicit NameSource(const Config& config);

  /// Nobody else may be called so.
  void seen(Role role, const std::string& id);
  std::string next(Role role);

 private:
  std::map<Role, std::uint64_t> next_;
};

/// "server4" has 4; nothing where the name does not begin with `role`'s, or does not end in a plain number.
std::optional<std::uint64_t> number_of(Role role, const std::string& id);

}  // namespace ringps
