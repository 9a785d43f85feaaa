#include "tests/sim/store.hpp"

#include <algorithm>

namespace ringps::sim {

const View* Store::view(Epoch epoch) const {
  const auto at = std::find_if(views_.begin(), views_.end(), [&](const View& view) { return view.epoch == epoch; });
  return at == views_.end() ? nullptr : &*at;
}

const StoredFile* Store::file(const std::string& name) const {
  const auto at = files_.find(name);
  return at == files_.end() ? nullptr : &at->second;
}

const Manifest& Store::commit(Manifest manifest, std::uint32_t keep, const std::string& in_use) {
  const std::string folder = manifest.folder;
  std::erase_if(manifests_, [&](const Manifest& each) { return each.folder == folder; });
  const auto later =
      std::upper_bound(manifests_.begin(), manifests_.end(), manifest.iteration,
                       [](Iteration iteration, const Manifest& each) { return iteration < each.iteration; });
  manifests_.insert(later, std::move(manifest));
  for (std::size_t i = 0; manifests_.size() > keep && i < manifests_.size() - keep;) {
    if (manifests_[i].folder == in_use || manifests_[i].folder == folder) {
      ++i;
      continue;
    }
    for (const auto& each : manifests_[i].files) {
      files_.erase(each.file.name);
    }
    manifests_.erase(manifests_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return *this->manifest(folder);
}

const Manifest* Store::manifest(const std::string& folder) const {
  const auto at = std::find_if(manifests_.begin(), manifests_.end(), [&](const auto& m) { return m.folder == folder; });
  return at == manifests_.end() ? nullptr : &*at;
}

const Manifest* Store::newest() const {
  return manifests_.empty() ? nullptr : &manifests_.back();
}

}  // namespace ringps::sim
