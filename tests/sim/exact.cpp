#include "tests/sim/exact.hpp"

#include <algorithm>

#include "libps/base/random.hpp"
#include "libps/core/clocks.hpp"

namespace ringps::sim {

Floats exact_gradient(std::uint64_t seed, Iteration iteration, SliceId slice, std::size_t size) {
  const KeyedRandom random(seed, "exact gradient", iteration.value * 1024 + slice.value);
  Floats values(size);
  for (std::size_t i = 0; i < size; ++i) {
    const auto number = static_cast<int>(random.uniform(i) * 1000.0F);
    values[i] = static_cast<float>(number < 500 ? number + 1 : 499 - number);
  }
  return values;
}

Exact::Exact(const JobSpec& job)
    : job_(job), table_(job.tensors, job.block_elements), first_(table_.flat_elements(), 0.0F) {
  if (!job.asynchronous()) {
    return;
  }
  for (std::uint32_t b = 0; b < table_.size(); ++b) {
    const auto& at = table_[BlockId{b}];
    std::fill_n(first_.begin() + static_cast<std::ptrdiff_t>(at.flat_offset), at.elements,
                job.tensors[at.tensor].initialiser.low);
  }
  contributed_.resize(job.slices);
  for (std::uint32_t s = 0; s < job.slices; ++s) {
    contributed_[s].push_back(Floats(first_.size(), 0.0F));
    for (Iteration iteration{1}; iteration <= job.iterations; iteration = iteration.next()) {
      Floats sum = exact_gradient(job.seed, iteration, SliceId{s}, first_.size());
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += contributed_[s].back()[i];
      }
      contributed_[s].push_back(std::move(sum));
    }
  }
}

std::span<const float> Exact::clocks(std::span<const float> buffer) const {
  return buffer.last(job_.slices * floats_per_clock);
}

float Exact::value(std::size_t element, std::span<const float> clocks) const {
  float sum = 0;
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    sum += contributed_[s][clock_at(clocks, s).value][element];
  }
  return first_[element] - job_.optimizer.learning_rate * sum / static_cast<float>(job_.slices);
}

Floats Exact::block(BlockId block, Iteration iteration) const {
  const auto& at = table_[block];
  const std::size_t model = std::size_t{at.elements} * (1 + job_.optimizer.state_per_element());
  Floats buffer(model + job_.slices * floats_per_clock, 0.0F);
  const std::span<float> all = std::span(buffer).subspan(model);
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    set_clock(all, s, iteration);
  }
  for (std::size_t i = 0; i < at.elements; ++i) {
    buffer[i] = value(at.flat_offset + i, all);
  }
  return buffer;
}

bool Exact::is_block(BlockId block, std::span<const float> buffer) const {
  const auto& at = table_[block];
  const std::size_t model = std::size_t{at.elements} * (1 + job_.optimizer.state_per_element());
  if (buffer.size() != model + job_.slices * floats_per_clock) {
    return false;
  }
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    if (clock_at(clocks(buffer), s) > job_.iterations) {
      return false;
    }
  }
  for (std::size_t i = 0; i < at.elements; ++i) {
    if (buffer[i] != value(at.flat_offset + i, clocks(buffer))) {
      return false;
    }
  }
  return true;
}

bool Exact::are_last(std::span<const float> weights) const {
  Floats all(job_.slices * floats_per_clock, 0.0F);
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    set_clock(all, s, job_.iterations);
  }
  for (std::uint32_t b = 0; b < table_.size(); ++b) {
    const auto& at = table_[BlockId{b}];
    for (std::size_t i = at.flat_offset; i < at.flat_offset + at.elements; ++i) {
      if (weights[i] != value(i, all)) {
        return false;
      }
    }
  }
  return weights.size() == first_.size();
}

}  // namespace ringps::sim
