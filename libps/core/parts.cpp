#include "libps/core/parts.hpp"

#include <utility>

namespace ringps {

std::vector<ServerPart> cut_parts(const Placement& placement, std::size_t servers, const BlockTable& table,
                                  std::size_t message_bytes) {
  std::vector<ServerPart> parts;
  for (std::uint32_t server = 0; server < servers; ++server) {
    std::size_t bytes = message_bytes;  // full: the first block opens a part
    ServerPart of_tables;
    for (const BlockId block : placement.owned(server)) {
      if (table.is_rows(block)) {
        of_tables.blocks.push_back(block);
        continue;
      }
      const auto& at = table[block];
      const std::size_t block_bytes = std::size_t{at.elements} * sizeof(float);
      if (bytes + block_bytes > message_bytes) {
        parts.emplace_back().server = server;
        bytes = 0;
      }
      bytes += block_bytes;
      parts.back().blocks.push_back(block);
      parts.back().elements += at.elements;
    }
    if (!of_tables.blocks.empty()) {
      of_tables.server = server;
      of_tables.rows = true;
      parts.push_back(std::move(of_tables));
    }
  }
  for (ServerPart& part : parts) {
    part.runs = table.runs(part.blocks);
    for (std::size_t block = 0; !part.rows && block < part.blocks.size();) {
      ServerPart::Span& span = part.spans.emplace_back();
      span.offset = table[part.blocks[block]].flat_offset;
      const std::uint32_t count = part.runs[part.spans.size() - 1].count;
      for (std::uint32_t i = 0; i < count; ++i) {
        span.elements += table[part.blocks[block++]].elements;
      }
    }
  }
  return parts;
}

}  // namespace ringps
