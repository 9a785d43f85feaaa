// Which checkpoint a run goes on from.
#pragma once

#include <filesystem>
#include <string>

#include "libps/base/result.hpp"

namespace ringps {

/// The folder of the checkpoint that checkpoint.resume means: of a checkpoint, of checkpoints, of a run; or `latest`,
/// which is the newest one of the run in `wanted`, or if there is no such folder, of all runs/<name>-<n>. `wanted`:
/// folder of the run that begins; the earlier one in it may have been killed at any moment.
Result<std::filesystem::path> find_resume(const std::string& resume, const std::string& name,
                                          const std::filesystem::path& wanted);

}  // namespace ringps
