// What is wrong with connections between processes, and which of them it concerns. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libps/base/time.hpp"

namespace ringps {

/// Between `from` and `to`, each a process or a group (coordinator, servers, workers, all); unless one_way, also back.
struct LinkFault {
  std::string from;
  std::string to;
  bool one_way = false;
  bool cut = false;                    ///< nothing comes through, and nobody is told
  Duration delay{};                    ///< otherwise: each byte is this late
  std::uint64_t bytes_per_second = 0;  ///< 0: as fast as it goes

  friend bool operator==(const LinkFault&, const LinkFault&) = default;
};

/// What all faults together make of one direction between two processes.
struct LinkState {
  bool cut = false;
  Duration delay{};
  std::uint64_t bytes_per_second = 0;
};

/// Whether `name` (a process or a group) means the process `id`.
bool means(std::string_view name, std::string_view id);

/// Whether everybody that `name` means is also meant by `wider`.
bool covers(std::string_view wider, std::string_view name);

LinkState state_of(const std::vector<LinkFault>& faults, std::string_view sender, std::string_view receiver);

/// Whether healing what is between `a` and `b` ends `fault`.
bool heals(std::string_view a, std::string_view b, const LinkFault& fault);

}  // namespace ringps
