// The consistent-hash ring: servers at many points, a key belongs to the first point clockwise of its own hash.
// Source: Karger et al. 1997; the points are those of the system that this one succeeds, so placements are identical.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringps {

/// Position of a text on the ring: the first 64 bits, big-endian, of its SHA-256.
std::uint64_t ring_point(std::string_view text);

/// Immutable. Servers are known by their index in the list that the ring was made from.
class Ring {
 public:
  /// Server `id` stands at ring_point(id + decimal index) for index 0 … virtual_nodes - 1.
  /// `servers` is not empty and without duplicates; virtual_nodes > 0.
  Ring(const std::vector<std::string>& servers, std::uint32_t virtual_nodes);

  /// The server of the first point strictly greater than the key's, else of the first point of all.
  std::uint32_t owner(std::string_view key) const;

  /// The owner, then the next distinct servers clockwise: min(count, servers) of them.
  std::vector<std::uint32_t> replicas(std::string_view key, std::uint32_t count) const {
    return replicas(ring_point(key), count);
  }
  /// The same for a key at `position`.
  std::vector<std::uint32_t> replicas(std::uint64_t position, std::uint32_t count) const;

 private:
  struct Point {
    std::uint64_t position;
    std::uint32_t server;
  };

  std::size_t first_after(std::uint64_t position) const;

  std::vector<Point> points_;  ///< ascending; equal positions in order of the servers' names
  std::uint32_t servers_;
};

}  // namespace ringps
