#include "tests/sim/exact.hpp"

#include <algorithm>

#include "libps/base/random.hpp"
#include "libps/core/clocks.hpp"
#include "libps/wire/compression.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

bool leaves_residuals(const JobSpec& job) {
  return job.compression.gradients == Encoding::top_k && job.seed % 2 == 1;
}

Floats exact_gradient(const JobSpec& job, Iteration iteration, SliceId slice) {
  const BlockTable table(job.tensors, job.block_elements);
  const KeyedRandom random(job.seed, "exact gradient", iteration.value * 1024 + slice.value);
  Floats values(table.flat_elements());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto number = static_cast<int>(random.uniform(i) * 1000.0F);
    values[i] = static_cast<float>(number < 500 ? number + 1 : 499 - number);
  }
  const bool sparse = job.compression.gradients == Encoding::top_k && !leaves_residuals(job);
  for (std::uint32_t b = 0; sparse && b < table.size(); ++b) {
    const auto& at = table[BlockId{b}];
    const std::size_t kept = kept_elements(at.elements, job.compression.keep);
    for (std::size_t i = 0; i < at.elements; ++i) {
      if ((i + iteration.value + slice.value) % at.elements >= kept) {
        values[at.flat_offset + i] = 0.0F;
      }
    }
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
      Floats sum = exact_gradient(job, iteration, SliceId{s});
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] = plainly_rounded(sum[i], job.compression.gradients) + contributed_[s].back()[i];
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
  for (std::size_t i = 0; !leaves_residuals(job_) && i < at.elements; ++i) {
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
    for (std::size_t i = at.flat_offset; !leaves_residuals(job_) && i < at.flat_offset + at.elements; ++i) {
      if (weights[i] != plainly_rounded(value(i, all), job_.compression.weights)) {
        return false;
      }
    }
  }
  return weights.size() == first_.size();
}

}  // namespace ringps::sim
