// Who computes which slice, and which slices contribute to which server. Pure arithmetic on names and numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "libps/core/job.hpp"
#include "libps/ring/view.hpp"

namespace ringps {

/// The number at the end of a name ("server12" → 12).
std::optional<std::uint32_t> ordinal(std::string_view name);

/// Orders names as people do: server2 before server10.
bool natural_less(std::string_view a, std::string_view b);

/// The number of the server that a slice belongs to; only with WorkerScope::server.
std::uint32_t home_of(const JobSpec& job, SliceId slice);
/// The number of the server that a worker belongs to; only with WorkerScope::server.
std::uint32_t home_of(const JobSpec& job, std::string_view worker);

/// Whether `slice` contributes to the blocks of `server`.
bool contributes(const JobSpec& job, SliceId slice, std::string_view server);

/// Factor of the sum of all contributions: their average, or with WorkerScope::server their sum.
float reduction_scale(const JobSpec& job);

/// View::slice_worker for `next`'s servers and workers. Workers keep the slices that they have in `before`; the others
/// are spread so that nobody has two more than anybody else. With WorkerScope::server a slice of an absent server is
/// nobody's, and slices go to workers of their own server as long as there are any.
std::vector<std::uint32_t> assign_slices(const JobSpec& job, const View& before, const View& next);

}  // namespace ringps
