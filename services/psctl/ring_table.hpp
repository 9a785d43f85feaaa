// Who owns what on a ring, without a cluster: `psctl ring`, and the figure of the load balance.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/base/tensor.hpp"

namespace ringps {

/// A tensor as a command line names it: NAME:ELEMENTS[:BLOCK_ELEMENTS].
struct TensorArgument {
  std::string name;
  std::uint64_t elements = 0;
  std::uint32_t block_elements = 262144;
};

Result<TensorArgument> parse_tensor_argument(std::string_view text);

struct RingTable {
  struct Row {
    std::string server;
    std::vector<std::string> blocks;
    std::uint64_t elements = 0;
  };
  std::vector<Row> rows;
  double mean_over_max = 1;  ///< mean load over maximum load, in elements: 1 is perfectly even
};

/// server0 … server<servers - 1> without those of `removed`; an error if one of these does not exist or none is left.
Result<RingTable> make_ring_table(std::uint32_t servers, std::uint32_t virtual_nodes,
                                  const std::vector<TensorArgument>& tensors, const std::vector<std::string>& removed);

nlohmann::ordered_json to_json(const RingTable& table);
/// For people. At most a line of blocks per server.
std::string to_text(const RingTable& table);

}  // namespace ringps
