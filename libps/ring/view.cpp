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

constexpr std::uint32_t gone = 0xFFFFFFFF;

/// The servers of a ring, with where they stand in the view.
struct Members {
  std::vector<std::string> ids;
  Placement::Servers index;  ///< in View::servers, or gone

  std::optional<Ring> ring(std::uint32_t virtual_nodes) const {
    return ids.empty() ? std::nullopt : std::optional<Ring>(std::in_place, ids, virtual_nodes);
  }
};

Members settled_members(const View& view) {
  Members members;
  for (const RingMember& member : view.settled_ring) {
    const auto at = view.server_index(member.id.value);
    members.ids.push_back(member.id.value);
    members.index.push_back(at && view.servers[*at].incarnation == member.incarnation ? *at : gone);
  }
  return members;
}

Members target_members(const View& view) {
  Members members;
  for (std::uint32_t s = 0; s < view.servers.size(); ++s) {
    if (view.servers[s].stays) {
      members.ids.push_back(view.servers[s].id.value);
      members.index.push_back(s);
    }
  }
  return members;
}

View settled_view(const std::vector<std::string>& servers) {
  View view;
  for (const std::string& id : servers) {
    view.servers.push_back({{id}, {}, ""});
    view.settled_ring.push_back({{id}, {}});
  }
  return view;
}

}  // namespace

bool View::settled() const {
  const auto holds = [&](const ServerMember& server) {
    return server.stays && std::find(settled_ring.begin(), settled_ring.end(),
                                     RingMember{server.id, server.incarnation}) != settled_ring.end();
  };
  return servers.size() == settled_ring.size() && std::all_of(servers.begin(), servers.end(), holds);
}

bool View::is_retired(std::string_view id) const {
  return std::find(retired.begin(), retired.end(), id) != retired.end();
}

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

Placement::Placement(const View& view, const BlockTable& blocks, std::uint32_t virtual_nodes, std::uint32_t replicas)
    : holders_(blocks.size()), newcomers_(blocks.size()), owned_(view.servers.size()) {
  const Members settled = settled_members(view);
  const Members target = target_members(view);
  const bool moves = !view.settled();
  lost_ = settled.ids.empty() && blocks.size() > 0;
  std::string text;
  const std::optional<Ring> settled_ring = settled.ring(virtual_nodes);
  const std::optional<Ring> target_ring = moves ? target.ring(virtual_nodes) : std::nullopt;
  for (std::uint32_t b = 0; b < blocks.size() && settled_ring; ++b) {
    const std::uint64_t point = ring_point(blocks.name(BlockId{b}));
    for (const std::uint32_t member : settled_ring->replicas(point, replicas)) {
      if (settled.index[member] != gone) {
        holders_[b].push_back(settled.index[member]);
        text += settled.ids[member] + ' ';
      }
    }
    for (const std::uint32_t member : target_ring ? target_ring->replicas(point, replicas) : Servers{}) {
      if (std::find(holders_[b].begin(), holders_[b].end(), target.index[member]) == holders_[b].end()) {
        newcomers_[b].push_back(target.index[member]);
        text += '+' + target.ids[member] + ' ';
      }
    }
    if (holders_[b].empty()) {
      lost_ = true;
    } else {
      owned_[primary(BlockId{b})].push_back(BlockId{b});
    }
  }
  digest_ = text.empty() ? 0 : ring_point(text);
}

Placement::Placement(const std::vector<std::string>& servers, const BlockTable& blocks, std::uint32_t virtual_nodes,
                     std::uint32_t replicas)
    : Placement(settled_view(servers), blocks, virtual_nodes, replicas) {}

std::uint64_t value_bytes(const BlockTable& table, const std::vector<BlockId>& blocks) {
  std::uint64_t bytes = 0;
  for (const BlockId block : blocks) {
    bytes += std::uint64_t{table[block].elements} * sizeof(float);
  }
  return bytes;
}

}  // namespace ringps
