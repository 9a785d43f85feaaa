// Look-ups in a server's rows: what a pull and a push of random rows cost without sockets.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "libps/base/random.hpp"
#include "libps/base/row_hash.hpp"
#include "libps/rows/row_block.hpp"

namespace ringps {
namespace {

constexpr std::uint32_t buckets = 256;
constexpr std::uint64_t ids_at_once = 100'000;

std::uint64_t row_id(std::uint64_t n) {
  return n * 0x9E3779B97F4A7C15ULL;
}

/// A table that has all its rows.
class Table {
 public:
  Table(std::uint64_t rows, std::uint32_t width) : rows_(rows) {
    spec_.name = std::string("rows");
    spec_.width = width;
    optimizer_.learning_rate = 0.001F;
    rules_.emplace(spec_, 1, 0);
    for (std::uint32_t b = 0; b < buckets; ++b) {
      blocks_.emplace_back(*rules_);
    }
    for (std::uint64_t first = 0; first < rows; first += ids_at_once) {
      std::vector<std::uint64_t> ids;
      for (std::uint64_t n = first; n < std::min(rows, first + ids_at_once); ++n) {
        ids.push_back(row_id(n));
      }
      step(lists_of(ids, width));
    }
  }

  using Lists = std::vector<std::vector<std::byte>>;

  /// Random rows, as a worker sends them: a list for each block.
  Lists random_lists(std::uint32_t width) {
    const KeyedRandom random(1, "ids", ++draws_);
    std::vector<std::uint64_t> ids(ids_at_once);
    for (std::uint64_t i = 0; i < ids.size(); ++i) {
      ids[i] = row_id(random.below(i, rows_));
    }
    return lists_of(ids, width);
  }

  void step(const Lists& lists) {
    ++iteration_;
    for (std::uint32_t b = 0; b < buckets; ++b) {
      const RowList list(lists[b].data(), spec_.width);
      blocks_[b].step({&list, 1}, 1.0F, OptimizerStep(optimizer_, Iteration{iteration_}));
    }
  }

  void read(const Lists& lists, std::vector<float>& values) const {
    auto* to = reinterpret_cast<std::byte*>(values.data());
    for (std::uint32_t b = 0; b < buckets; ++b) {
      const RowList list(lists[b].data(), 0);
      blocks_[b].read(list, false, to);
      to += list.count() * spec_.width * sizeof(float);
    }
  }

 private:
  static Lists lists_of(const std::vector<std::uint64_t>& ids, std::uint32_t width) {
    std::vector<std::vector<std::uint64_t>> by_bucket(buckets);
    for (const std::uint64_t id : ids) {
      by_bucket[row_bucket(id, buckets)].push_back(id);
    }
    Lists lists;
    for (const auto& of_bucket : by_bucket) {
      lists.emplace_back(RowList::bytes(of_bucket.size(), width));  // gradients of zero
      std::byte* const to = RowList::begin(lists.back().data(), of_bucket.size());
      if (!of_bucket.empty()) {
        std::memcpy(to, of_bucket.data(), of_bucket.size() * sizeof(std::uint64_t));
      }
    }
    return lists;
  }

  std::uint64_t rows_;
  TableSpec spec_;
  OptimizerSpec optimizer_;
  std::optional<RowRules> rules_;
  std::vector<RowBlock> blocks_;
  std::uint64_t iteration_ = 0;
  std::uint64_t draws_ = 0;
};

void measure(benchmark::State& state, bool push) {
  const auto width = static_cast<std::uint32_t>(state.range(1));
  Table table(static_cast<std::uint64_t>(state.range(0)), width);
  std::vector<float> values(ids_at_once * width);
  for (auto _ : state) {
    state.PauseTiming();
    const Table::Lists lists = table.random_lists(push ? width : 0);
    state.ResumeTiming();
    if (push) {
      table.step(lists);
    } else {
      table.read(lists, values);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ids_at_once));
}

void pull(benchmark::State& state) {
  measure(state, false);
}
void push(benchmark::State& state) {
  measure(state, true);
}

BENCHMARK(pull)
    ->ArgNames({"rows", "width"})
    ->ArgsProduct({{1'000'000, 10'000'000}, {1, 16}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(push)
    ->ArgNames({"rows", "width"})
    ->ArgsProduct({{1'000'000, 10'000'000}, {1, 16}})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ringps

BENCHMARK_MAIN();
