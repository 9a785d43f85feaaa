#include "tests/sim/exact_rows.hpp"

#include <algorithm>
#include <functional>

#include "libps/base/random.hpp"
#include "libps/core/clocks.hpp"
#include "tests/sim/reference.hpp"

namespace ringps::sim {

Floats exact_row_gradient(const JobSpec& job, Iteration iteration, SliceId slice, std::uint32_t table) {
  const KeyedRandom random(job.seed, "exact row gradient", (iteration.value * 1024 + slice.value) * 16 + table);
  Floats values(rows_of(job.seed, iteration, slice, table).size() * job.tables[table].width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto number = static_cast<int>(random.uniform(i) * 200.0F);
    values[i] = static_cast<float>(number < 100 ? number + 1 : 99 - number);
  }
  return values;
}

ExactRows::ExactRows(const JobSpec& job)
    : job_(job), table_(job.tensors, job.block_elements, job.tables), touches_(job.tables.size()) {
  for (std::uint32_t t = 0; job.asynchronous() && t < job.tables.size(); ++t) {
    const std::size_t width = job.tables[t].width;
    for (Iteration iteration{1}; iteration <= job.iterations; iteration = iteration.next()) {
      for (std::uint32_t s = 0; s < job.slices; ++s) {
        const auto ids = rows_of(job.seed, iteration, SliceId{s}, t);
        const Floats gradient = exact_row_gradient(job, iteration, SliceId{s}, t);
        for (std::size_t i = 0; i < ids.size(); ++i) {
          auto& touches = touches_[t][ids[i]];
          if (touches.empty() || touches.back().iteration != iteration || touches.back().slice.value != s) {
            touches.push_back({iteration, SliceId{s}, Floats(width, 0.0F)});
          }
          for (std::size_t e = 0; e < width; ++e) {
            touches.back().sum[e] += gradient[i * width + e];
          }
        }
      }
    }
  }
}

RowImage ExactRows::block(BlockId block, Iteration iteration) const {
  const std::uint32_t t = table_.table_of(block);
  const TableSpec& table = job_.tables[t];
  RowImage image{iteration, {}, {}, {}, {}, Floats(job_.slices * floats_per_clock, 0.0F)};
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    set_clock(image.clocks, s, iteration);
  }
  for (const auto& [id, touches] : touches_[t]) {
    Floats sum(table.width, 0.0F);
    Iteration last;
    for (const Touch& touch : touches) {
      if (touch.iteration > iteration) {
        break;
      }
      if (table.expire_after != 0 && touch.iteration.value > last.value + table.expire_after + 1) {
        std::fill(sum.begin(), sum.end(), 0.0F);
      }
      std::transform(sum.begin(), sum.end(), touch.sum.begin(), sum.begin(), std::plus<>());
      last = touch.iteration;
    }
    const bool expired = table.expire_after != 0 && iteration.value > last.value + table.expire_after;
    if (last.value == 0 || expired || table_.block_of(t, id) != block) {
      continue;
    }
    image.ids.push_back(id);
    for (const float each : sum) {
      image.values.push_back(table.initialiser.low -
                             job_.optimizer.learning_rate * each / static_cast<float>(job_.slices));
    }
    image.state.resize(image.values.size() * job_.optimizer.state_per_element(), 0.0F);
    if (table.expire_after != 0) {
      image.touched.push_back(last.value);
    }
  }
  return image;
}

/// Of any of the sums that the row may have: all that is named, or what comes after a gap in which it may have expired.
bool ExactRows::is_sum(std::uint32_t table, const std::vector<const Touch*>& named, const float* values) const {
  const TableSpec& spec = job_.tables[table];
  Floats sum(spec.width, 0.0F);
  for (std::size_t k = named.size(); k-- > 0;) {
    std::transform(sum.begin(), sum.end(), named[k]->sum.begin(), sum.begin(), std::plus<>());
    const bool may_begin =
        k == 0 ||
        (spec.expire_after != 0 && named[k]->iteration.value > named[k - 1]->iteration.value + spec.expire_after + 1);
    const bool same = std::equal(sum.begin(), sum.end(), values, [&](float each, float value) {
      return value == spec.initialiser.low - job_.optimizer.learning_rate * each / static_cast<float>(job_.slices);
    });
    if (may_begin && same) {
      return true;
    }
  }
  return false;
}

std::string ExactRows::problem(std::uint32_t table, const std::vector<const Touch*>& named, const RowImage& rows,
                               std::size_t row) const {
  const TableSpec& spec = job_.tables[table];
  const bool is_there = row < rows.ids.size();
  if (named.empty()) {
    return is_there ? "is there, and nobody has touched it" : "";
  }
  const Iteration last = named.back()->iteration;
  const std::uint64_t slowest = slowest_clock(rows.clocks).value;
  if (!is_there) {
    const bool expired = spec.expire_after != 0 && slowest > last.value + spec.expire_after;
    return expired ? "" : "is not there";
  }
  if (spec.expire_after != 0 && (rows.touched[row] < last.value || slowest > rows.touched[row] + spec.expire_after)) {
    return "was touched last in iteration " + std::to_string(last.value) + ", and it says " +
           std::to_string(rows.touched[row]);
  }
  return is_sum(table, named, &rows.values[row * spec.width]) ? "" : "has other values";
}

std::string ExactRows::problem(BlockId block, const RowImage& rows) const {
  if (rows.clocks.size() != job_.slices * floats_per_clock) {
    return "no clocks";
  }
  if (rows.iteration != slowest_clock(rows.clocks)) {
    return "another iteration than that of its slowest slice";
  }
  const std::uint32_t t = table_.table_of(block);
  std::vector<Iteration> clocks;
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    clocks.push_back(clock_at(rows.clocks, s));
  }
  std::vector<const Touch*> named;
  std::size_t found = 0;
  for (const auto& [id, touches] : touches_[t]) {
    if (table_.block_of(t, id) != block) {
      continue;
    }
    named.clear();
    for (const Touch& touch : touches) {
      if (touch.iteration <= clocks[touch.slice.value]) {
        named.push_back(&touch);
      }
    }
    const auto at = std::lower_bound(rows.ids.begin(), rows.ids.end(), id);
    const bool is_there = at != rows.ids.end() && *at == id;
    found += is_there ? 1U : 0U;
    const auto row = is_there ? static_cast<std::size_t>(at - rows.ids.begin()) : rows.ids.size();
    if (const std::string what = problem(t, named, rows, row); !what.empty()) {
      return "row " + std::to_string(id) + " " + what;
    }
  }
  return found == rows.ids.size() ? "" : "rows that nobody has touched";
}

Floats ExactRows::read(std::uint32_t table, const RowImage& rows, std::uint64_t id) const {
  const TableSpec& spec = job_.tables[table];
  const auto at = std::lower_bound(rows.ids.begin(), rows.ids.end(), id);
  if (at == rows.ids.end() || *at != id) {
    return Floats(spec.width, spec.initialiser.low);
  }
  const auto first = rows.values.begin() + (at - rows.ids.begin()) * static_cast<std::ptrdiff_t>(spec.width);
  return Floats(first, first + static_cast<std::ptrdiff_t>(spec.width));
}

}  // namespace ringps::sim
