// The distinct ones among many row ids, in the order in which they first come: what is said twice need not travel
// twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libps/base/row_hash.hpp"

namespace ringps {

class DistinctRows {
 public:
  void clear() {
    ids_.clear();
    slots_.assign(slots_.size(), 0);
  }

  /// The position of `id` among the distinct ones.
  std::uint32_t position(std::uint64_t id) {
    if ((ids_.size() + 1) * 2 > slots_.size()) {
      grow();
    }
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = row_hash(id) & mask;; at = (at + 1) & mask) {
      if (slots_[at] == 0) {
        ids_.push_back(id);
        slots_[at] = static_cast<std::uint32_t>(ids_.size());
        return slots_[at] - 1;
      }
      if (ids_[slots_[at] - 1] == id) {
        return slots_[at] - 1;
      }
    }
  }

  const std::vector<std::uint64_t>& ids() const { return ids_; }

 private:
  void grow() {
    slots_.assign(slots_.empty() ? 64 : slots_.size() * 2, 0);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      std::size_t at = row_hash(ids_[i]) & mask;
      while (slots_[at] != 0) {
        at = (at + 1) & mask;
      }
      slots_[at] = static_cast<std::uint32_t>(i + 1);
    }
  }

  std::vector<std::uint64_t> ids_;
  std::vector<std::uint32_t> slots_;  ///< position + 1; 0: empty
};

}  // namespace ringps
