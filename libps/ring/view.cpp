#include "libps/ring/view.hpp"

#include <algorithm>

#include "libps/ring/ring.hpp"

namespace ringps {
namespace {

template <class Members>
std::optional<std::uint32_t> index_of(const Members& members, std::string_view id) {
  const auto at = std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.id.value == id; });
  if (at == members.end()) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(at - members.begin());
}

std::vector<std::string> names(const std::vector<ServerMember>& servers) {
  std::vector<std::string> ids;
  std::transform(servers.begin(), servers.end(), std::back_inserter(ids), [](const auto& s) { return s.id.value; });
  return ids;
}

}  // namespace

std::optional<std::uint32_t> View::server_index(std::string_view id) const {
  return index_of(servers, id);
}

std::optional<std::uint32_t> View::worker_index(std::string_view id) const {
  return index_of(workers, id);
}

std::vector<SliceId> View::slices_of(std::string_view worker) const {
  std::vector<SliceId> slices;
  if (const auto index = worker_index(worker)) {
    for (std::uint32_t s = 0; s < slice_worker.size(); ++s) {
      if (slice_worker[s] == *index) {
        slices.push_back(SliceId{s});
      }
    }
  }
  return slices;
}

Placement::Placement(const std::vector<std::string>& servers, const BlockTable& blocks, std::uint32_t virtual_nodes,
                     std::uint32_t replicas)
    : width_(std::min(replicas, static_cast<std::uint32_t>(servers.size()))), owned_(servers.size()) {
  if (servers.empty()) {
    return;
  }
  const Ring ring(servers, virtual_nodes);
  std::string text;
  for (std::uint32_t b = 0; b < blocks.size(); ++b) {
    for (const std::uint32_t server : ring.replicas(blocks.name(BlockId{b}), replicas)) {
      replicas_of_.push_back(server);
      text += servers[server] + ' ';
    }
    owned_[primary(BlockId{b})].push_back(BlockId{b});
  }
  digest_ = ring_point(text);
}

Placement::Placement(const View& view, const BlockTable& blocks, std::uint32_t virtual_nodes, std::uint32_t replicas)
    : Placement(names(view.servers), blocks, virtual_nodes, replicas) {}

std::vector<std::uint32_t> Placement::replicas(BlockId block) const {
  const auto first = replicas_of_.begin() + static_cast<std::ptrdiff_t>(std::size_t{block.value} * width_);
  return {first, first + width_};
}

std::uint64_t value_bytes(const BlockTable& table, const std::vector<BlockId>& blocks) {
  std::uint64_t bytes = 0;
  for (const BlockId block : blocks) {
    bytes += std::uint64_t{table[block].elements} * sizeof(float);
  }
  return bytes;
}

}  // namespace ringps
