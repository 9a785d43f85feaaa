#include "tests/sim/reference.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "libps/base/random.hpp"
#include "libps/core/assignment.hpp"
#include "libps/optim/initialise.hpp"
#include "libps/ring/view.hpp"

namespace ringps::sim {

Floats gradient(std::uint64_t seed, Iteration iteration, SliceId slice, std::span<const float> weights) {
  const KeyedRandom random(seed, "gradient", iteration.value * 1024 + slice.value);
  Floats values(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float noise = random.uniform(i) - 0.5F;
    values[i] = 0.3F * (weights[i] - noise) + 0.1F * weights[(i * 7 + 3) % weights.size()] * noise;
  }
  return values;
}

std::vector<std::uint64_t> rows_of(std::uint64_t seed, Iteration iteration, SliceId slice, std::uint32_t table) {
  const KeyedRandom random(seed, "rows", (iteration.value * 1024 + slice.value) * 16 + table);
  std::vector<std::uint64_t> ids(random.below(0, 10));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = random.below(i + 1, 24) * 0x9E3779B97F4A7C15ULL;
  }
  return ids;
}

Floats row_gradient(std::uint64_t seed, Iteration iteration, SliceId slice, std::uint32_t table,
                    std::span<const float> values) {
  const KeyedRandom random(seed, "row gradient", (iteration.value * 1024 + slice.value) * 16 + table);
  Floats gradient(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float noise = random.uniform(i) - 0.5F;
    gradient[i] = 0.3F * (values[i] - noise) + 0.1F * values[(i * 5 + 1) % values.size()] * noise;
  }
  return gradient;
}

float plainly_rounded(float value, Encoding encoding) {
  const bool half = encoding == Encoding::float16;
  if (!(half || encoding == Encoding::bfloat16) || !std::isfinite(value)) {
    return value;
  }
  int exponent = 0;
  std::frexp(static_cast<double>(value), &exponent);
  const double step = std::ldexp(1.0, half ? std::max(exponent - 11, -24) : std::max(exponent - 8, -133));
  const double largest = half ? 65504.0 : std::ldexp(255.0, 120);
  const double nearest = std::nearbyint(static_cast<double>(value) / step) * step;
  return static_cast<float>(std::clamp(nearest, -largest, largest));
}

Reference::Reference(const JobSpec& job) : job_(job), table_(job.tensors, job.block_elements, job.tables) {
  for (const TableSpec& table : job.tables) {
    rules_.emplace_back(table, job.seed, job.optimizer.state_per_element());
  }
  std::vector<std::string> servers;
  for (std::uint32_t s = 0; s < job.servers; ++s) {
    servers.push_back("server" + std::to_string(s));
  }
  const Placement placement(servers, table_, job.virtual_nodes, 1);
  contributors_.resize(table_.size());
  for (std::uint32_t b = 0; b < table_.size(); ++b) {
    for (std::uint32_t s = 0; s < job.slices; ++s) {
      if (contributes(job, SliceId{s}, servers[placement.primary(BlockId{b})])) {
        contributors_[b].push_back(SliceId{s});
      }
    }
  }
  Version first{Floats(table_.flat_elements(), 0.0F), Floats(table_.flat_elements(), 0.0F),
                std::vector<Table>(job.tables.size())};
  const auto offsets = flat_offsets(job.tensors);
  for (std::size_t t = 0; t < job.tensors.size(); ++t) {
    initialise(job.tensors[t], job.seed, 0, std::span(first.weights).subspan(offsets[t], job.tensors[t].elements()));
  }
  versions_.push_back(std::move(first));
  while (versions_.size() <= job.iterations.value) {
    step(Iteration{versions_.size()});
  }
}

Floats Reference::weights_at_workers(Iteration version) const {
  Floats values = weights(version);
  for (float& element : values) {
    element = plainly_rounded(element, job_.compression.weights);
  }
  return values;
}

void Reference::step(Iteration next) {
  const Version& old = versions_.back();
  const Iteration computed_from{(next.value - 1) / job_.refresh_interval * job_.refresh_interval};
  std::vector<Floats> gradients;
  for (std::uint32_t s = 0; s < job_.slices; ++s) {
    gradients.push_back(gradient(job_.seed, next, SliceId{s}, weights_at_workers(computed_from)));
    for (float& element : gradients.back()) {
      element = plainly_rounded(element, job_.compression.gradients);
    }
  }
  const float scale = job_.worker_scope == WorkerScope::all ? 1.0F / static_cast<float>(job_.slices) : 1.0F;
  const OptimizerSpec& rule = job_.optimizer;
  Version made = old;
  step_tables(next, old, made);
  for (std::uint32_t b = 0; b < table_.size(); ++b) {
    const auto& block = table_[BlockId{b}];
    for (std::size_t i = block.flat_offset; i < block.flat_offset + block.elements; ++i) {
      float sum = gradients[contributors_[b][0].value][i];
      for (std::size_t c = 1; c < contributors_[b].size(); ++c) {
        sum += gradients[contributors_[b][c].value][i];
      }
      const float slope = sum * scale + rule.weight_decay * old.weights[i];
      made.state[i] = rule.momentum * old.state[i] + slope;
      made.weights[i] = old.weights[i] - rule.learning_rate * (rule.kind == OptimizerKind::sgd ? slope : made.state[i]);
    }
  }
  versions_.push_back(std::move(made));
}

/// A row as it reads at a version.
Reference::Row Reference::row(const Version& version, Iteration iteration, std::uint32_t table,
                              std::uint64_t id) const {
  const TableSpec& spec = job_.tables[table];
  const auto at = version.tables[table].find(id);
  if (at != version.tables[table].end() &&
      (spec.expire_after == 0 || iteration.value - at->second.touched.value <= spec.expire_after)) {
    return at->second;
  }
  Row fresh{
      std::vector<float>(spec.width), std::vector<float>(spec.width * job_.optimizer.state_per_element(), 0.0F), {}};
  rules_[table].initialise(id, fresh.values.data());
  return fresh;
}

void Reference::step_tables(Iteration next, const Version& old, Version& made) const {
  const Iteration before{next.value - 1};
  const OptimizerSpec& rule = job_.optimizer;
  for (std::uint32_t t = 0; t < job_.tables.size(); ++t) {
    const std::size_t width = job_.tables[t].width;
    std::map<std::uint64_t, std::vector<float>> sums;
    for (std::uint32_t s = 0; s < job_.slices; ++s) {
      const auto ids = rows_of(job_.seed, next, SliceId{s}, t);
      Floats values;
      for (const std::uint64_t id : ids) {
        const Row row = this->row(old, before, t, id);
        values.insert(values.end(), row.values.begin(), row.values.end());
      }
      const Floats slopes = row_gradient(job_.seed, next, SliceId{s}, t, values);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto first = slopes.begin() + static_cast<std::ptrdiff_t>(i * width);
        const auto [sum, added] =
            sums.try_emplace(ids[i], std::vector<float>(first, first + static_cast<std::ptrdiff_t>(width)));
        for (std::size_t e = 0; !added && e < width; ++e) {
          sum->second[e] += slopes[i * width + e];
        }
      }
    }
    for (const auto& [id, sum] : sums) {
      Row row = this->row(old, before, t, id);
      for (std::size_t e = 0; e < width; ++e) {
        const float slope = sum[e] * (1.0F / static_cast<float>(job_.slices)) + rule.weight_decay * row.values[e];
        if (rule.kind == OptimizerKind::sgd) {
          row.values[e] -= rule.learning_rate * slope;
        } else {
          row.state[e] = rule.momentum * row.state[e] + slope;
          row.values[e] -= rule.learning_rate * row.state[e];
        }
      }
      row.touched = next;
      made.tables[t][id] = std::move(row);
    }
  }
}

RowImage Reference::rows(BlockId block, Iteration version) const {
  const std::uint32_t t = table_.table_of(block);
  const TableSpec& spec = job_.tables[t];
  RowImage image{version, {}, {}, {}, {}};
  for (const auto& [id, row] : versions_[version.value].tables[t]) {
    const bool expired = spec.expire_after != 0 && version.value - row.touched.value > spec.expire_after;
    if (table_.block_of(t, id) == block && !expired) {
      image.ids.push_back(id);
      image.values.insert(image.values.end(), row.values.begin(), row.values.end());
      image.state.insert(image.state.end(), row.state.begin(), row.state.end());
      if (spec.expire_after != 0) {
        image.touched.push_back(row.touched.value);
      }
    }
  }
  return image;
}

Floats Reference::block(BlockId block, Iteration version) const {
  const auto& at = table_[block];
  const Version& all = versions_[version.value];
  const auto cut = [&](const Floats& flat) { return std::span(flat).subspan(at.flat_offset, at.elements); };
  const auto values = cut(all.weights);
  Floats buffer(values.begin(), values.end());
  if (job_.optimizer.state_per_element() != 0) {
    const auto state = cut(all.state);
    buffer.insert(buffer.end(), state.begin(), state.end());
  }
  return buffer;
}

bool Reference::is_used(SliceId slice) const {
  return std::any_of(contributors_.begin(), contributors_.end(), [&](const std::vector<SliceId>& slices) {
    return std::find(slices.begin(), slices.end(), slice) != slices.end();
  });
}

bool Reference::are_values(BlockId block, Iteration version, std::span<const float> buffer) const {
  const auto& at = table_[block];
  return version <= job_.iterations && buffer.size() >= at.elements &&
         is_part(versions_[version.value].weights, at, buffer.first(at.elements));
}

bool Reference::is_block(BlockId block, Iteration version, std::span<const float> buffer) const {
  const auto& at = table_[block];
  const bool stateful = job_.optimizer.state_per_element() != 0;
  return buffer.size() == std::size_t{at.elements} * (stateful ? 2 : 1) && are_values(block, version, buffer) &&
         (!stateful || is_part(versions_[version.value].state, at, buffer.last(at.elements)));
}

bool Reference::is_part(const Floats& flat, const BlockTable::Block& at, std::span<const float> floats) {
  return std::memcmp(flat.data() + at.flat_offset, floats.data(), floats.size_bytes()) == 0;
}

}  // namespace ringps::sim
