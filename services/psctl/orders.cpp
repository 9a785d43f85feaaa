#include "services/psctl/orders.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "services/common/status_json.hpp"

namespace ringps {

std::vector<LauncherOrder> OrderBook::take_new(std::vector<LauncherOrder> orders) {
  std::erase_if(orders, [this](const LauncherOrder& order) { return order.number <= done_; });
  std::sort(orders.begin(), orders.end(),
            [](const LauncherOrder& a, const LauncherOrder& b) { return a.number < b.number; });
  if (!orders.empty()) {
    done_ = orders.back().number;
  }
  return orders;
}

NameSource::NameSource(const Config& config)
    : next_{{Role::server, config.cluster.servers}, {Role::worker, config.cluster.total_workers()}} {}

void NameSource::seen(Role role, const std::string& id) {
  if (const auto number = number_of(role, id)) {
    next_[role] = std::max(next_[role], *number + 1);
  }
}

std::string NameSource::next(Role role) {
  return fmt::format("{}{}", name_of(role), next_[role]++);
}

std::optional<std::uint64_t> number_of(Role role, const std::string& id) {
  const std::string_view prefix = name_of(role);
  if (!id.starts_with(prefix)) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  const char* const end = id.data() + id.size();
  const auto [stop, status] = std::from_chars(id.data() + prefix.size(), end, number);
  return status == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

}  // namespace ringps
