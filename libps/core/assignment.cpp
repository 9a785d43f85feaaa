#include "libps/core/assignment.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace ringps {
namespace {

/// Spreads `slices` evenly over `workers` (indices in the view), leaving as many as possible where they are.
void spread(const std::vector<std::uint32_t>& slices, const std::vector<std::uint32_t>& workers,
            std::vector<std::uint32_t>& slice_worker) {
  if (workers.empty()) {
    return;
  }
  std::vector<std::vector<std::uint32_t>> load(workers.size());
  std::vector<std::uint32_t> orphans;
  for (const std::uint32_t slice : slices) {
    const auto at = std::find(workers.begin(), workers.end(), slice_worker[slice]);
    (at == workers.end() ? orphans : load[static_cast<std::size_t>(at - workers.begin())]).push_back(slice);
  }
  const auto by_size = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  for (const std::uint32_t slice : orphans) {
    std::min_element(load.begin(), load.end(), by_size)->push_back(slice);
  }
  for (;;) {
    const auto most = std::max_element(load.begin(), load.end(), by_size);
    const auto least = std::min_element(load.begin(), load.end(), by_size);
    if (most->size() <= least->size() + 1) {
      break;
    }
    least->push_back(most->back());
    most->pop_back();
  }
  for (std::size_t w = 0; w < workers.size(); ++w) {
    for (const std::uint32_t slice : load[w]) {
      slice_worker[slice] = workers[w];
    }
  }
}

}  // namespace

std::optional<std::uint32_t> ordinal(std::string_view name) {
  const std::size_t digits = name.find_last_not_of("0123456789") + 1;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data() + digits, name.data() + name.size(), number);
  if (digits == name.size() || error != std::errc{} || end != name.data() + name.size()) {
    return std::nullopt;
  }
  return number;
}

bool natural_less(std::string_view a, std::string_view b) {
  const auto stem = [](std::string_view name) { return name.substr(0, name.find_last_not_of("0123456789") + 1); };
  if (stem(a) != stem(b)) {
    return a < b;
  }
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

std::uint32_t home_of(const JobSpec& job, SliceId slice) {
  return slice.value / job.slices_per_server();
}

std::uint32_t home_of(const JobSpec& job, std::string_view worker) {
  const std::uint32_t per_server = std::max(job.workers / job.servers, 1U);
  return ordinal(worker).value_or(0) / per_server % job.servers;
}

bool contributes(const JobSpec& job, SliceId slice, std::string_view server) {
  return job.worker_scope == WorkerScope::all || ordinal(server) == home_of(job, slice);
}

float reduction_scale(const JobSpec& job) {
  return job.worker_scope == WorkerScope::all ? 1.0F / static_cast<float>(job.slices) : 1.0F;
}

std::vector<std::uint32_t> assign_slices(const JobSpec& job, const View& before, const View& next) {
  if (next.workers.size() < job.min_workers) {
    return std::vector<std::uint32_t>(job.slices, no_worker);
  }
  // Start from who had what, by name and incarnation: indices differ from view to view.
  std::vector<std::uint32_t> slice_worker(job.slices, no_worker);
  for (std::uint32_t s = 0; s < before.slice_worker.size() && s < job.slices; ++s) {
    if (before.slice_worker[s] != no_worker) {
      const WorkerMember& worker = before.workers[before.slice_worker[s]];
      const auto index = next.worker_index(worker.id.value);
      if (index && next.workers[*index] == worker) {
        slice_worker[s] = *index;
      }
    }
  }
  std::vector<std::uint32_t> everybody(next.workers.size());
  for (std::uint32_t w = 0; w < everybody.size(); ++w) {
    everybody[w] = w;
  }
  if (job.worker_scope == WorkerScope::all) {
    std::vector<std::uint32_t> slices(job.slices);
    for (std::uint32_t s = 0; s < job.slices; ++s) {
      slices[s] = s;
    }
    spread(slices, everybody, slice_worker);
    return slice_worker;
  }
  for (std::uint32_t home = 0; home < job.servers; ++home) {
    std::vector<std::uint32_t> slices;
    for (std::uint32_t s = home * job.slices_per_server(); s < (home + 1) * job.slices_per_server(); ++s) {
      slices.push_back(s);
    }
    const bool present = std::any_of(next.servers.begin(), next.servers.end(),
                                     [&](const ServerMember& server) { return ordinal(server.id.value) == home; });
    if (!present) {
      for (const std::uint32_t slice : slices) {
        slice_worker[slice] = no_worker;
      }
      continue;
    }
    std::vector<std::uint32_t> own;
    std::copy_if(everybody.begin(), everybody.end(), std::back_inserter(own),
                 [&](std::uint32_t w) { return home_of(job, next.workers[w].id.value) == home; });
    spread(slices, own.empty() ? everybody : own, slice_worker);
  }
  return slice_worker;
}

}  // namespace ringps
