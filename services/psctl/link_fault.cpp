#include "services/psctl/link_fault.hpp"

#include <algorithm>

namespace ringps {

bool means(std::string_view name, std::string_view id) {
  return name == "all" || name == id || (name == "servers" && id.starts_with("server")) ||
         (name == "workers" && id.starts_with("worker"));
}

bool covers(std::string_view wider, std::string_view name) {
  return means(wider, name);  // a group begins with the name of its role, as its processes do
}

LinkState state_of(const std::vector<LinkFault>& faults, std::string_view sender, std::string_view receiver) {
  LinkState state;
  for (const LinkFault& fault : faults) {
    const bool forward = means(fault.from, sender) && means(fault.to, receiver);
    const bool back = !fault.one_way && means(fault.from, receiver) && means(fault.to, sender);
    if (!forward && !back) {
      continue;
    }
    state.cut = state.cut || fault.cut;
    state.delay = std::max(state.delay, fault.delay);
    if (fault.bytes_per_second != 0) {
      state.bytes_per_second = state.bytes_per_second == 0 ? fault.bytes_per_second
                                                           : std::min(state.bytes_per_second, fault.bytes_per_second);
    }
  }
  return state;
}

bool heals(std::string_view a, std::string_view b, const LinkFault& fault) {
  return (covers(a, fault.from) && covers(b, fault.to)) || (covers(a, fault.to) && covers(b, fault.from));
}

}  // namespace ringps
