#include "libps/config/report.hpp"

#include <spdlog/fmt/fmt.h>

namespace ringps::config_detail {

void Report::forget_entries(const std::string& path) {
  std::erase_if(origins_, [&](const auto& entry) { return entry.first.starts_with(path + "["); });
}

void Report::problem(const std::string& path, std::string_view what) {
  const std::string place = where(path);
  origins_[path] = {place, true};
  problem_at(place, path.empty() ? std::string(what) : fmt::format("{}: {}", path, what));
}

void Report::problem_at(std::string_view where, std::string_view what) {
  if (!full()) {
    problems_.push_back(fmt::format("{}: {}", where, what));
  }
}

bool Report::sound(const std::string& path) const {
  const auto origin = origins_.find(path);
  return origin == origins_.end() || !origin->second.wrong;
}

std::string Report::where(std::string path) const {
  while (true) {
    if (const auto origin = origins_.find(path); origin != origins_.end()) {
      return origin->second.where;
    }
    const auto end = path.find_last_of(".[");
    if (end == std::string::npos) {
      return source_;
    }
    path.resize(end);
  }
}

Error Report::error() const {
  std::string all = fmt::format("{}", fmt::join(problems_, "\n"));
  if (full()) {
    all += fmt::format("\n{}: there may be more: only the first {} problems are shown", source_, problems_max);
  }
  return Error{std::move(all)};
}

}  // namespace ringps::config_detail
