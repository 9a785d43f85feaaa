#include "services/psctl/ring_table.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "libps/ring/layout.hpp"
#include "libps/ring/view.hpp"

namespace ringps {
namespace {

constexpr std::uint64_t blocks_max = 1U << 24U;

template <class Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number > 0;
}

}  // namespace

Result<TensorArgument> parse_tensor_argument(std::string_view text) {
  const Error malformed{fmt::format(
      "--tensor {}: expected NAME:ELEMENTS or NAME:ELEMENTS:BLOCK_ELEMENTS with numbers from 1, as in fc_weights:784:1",
      text)};
  const std::size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos) {
    return malformed;
  }
  TensorArgument tensor;
  tensor.name = text.substr(0, colon);
  std::string_view numbers = text.substr(colon + 1);
  const std::size_t second = numbers.find(':');
  if (!parse_number(numbers.substr(0, second), tensor.elements) ||
      (second != std::string_view::npos && !parse_number(numbers.substr(second + 1), tensor.block_elements))) {
    return malformed;
  }
  if ((tensor.elements - 1) / tensor.block_elements >= blocks_max) {
    return Error{fmt::format("--tensor {}: more than {} blocks; choose larger blocks", text, blocks_max)};
  }
  return tensor;
}

Result<RingTable> make_ring_table(std::uint32_t servers, std::uint32_t virtual_nodes,
                                  const std::vector<TensorArgument>& tensors, const std::vector<std::string>& removed) {
  std::vector<std::string> ids;
  for (std::uint32_t i = 0; i < servers; ++i) {
    ids.push_back(fmt::format("server{}", i));
  }
  for (const std::string& id : removed) {
    if (std::erase(ids, id) == 0) {
      return Error{fmt::format("--remove {}: there is no such server; expected one of server0 … server{}, each once",
                               id, servers - 1)};
    }
  }
  if (ids.empty()) {
    return Error{"--remove: no server is left"};
  }
  RingTable table;
  for (const std::string& id : ids) {
    table.rows.push_back({id, {}, 0});
  }
  for (const TensorArgument& tensor : tensors) {
    const BlockTable blocks({{tensor.name, {tensor.elements}, {}}}, tensor.block_elements);
    const Placement placement(ids, blocks, virtual_nodes, 1);
    for (std::uint32_t server = 0; server < ids.size(); ++server) {
      for (const BlockId block : placement.owned(server)) {
        table.rows[server].blocks.push_back(blocks.name(block));
        table.rows[server].elements += blocks[block].elements;
      }
    }
  }
  std::uint64_t sum = 0;
  std::uint64_t largest = 0;
  for (const RingTable::Row& row : table.rows) {
    sum += row.elements;
    largest = std::max(largest, row.elements);
  }
  if (largest > 0) {
    table.mean_over_max = static_cast<double>(sum) / static_cast<double>(ids.size()) / static_cast<double>(largest);
  }
  return table;
}

nlohmann::ordered_json to_json(const RingTable& table) {
  nlohmann::ordered_json placement = nlohmann::ordered_json::object();
  for (const RingTable::Row& row : table.rows) {
    placement[row.server] = row.blocks;
  }
  return {{"placement", placement}, {"mean_over_max", table.mean_over_max}};
}

std::string to_text(const RingTable& table) {
  constexpr std::size_t blocks_width_max = 60;
  std::string text = fmt::format("{:<12} {:>10} {:>12}  {}\n", "server", "blocks", "elements", "which");
  for (const RingTable::Row& row : table.rows) {
    std::string which;
    for (const std::string& block : row.blocks) {
      if (which.size() + block.size() > blocks_width_max) {
        which += " …";
        break;
      }
      which += (which.empty() ? "" : " ") + block;
    }
    text += fmt::format("{:<12} {:>10} {:>12}  {}\n", row.server, row.blocks.size(), row.elements, which);
  }
  return text + fmt::format("mean load / maximum load: {:.3f}\n", table.mean_over_max);
}

}  // namespace ringps
