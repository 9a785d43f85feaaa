#include "services/psctl/resume.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

#include "libps/storage/checkpoint_store.hpp"
#include "services/psctl/run_dir.hpp"

namespace ringps {
namespace {

/// "mnist-12" is a run of "mnist", "mnist-mlp-1" is not.
bool is_run_of(const std::string& name, const std::string& folder) {
  if (!folder.starts_with(name + "-")) {
    return false;
  }
  const std::string number = folder.substr(name.size() + 1);
  return !number.empty() && std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<fs::path> newest_of_all(const std::string& name) {
  fs::path newest;
  fs::file_time_type newest_time{};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("runs", error)) {
    if (!is_run_of(name, entry.path().filename().string())) {
      continue;
    }
    const auto checkpoint = RunDir::newest_checkpoint(entry.path());
    const auto time = checkpoint ? fs::last_write_time(*checkpoint, error) : fs::file_time_type{};
    if (checkpoint && (newest.empty() || time > newest_time)) {
      newest = *checkpoint;
      newest_time = time;
    }
  }
  if (newest.empty()) {
    return Error{fmt::format("checkpoint.resume is latest, but no runs/{}-<n> has a checkpoint", name)};
  }
  return newest;
}

}  // namespace

Result<fs::path> find_resume(const std::string& resume, const std::string& name, const fs::path& wanted) {
  Result<fs::path> found = fs::path();
  if (resume == "latest") {
    const auto own = wanted.empty() ? std::nullopt : RunDir::newest_checkpoint(wanted);
    if (!own && !wanted.empty() && fs::exists(wanted)) {
      return Error{fmt::format(
          "checkpoint.resume is latest, but there is no checkpoint in {}; name the run or the checkpoint to go on from",
          wanted.string())};
    }
    found = own ? Result<fs::path>(*own) : newest_of_all(name);
  } else {
    found = resolve_checkpoint(resume);
  }
  if (!found) {
    return found;
  }
  return fs::absolute(*found).lexically_normal();
}

}  // namespace ringps
