// The picture of a run: accuracy and loss over the work that was done, with the failures marked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "services/psctl/results.hpp"

namespace ringps {

/// Where on the axis of work a failure lies, and what it says there.
struct FaultMark {
  std::uint64_t work = 0;
  std::string label;
};

/// A fault that rolled back lies at the end of a lineage: the first one not yet taken that had come as far. Another one
/// lies within the lineage that was current.
std::vector<FaultMark> fault_marks(const std::vector<FaultRecord>& faults, const std::vector<Lineage>& lineages);

std::string curve_script(const RunRecord& record);
Result<void> draw_curve(const RunRecord& record, const std::filesystem::path& picture);

}  // namespace ringps
