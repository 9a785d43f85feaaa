// Strong types for the words of the protocol: mixing two of them up does not compile.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace ringps {

/// A number that stands for one concept. `Rep` is its unsigned representation, also on the wire.
template <class Tag, class Rep = std::uint64_t>
struct Number {
  using rep = Rep;
  Rep value{};

  friend constexpr auto operator<=>(Number, Number) = default;
  constexpr Number next() const { return Number{static_cast<Rep>(value + 1)}; }
};

/// A name that stands for one concept.
template <class Tag>
struct Name {
  std::string value;

  friend auto operator<=>(const Name&, const Name&) = default;
  friend bool operator==(const Name&, const Name&) = default;
};

/// Number of a view. Grows by one with every view; 0 means "no view seen yet".
using Epoch = Number<struct EpochTag>;
/// A training step, counted from 1; version v of a block is its value after iteration v (0: initial).
using Iteration = Number<struct IterationTag>;
/// One lifetime of a process: microseconds since 1970 at its start, so a later life has a larger number.
using Incarnation = Number<struct IncarnationTag>;
/// Pairs an answer with its request; unique within one incarnation of the sender. 0: needs no answer.
using RequestId = Number<struct RequestTag>;
/// A fixed part of the global batch, 0 … slices - 1.
using SliceId = Number<struct SliceTag, std::uint32_t>;
/// Index of a block in the job's list of all blocks (tensors in order, blocks in order).
using BlockId = Number<struct BlockTag, std::uint32_t>;

using ServerId = Name<struct ServerTag>;
using WorkerId = Name<struct WorkerTag>;

}  // namespace ringps

template <class Tag, class Rep>
struct std::hash<ringps::Number<Tag, Rep>> {
  std::size_t operator()(ringps::Number<Tag, Rep> number) const noexcept { return std::hash<Rep>{}(number.value); }
};

template <class Tag>
struct std::hash<ringps::Name<Tag>> {
  std::size_t operator()(const ringps::Name<Tag>& name) const noexcept { return std::hash<std::string>{}(name.value); }
};
