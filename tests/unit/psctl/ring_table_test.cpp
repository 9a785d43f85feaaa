#include "services/psctl/ring_table.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "libps/base/sha256.hpp"

namespace ringps {
namespace {

TEST_CASE("a tensor argument has a name, elements and perhaps a block size") {
  const auto plain = parse_tensor_argument("fc_bias:1");
  REQUIRE(plain);
  CHECK(plain->name == "fc_bias");
  CHECK(plain->elements == 1);
  const auto cut = parse_tensor_argument("w:784:16");
  REQUIRE(cut);
  CHECK(cut->block_elements == 16);
}

TEST_CASE("a malformed tensor argument is refused with words that show the right form") {
  const auto text = GENERATE(as<std::string>{}, "", "w", ":5", "w:", "w:0", "w:x", "w:5:", "w:5:0", "w:5:1:1", "w:-1");
  CAPTURE(text);
  const auto tensor = parse_tensor_argument(text);
  REQUIRE(!tensor);
  CHECK(tensor.error().find("NAME:ELEMENTS") != std::string::npos);
}

/// The rule of the system that this one succeeds, in its own words: hexadecimal digests compared as text.
std::string owner_by_text(const std::string& key, const std::vector<std::string>& servers) {
  std::map<std::string, std::string> points;
  for (const auto& server : servers) {
    for (int i = 0; i < 100; ++i) {
      points[sha256_hex(server + std::to_string(i))] = server;
    }
  }
  const auto after = points.upper_bound(sha256_hex(key));
  return after == points.end() ? points.begin()->second : after->second;
}

TEST_CASE("the placement of the predecessor's 785 parameters is its own") {
  const auto table = make_ring_table(5, 100, {{"fc_weights", 784, 1}, {"fc_bias", 1, 1}}, {"server4"});
  REQUIRE(table);
  std::size_t blocks = 0;
  for (const auto& row : table->rows) {
    for (const auto& block : row.blocks) {
      ++blocks;
      if (blocks % 20 == 0 || block == "fc_bias") {  // the rule by text is slow
        CHECK(owner_by_text(block, {"server0", "server1", "server2", "server3"}) == row.server);
      }
    }
  }
  CHECK(blocks == 785);
}

TEST_CASE("removing a server moves only its own blocks") {
  const std::vector<TensorArgument> tensors = {{"w", 500, 1}};
  const auto before = make_ring_table(3, 100, tensors, {});
  const auto after = make_ring_table(3, 100, tensors, {"server1"});
  REQUIRE(before);
  REQUIRE(after);
  std::map<std::string, std::string> owner;
  for (const auto& row : before->rows) {
    for (const auto& block : row.blocks) {
      owner[block] = row.server;
    }
  }
  for (const auto& row : after->rows) {
    for (const auto& block : row.blocks) {
      CHECK((owner[block] == row.server || owner[block] == "server1"));
    }
  }
}

TEST_CASE("the JSON has the placement and the balance, and nothing else") {
  const auto table = make_ring_table(2, 1, {{"a", 1, 1}, {"b", 1, 1}}, {});
  REQUIRE(table);
  const auto json = to_json(*table);
  CHECK(json.size() == 2);
  CHECK(json["placement"].size() == 2);
  CHECK(json["placement"]["server0"].size() + json["placement"]["server1"].size() == 2);
  const double balance = json["mean_over_max"];
  CHECK((balance == 0.5 || balance == 1.0));
}

TEST_CASE("a server that is not there cannot be removed, nor can all") {
  CHECK(!make_ring_table(2, 1, {{"a", 1, 1}}, {"server2"}));
  CHECK(!make_ring_table(2, 1, {{"a", 1, 1}}, {"server0", "server1"}));
}

}  // namespace
}  // namespace ringps
