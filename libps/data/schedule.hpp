// Which samples a slice computes in an iteration: a pure function of (seed, iteration, slice), so that any worker can
// take over any slice at any time, and a replay sees the same data.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "libps/base/types.hpp"

namespace ringps {

/// Where slices take their samples from.
enum class SampleStream : std::uint8_t {
  shared,  ///< one stream, dealt out to the slices batch by batch: each sample once per pass, over all slices
  own,     ///< each slice has a stream of its own: each sample once per pass, for each slice
};

/// A stream is the endless concatenation of permutations of all samples, one for each pass over the data. Batches
/// straddle the ends of passes. With a batch of 0 an iteration is a pass: each slice computes its whole share, which is
/// always the same (of a shared stream a range of neighbours, of its own stream everything).
struct ScheduleSpec {
  std::uint64_t seed = 0;
  std::uint32_t samples = 1;  ///< in the training set; at least 1
  std::uint32_t slices = 1;   ///< of an iteration
  std::uint32_t batch = 1;    ///< samples of a slice in an iteration; 0: its whole share
  SampleStream stream = SampleStream::shared;
};

/// Any iteration can be asked for in any order. Keeps the permutations of the last two passes that were asked for, so
/// that it costs a shuffle a pass; the answers do not depend on what is kept. Not thread-safe.
class Schedule {
 public:
  explicit Schedule(const ScheduleSpec& spec);

  /// The samples of one slice in one iteration, which counts from 1: spec.batch indices below spec.samples. Valid until
  /// the next call. With a batch of 0 there may be none, where there are more slices than samples.
  std::span<const std::uint32_t> samples(Iteration iteration, SliceId slice);

  /// By which a slice's mean is multiplied, so that the mean over the slices is that over all their samples: shares may
  /// differ by one sample.
  float weight(SliceId slice) const;

 private:
  struct Pass {
    std::uint64_t number = 0;
    std::vector<std::uint32_t> permutation;  ///< empty: nothing is kept here
  };
  /// Even and odd passes have a place each, so neighbouring passes do not push each other out.
  using Stream = std::array<Pass, 2>;

  /// Where the share of a slice lies in all samples.
  std::pair<std::size_t, std::size_t> share(SliceId slice) const;
  const std::vector<std::uint32_t>& permutation(std::uint32_t stream, std::uint64_t pass);

  ScheduleSpec spec_;
  std::vector<Stream> streams_;       ///< by slice, or just one that all share
  std::vector<std::uint32_t> batch_;  ///< with a batch of 0: all samples
};

}  // namespace ringps
