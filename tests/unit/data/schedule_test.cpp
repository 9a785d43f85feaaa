#include "libps/data/schedule.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

namespace ringps {
namespace {

using Samples = std::vector<std::uint32_t>;

Samples at(Schedule& schedule, std::uint64_t iteration, std::uint32_t slice) {
  const auto samples = schedule.samples(Iteration{iteration}, SliceId{slice});
  return {samples.begin(), samples.end()};
}

ScheduleSpec any_spec(SampleStream stream) {
  return {*rc::gen::arbitrary<std::uint64_t>(), *rc::gen::inRange(1U, 60U), *rc::gen::inRange(1U, 6U),
          *rc::gen::inRange(1U, 20U), stream};
}

/// Whether `samples` is whole permutations of 0 … count - 1, one after the other, then a part of one.
bool is_passes(const Samples& samples, std::uint32_t count) {
  for (std::size_t begin = 0; begin < samples.size(); begin += count) {
    Samples pass(samples.begin() + static_cast<std::ptrdiff_t>(begin),
                 samples.begin() + static_cast<std::ptrdiff_t>(std::min(begin + count, samples.size())));
    std::sort(pass.begin(), pass.end());
    if (std::adjacent_find(pass.begin(), pass.end()) != pass.end() || pass.back() >= count) {
      return false;
    }
  }
  return true;
}

TEST_CASE("with a shared stream, all slices together use each sample exactly once per pass") {
  CHECK(rc::check([] {
    const auto spec = any_spec(SampleStream::shared);
    Schedule schedule(spec);
    Samples stream;
    for (std::uint64_t iteration = 1; stream.size() < 3 * spec.samples; ++iteration) {
      for (std::uint32_t slice = 0; slice < spec.slices; ++slice) {
        const auto samples = at(schedule, iteration, slice);
        RC_ASSERT(samples.size() == spec.batch);
        stream.insert(stream.end(), samples.begin(), samples.end());
      }
    }
    RC_ASSERT(is_passes(stream, spec.samples));
  }));
}

TEST_CASE("with a stream of its own, each slice uses each sample exactly once per pass") {
  CHECK(rc::check([] {
    const auto spec = any_spec(SampleStream::own);
    Schedule schedule(spec);
    for (std::uint32_t slice = 0; slice < spec.slices; ++slice) {
      Samples stream;
      for (std::uint64_t iteration = 1; stream.size() < 3 * spec.samples; ++iteration) {
        const auto samples = at(schedule, iteration, slice);
        stream.insert(stream.end(), samples.begin(), samples.end());
      }
      RC_ASSERT(is_passes(stream, spec.samples));
    }
  }));
}

TEST_CASE("with a batch of 0, every iteration is a pass: all slices together have each sample once, in even shares") {
  CHECK(rc::check([] {
    auto spec = any_spec(SampleStream::shared);
    spec.batch = 0;
    Schedule schedule(spec);
    const auto iteration = *rc::gen::inRange<std::uint64_t>(1, 1000);
    Samples all;
    double weights = 0;
    for (std::uint32_t slice = 0; slice < spec.slices; ++slice) {
      const auto samples = at(schedule, iteration, slice);
      const std::size_t even = spec.samples / spec.slices;
      RC_ASSERT(samples.size() == even || samples.size() == even + 1);
      RC_ASSERT(std::abs(schedule.weight(SliceId{slice}) * static_cast<float>(spec.samples) -
                         static_cast<float>(samples.size() * spec.slices)) < 1e-3F);
      weights += schedule.weight(SliceId{slice});
      all.insert(all.end(), samples.begin(), samples.end());
    }
    RC_ASSERT(all.size() == spec.samples);
    RC_ASSERT(is_passes(all, spec.samples));
    RC_ASSERT(std::abs(weights - spec.slices) < 1e-4);
  }));
  Schedule own({1, 5, 2, 0, SampleStream::own});
  CHECK(at(own, 3, 1) == Samples{0, 1, 2, 3, 4});
  CHECK(own.weight(SliceId{1}) == 1.0F);
}

TEST_CASE("any iteration asked for in any order has the samples it has in a run from the start") {
  CHECK(rc::check([] {
    const auto spec = any_spec(*rc::gen::element(SampleStream::shared, SampleStream::own));
    constexpr std::uint64_t iterations = 30;
    Schedule in_order(spec);
    std::vector<Samples> expected;
    for (std::uint64_t iteration = 1; iteration <= iterations; ++iteration) {
      for (std::uint32_t slice = 0; slice < spec.slices; ++slice) {
        expected.push_back(at(in_order, iteration, slice));
      }
    }
    Schedule jumping(spec);
    for (int jump = 0; jump < 50; ++jump) {
      const auto iteration = *rc::gen::inRange<std::uint64_t>(1, iterations + 1);
      const auto slice = *rc::gen::inRange(0U, spec.slices);
      RC_ASSERT(at(jumping, iteration, slice) == expected[(iteration - 1) * spec.slices + slice]);
    }
  }));
}

TEST_CASE("seeds, passes and slices of their own stream are shuffled differently") {
  const std::uint32_t count = 50;
  Schedule schedule({1, count, 2, count, SampleStream::own});
  Schedule other_seed({2, count, 2, count, SampleStream::own});
  CHECK(at(schedule, 1, 0) != at(other_seed, 1, 0));
  CHECK(at(schedule, 1, 0) != at(schedule, 2, 0));
  CHECK(at(schedule, 1, 0) != at(schedule, 1, 1));
}

TEST_CASE("every order of three samples comes up about equally often") {
  Schedule schedule({7, 3, 1, 3, SampleStream::shared});
  std::vector<int> seen(27);
  for (std::uint64_t pass = 1; pass <= 6000; ++pass) {
    const auto samples = at(schedule, pass, 0);
    ++seen[samples[0] * 9 + samples[1] * 3 + samples[2]];
  }
  CHECK(std::count(seen.begin(), seen.end(), 0) == 21);
  for (const int times : seen) {
    CHECK((times == 0 || std::abs(times - 1000) < 150));  // standard deviation: 29
  }
}

TEST_CASE("the schedule of a seed never changes, so that old runs can be continued") {
  Schedule shared({42, 10, 2, 3, SampleStream::shared});
  CHECK(at(shared, 1, 0) == Samples{7, 5, 9});
  CHECK(at(shared, 1000000, 1) == Samples{0, 2, 9});
  Schedule own({42, 10, 2, 3, SampleStream::own});
  CHECK(at(own, 4, 1) == Samples{9, 3, 7});
}

}  // namespace
}  // namespace ringps
