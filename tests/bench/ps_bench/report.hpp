// What was measured, as JSON; and from that the table, the pictures and BENCHMARKS.md.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "tests/bench/ps_bench/cases.hpp"

namespace ringps::bench {

/// "58.9 us", "4.06 GB/s", "230 MiB", "6500 /s".
std::string shown(double value, const std::string& unit);

/// A document without rows: the machine, what was run, and when.
nlohmann::json new_document(const std::string& command, const std::string& commit);

/// Adds a reading to its row, and brings the row's median, spread and verdict up to date.
void add_reading(nlohmann::json& document, const Reading& reading);

/// The rows for a terminal.
std::string table_text(const nlohmann::json& document);

/// The same with machine and explanations. `pictures`: their paths as the text is to name them.
std::string markdown(const nlohmann::json& document, const std::vector<std::string>& pictures);

/// Draws what the rows allow, into `folder`. Returns the names of the files.
Result<std::vector<std::string>> draw_pictures(const nlohmann::json& document, const std::filesystem::path& folder);

/// Writes the markdown into `report`, between two marks; what stands outside of them is kept. A report that is not
/// there is begun, with a place for what people have to say. An error if it is there without the marks.
Result<void> update_report(const std::filesystem::path& report, const std::string& text);

}  // namespace ringps::bench
