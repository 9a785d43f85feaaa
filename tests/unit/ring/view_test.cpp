#include "libps/ring/view.hpp"

#include <rapidcheck.h>
#include <catch2/catch.hpp>
#include <set>

namespace ringps {
namespace {

BlockTable table() {
  return BlockTable({{"weights", {40}, {}}, {"bias", {3}, {}}}, 1);
}

std::vector<std::string> servers(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back("server" + std::to_string(i));
  }
  return all;
}

View view_of(const std::vector<std::string>& ids) {
  View view;
  view.epoch = Epoch{1};
  for (const std::string& id : ids) {
    view.servers.push_back({{id}, Incarnation{7}, "tcp://" + id});
    view.settled_ring.push_back({{id}, Incarnation{7}});
  }
  return view;
}

TEST_CASE("each block has one primary, and the owned lists are the same thing seen from the other side") {
  CHECK(rc::check([] {
    const auto count = *rc::gen::inRange<std::uint32_t>(1, 7);
    const Placement placement(servers(count), table(), 10, 1);
    std::uint32_t owned = 0;
    for (std::uint32_t s = 0; s < count; ++s) {
      for (const BlockId block : placement.owned(s)) {
        RC_ASSERT(placement.primary(block) == s);
        ++owned;
      }
    }
    RC_ASSERT(owned == table().size());
  }));
}

TEST_CASE("removing a server moves only its own blocks, to their backups") {
  CHECK(rc::check([] {
    const auto count = *rc::gen::inRange<std::size_t>(2, 7);
    const auto all = servers(count);
    const auto removed = *rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(count));
    auto rest = all;
    rest.erase(rest.begin() + removed);
    const Placement before(all, table(), 10, 2);
    const Placement after(rest, table(), 10, 2);
    for (std::uint32_t b = 0; b < table().size(); ++b) {
      const auto& replicas = before.holders(BlockId{b});
      const std::uint32_t heir = replicas[0] == removed ? replicas[1] : replicas[0];
      RC_ASSERT(rest[after.primary(BlockId{b})] == all[heir]);
    }
  }));
}

TEST_CASE("the replicas of a block are distinct, and fewer where there are fewer servers") {
  const Placement placement(servers(2), table(), 10, 3);
  for (std::uint32_t b = 0; b < table().size(); ++b) {
    const auto& replicas = placement.holders(BlockId{b});
    CHECK(replicas.size() == 2);
    CHECK(std::set(replicas.begin(), replicas.end()).size() == 2);
  }
}

TEST_CASE("the digest of a placement changes with servers, points, blocks and replicas, and with nothing else") {
  const auto digest = [](std::size_t count, const BlockTable& blocks, std::uint32_t points, std::uint32_t replicas) {
    return Placement(servers(count), blocks, points, replicas).digest();
  };
  const std::uint64_t usual = digest(3, table(), 10, 1);
  CHECK(digest(3, table(), 10, 1) == usual);
  CHECK(digest(4, table(), 10, 1) != usual);
  CHECK(digest(3, table(), 11, 1) != usual);
  CHECK(digest(3, table(), 10, 2) != usual);
  CHECK(digest(3, BlockTable({{"weights", {40}, {}}}, 1), 10, 1) != usual);
  View view = view_of(servers(3));
  view.cause = "something else";
  view.servers[1].incarnation = view.settled_ring[1].incarnation = Incarnation{99};
  CHECK(Placement(view, table(), 10, 1).digest() == usual);
}

TEST_CASE("a view without servers has an empty placement") {
  const Placement placement(std::vector<std::string>{}, table(), 10, 1);
  CHECK(placement.digest() == 0);
}

TEST_CASE("a view knows who is where, and which slices are whose") {
  View view = view_of(servers(2));
  view.workers = {{{"worker0"}, Incarnation{1}}, {{"worker1"}, Incarnation{2}}};
  view.slice_worker = {1, 0, 1, no_worker};
  CHECK(view.server_index("server1") == 1U);
  CHECK_FALSE(view.server_index("worker1"));
  CHECK(view.worker_index("worker0") == 0U);
  CHECK(view.slices_of("worker1") == std::vector<SliceId>{SliceId{0}, SliceId{2}});
  CHECK(view.slices_of("worker9").empty());
}

TEST_CASE("the bytes of blocks are those of their values") {
  const BlockTable blocks({{"weights", {5}, {}}}, 2);
  CHECK(value_bytes(blocks, {BlockId{0}, BlockId{2}}) == 12);
}

}  // namespace
}  // namespace ringps
