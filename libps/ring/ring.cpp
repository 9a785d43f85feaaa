#include "libps/ring/ring.hpp"

#include <algorithm>

#include "libps/base/check.hpp"
#include "libps/base/sha256.hpp"

namespace ringps {

std::uint64_t ring_point(std::string_view text) {
  const Sha256Digest digest = sha256_of(text);
  std::uint64_t position = 0;
  for (std::size_t i = 0; i < sizeof position; ++i) {
    position = (position << 8U) | digest[i];
  }
  return position;
}

Ring::Ring(const std::vector<std::string>& servers, std::uint32_t virtual_nodes)
    : servers_(static_cast<std::uint32_t>(servers.size())) {
  check(!servers.empty() && virtual_nodes > 0, "a ring has servers and points");
  points_.reserve(servers.size() * virtual_nodes);
  for (std::uint32_t s = 0; s < servers_; ++s) {
    for (std::uint32_t i = 0; i < virtual_nodes; ++i) {
      points_.push_back({ring_point(servers[s] + std::to_string(i)), s});
    }
  }
  std::sort(points_.begin(), points_.end(), [&](const Point& a, const Point& b) {
    return a.position != b.position ? a.position < b.position : servers[a.server] < servers[b.server];
  });
}

std::size_t Ring::first_after(std::uint64_t position) const {
  const auto after = std::upper_bound(points_.begin(), points_.end(), position,
                                      [](std::uint64_t p, const Point& point) { return p < point.position; });
  return after == points_.end() ? 0 : static_cast<std::size_t>(after - points_.begin());
}

std::uint32_t Ring::owner(std::string_view key) const {
  return points_[first_after(ring_point(key))].server;
}

std::vector<std::uint32_t> Ring::replicas(std::uint64_t position, std::uint32_t count) const {
  std::vector<std::uint32_t> found;
  const std::size_t wanted = std::min(count, servers_);
  for (std::size_t i = first_after(position); found.size() < wanted; i = (i + 1) % points_.size()) {
    if (std::find(found.begin(), found.end(), points_[i].server) == found.end()) {
      found.push_back(points_[i].server);
    }
  }
  return found;
}

}  // namespace ringps
