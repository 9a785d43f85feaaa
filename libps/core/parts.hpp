// How a worker cuts the blocks of each server into messages, and what travels in them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/ring/layout.hpp"
#include "libps/ring/view.hpp"

namespace ringps {

/// Blocks of one server that travel in one message.
struct ServerPart {
  /// A stretch of the flat vector.
  struct Span {
    std::size_t offset = 0;
    std::size_t elements = 0;
  };

  std::uint32_t server = 0;  ///< index in the view
  std::vector<BlockId> blocks;
  std::vector<BlockRun> runs;  ///< the same blocks
  std::vector<Span> spans;     ///< where each run lies
  std::size_t elements = 0;
  bool rows = false;  ///< all blocks of tables of the server; what travels depends on the rows
};

/// All blocks of `servers` servers, in parts of at most `message_bytes` or one block.
std::vector<ServerPart> cut_parts(const Placement& placement, std::size_t servers, const BlockTable& table,
                                  std::size_t message_bytes);

}  // namespace ringps
