#include "libps/data/schedule.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/base/random.hpp"

namespace ringps {
namespace {

/// Fisher and Yates, in the form of Durstenfeld 1964.
void shuffle(std::span<std::uint32_t> values, const KeyedRandom& random) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[random.below(i, i)]);
  }
}

}  // namespace

Schedule::Schedule(const ScheduleSpec& spec)
    : spec_(spec), streams_(spec.stream == SampleStream::own ? spec.slices : 1), batch_(spec.batch) {
  check(spec.samples > 0 && spec.slices > 0, "a schedule has samples and slices");
  if (spec.batch == 0) {
    batch_.resize(spec.samples);
    std::iota(batch_.begin(), batch_.end(), 0U);
  }
}

std::span<const std::uint32_t> Schedule::samples(Iteration iteration, SliceId slice) {
  check(iteration.value > 0 && slice.value < spec_.slices, "iterations count from 1, slices from 0");
  if (spec_.batch == 0) {
    const auto [from, count] = share(slice);
    return std::span(batch_).subspan(from, count);
  }
  const bool own = spec_.stream == SampleStream::own;
  const std::uint32_t stream = own ? slice.value : 0;
  const std::uint64_t batches_before = iteration.value - 1;
  const std::uint64_t begin = (own ? batches_before : batches_before * spec_.slices + slice.value) * spec_.batch;

  std::uint64_t pass = begin / spec_.samples;
  auto offset = static_cast<std::size_t>(begin % spec_.samples);
  for (std::size_t done = 0; done < batch_.size(); ++pass, offset = 0) {
    const auto rest_of_pass = std::span(permutation(stream, pass)).subspan(offset);
    const std::size_t count = std::min(rest_of_pass.size(), batch_.size() - done);
    std::copy_n(rest_of_pass.begin(), count, batch_.begin() + static_cast<std::ptrdiff_t>(done));
    done += count;
  }
  return batch_;
}

float Schedule::weight(SliceId slice) const {
  if (spec_.batch != 0 || spec_.stream == SampleStream::own) {
    return 1.0F;
  }
  return static_cast<float>(static_cast<double>(share(slice).second) * spec_.slices / spec_.samples);
}

std::pair<std::size_t, std::size_t> Schedule::share(SliceId slice) const {
  if (spec_.stream == SampleStream::own) {
    return {0, spec_.samples};
  }
  const auto begin_of = [&](std::uint64_t number) {
    return static_cast<std::size_t>(number * spec_.samples / spec_.slices);
  };
  const std::size_t begin = begin_of(slice.value);
  return {begin, begin_of(std::uint64_t{slice.value} + 1) - begin};
}

const std::vector<std::uint32_t>& Schedule::permutation(std::uint32_t stream, std::uint64_t pass) {
  Pass& kept = streams_[stream][pass % 2];
  if (kept.permutation.empty() || kept.number != pass) {
    kept.number = pass;
    kept.permutation.resize(spec_.samples);
    std::iota(kept.permutation.begin(), kept.permutation.end(), 0U);
    shuffle(kept.permutation, KeyedRandom(spec_.seed, "schedule of stream " + std::to_string(stream), pass));
  }
  return kept.permutation;
}

}  // namespace ringps
