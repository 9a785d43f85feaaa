#include "libps/net/shared_arena.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "libps/base/random.hpp"

namespace ringps {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t mib = 1U << 20U;

std::unique_ptr<SharedArena> arena_of(std::size_t bytes) {
  auto made = SharedArena::create(bytes);
  REQUIRE(made.ok());
  return std::move(*made);
}

std::span<const std::byte> bytes_at(const void* memory, std::size_t bytes) {
  return {static_cast<const std::byte*>(memory), bytes};
}

/// What the system has set aside for it.
std::size_t resident(const SharedArena& arena) {
  struct stat status {};
  REQUIRE(fstat(arena.descriptor(), &status) == 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

TEST_CASE("pieces of an arena do not overlap, and are one free piece again when all have come back") {
  const auto arena = arena_of(64 * mib);
  const KeyedRandom random(20261126, "arena");
  struct Piece {
    void* memory;
    std::size_t bytes;
  };
  std::vector<Piece> pieces;
  std::uint64_t draw = 0;
  for (int round = 0; round < 2000; ++round) {
    if (pieces.empty() || random.below(draw++, 2) == 0) {
      const std::size_t bytes = 1 + random.below(draw++, 100'000);
      const Piece piece{arena->allocate(bytes, alignment), bytes};
      const auto begin = arena->offset_of(bytes_at(piece.memory, bytes));
      REQUIRE(begin.has_value());
      CHECK(*begin % alignment == 0);
      CHECK(*begin + bytes <= arena->bytes());
      for (const Piece& other : pieces) {
        const auto other_begin = arena->offset_of(bytes_at(other.memory, other.bytes));
        CHECK((*begin + bytes <= *other_begin || *other_begin + other.bytes <= *begin));
      }
      pieces.push_back(piece);
    } else {
      const std::size_t i = random.below(draw++, static_cast<std::uint32_t>(pieces.size()));
      arena->deallocate(pieces[i].memory, pieces[i].bytes, alignment);
      pieces[i] = pieces.back();
      pieces.pop_back();
    }
  }
  for (const Piece& piece : pieces) {
    arena->deallocate(piece.memory, piece.bytes, alignment);
  }
  CHECK(arena->bytes_in_use() == 0);
  void* const whole = arena->allocate(arena->bytes(), alignment);
  CHECK(arena->offset_of(bytes_at(whole, arena->bytes())) == 0);
  arena->deallocate(whole, arena->bytes(), alignment);
}

TEST_CASE("when an arena is full others get ordinary memory, which it takes back as well") {
  const auto arena = arena_of(mib);
  void* const inside = arena->allocate(mib, alignment);
  void* const outside = arena->allocate(mib, alignment);
  CHECK(arena->offset_of(bytes_at(inside, mib)).has_value());
  CHECK_FALSE(arena->offset_of(bytes_at(outside, mib)).has_value());
  arena->deallocate(outside, mib, alignment);
  arena->deallocate(inside, mib, alignment);
  CHECK(arena->bytes_in_use() == 0);
}

TEST_CASE("an arena takes up what has been used, and gives much that is free back to the system") {
  const auto arena = arena_of(1024 * mib);
  CHECK(resident(*arena) == 0);
  const auto take = [&](std::size_t bytes) {
    void* const memory = arena->allocate(bytes, alignment);
    std::fill_n(static_cast<std::byte*>(memory), bytes, std::byte{1});
    return memory;
  };
  void* const small = take(mib);
  void* const large = take(200 * mib);
  void* const last = take(mib);
  CHECK(resident(*arena) >= 202 * mib);
  arena->deallocate(large, 200 * mib, alignment);
  CHECK(resident(*arena) <= 8 * mib);  // where the system has large pages, they are rounded up
  CHECK(std::all_of(static_cast<std::byte*>(last), static_cast<std::byte*>(last) + mib,
                    [](std::byte each) { return each == std::byte{1}; }));
  arena->deallocate(last, mib, alignment);
  arena->deallocate(small, mib, alignment);
  void* const again = take(32 * mib);
  arena->deallocate(again, 32 * mib, alignment);
  CHECK(resident(*arena) >= 32 * mib);  // not so much that it is not worth keeping
}

}  // namespace
}  // namespace ringps
