// Bounds on everything that arrives from the network. What exceeds them is refused and counted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringps::limits {

/// A message's msgpack header. The largest is a view of some thousand members or a list of scattered blocks.
inline constexpr std::size_t header_bytes_max = 2U << 20U;
/// A message's payload; `cluster.message_bytes` may not ask for more.
inline constexpr std::size_t payload_bytes_max = 32U << 20U;

inline constexpr std::size_t name_bytes_max = 256;       ///< ids, cluster names, endpoints
inline constexpr std::size_t text_bytes_max = 16384;     ///< causes, error texts, paths
inline constexpr std::size_t list_entries_max = 262144;  ///< entries of any list

}  // namespace ringps::limits
