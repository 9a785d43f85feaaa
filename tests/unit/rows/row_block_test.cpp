// The rows of a block against a plain map from id to row.
#include "libps/rows/row_block.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

namespace ringps {
namespace {

struct PlainRow {
  std::vector<float> values;
  std::vector<float> state;
  std::uint64_t touched = 0;
};

struct Push {
  std::vector<std::uint64_t> ids;
  std::vector<float> values;
};

std::vector<std::byte> list_of(const Push& push, std::uint32_t width) {
  std::vector<std::byte> bytes(RowList::bytes(push.ids.size(), width));
  std::byte* to = RowList::begin(bytes.data(), push.ids.size());
  if (!push.ids.empty()) {
    std::memcpy(to, push.ids.data(), push.ids.size() * sizeof(std::uint64_t));
  }
  if (width != 0 && !push.values.empty()) {
    std::memcpy(to + push.ids.size() * sizeof(std::uint64_t), push.values.data(), push.values.size() * sizeof(float));
  }
  return bytes;
}

constexpr std::uint64_t ids_max = 40;

/// A table of one block, beside the same in plain loops. Rows are looked up now, or at some earlier time, or as they
/// are stepped and read.
class Twin {
 public:
  Twin(std::uint32_t width, OptimizerKind kind, std::uint32_t expire_after) {
    table_.name = std::string("rows");
    table_.width = width;
    table_.initialiser = {-1.0F, 1.0F};
    table_.expire_after = expire_after;
    optimizer_.kind = kind;
    optimizer_.learning_rate = 0.25F;
    optimizer_.weight_decay = 0.125F;
    rules_.emplace(table_, 7, optimizer_.state_per_element());
    block_.emplace(*rules_);
  }

  void step(const std::vector<Push>& pushes) {
    const std::uint32_t width = table_.width;
    previous_ = rows_;
    std::map<std::uint64_t, std::vector<float>> sums;
    std::vector<std::uint64_t> order;
    for (const Push& push : pushes) {
      for (std::size_t i = 0; i < push.ids.size(); ++i) {
        const auto first = push.values.begin() + static_cast<std::ptrdiff_t>(i * width);
        const auto [sum, added] =
            sums.try_emplace(push.ids[i], std::vector<float>(first, first + static_cast<std::ptrdiff_t>(width)));
        for (std::uint32_t e = 0; !added && e < width; ++e) {
          sum->second[e] += push.values[i * width + e];
        }
      }
    }
    for (auto& [id, sum] : sums) {
      PlainRow row = read(rows_, iteration_, id);
      for (std::uint32_t e = 0; e < width; ++e) {
        const float g = sum[e] * 0.5F + optimizer_.weight_decay * row.values[e];
        if (optimizer_.kind == OptimizerKind::momentum) {
          row.state[e] = optimizer_.momentum * row.state[e] + g;
          row.values[e] -= optimizer_.learning_rate * row.state[e];
        } else {
          row.values[e] -= optimizer_.learning_rate * g;
        }
      }
      row.touched = iteration_ + 1;
      rows_[id] = row;
    }
    ++iteration_;
    std::vector<std::vector<std::byte>> bytes;
    std::vector<std::vector<std::uint32_t>> places;
    std::vector<RowList> lists;
    for (const Push& push : pushes) {
      bytes.push_back(list_of(push, width));
      places.push_back(places_of(push.ids));
      lists.push_back(RowList::parse(bytes.back(), width)->with_places(places.back()));
    }
    if (iteration_ % 7 == 0) {
      look_up_all();
    }
    block_->step(lists, 0.5F, OptimizerStep(optimizer_, Iteration{iteration_}));
  }

  void check_same(const RowBlock& block) const {
    check_version(block, false, rows_, iteration_);
    if (block.has_previous()) {
      check_version(block, true, previous_, iteration_ - 1);
    }
  }
  void check_same() const { check_same(*block_); }

  RowBlock& block() { return *block_; }
  const RowRules& rules() const { return *rules_; }

 private:
  using Rows = std::map<std::uint64_t, PlainRow>;

  bool alive(const PlainRow& row, std::uint64_t iteration) const {
    return table_.expire_after == 0 || iteration - row.touched <= table_.expire_after;
  }

  PlainRow read(const Rows& rows, std::uint64_t iteration, std::uint64_t id) const {
    const auto at = rows.find(id);
    if (at != rows.end() && alive(at->second, iteration)) {
      return at->second;
    }
    PlainRow row{std::vector<float>(table_.width), std::vector<float>(table_.width * optimizer_.state_per_element()),
                 0};
    rules_->initialise(id, row.values.data());
    return row;
  }

  /// Where each of all ids is, to be used later on.
  void look_up_all() {
    Push all;
    for (std::uint64_t id = 0; id < ids_max; ++id) {
      all.ids.push_back(id);
    }
    const auto bytes = list_of(all, 0);
    places_.resize(ids_max);
    block_->look_up(*RowList::parse(bytes, 0), places_);
  }

  /// None, or right ones, or such as were right once, or those of other rows.
  std::vector<std::uint32_t> places_of(const std::vector<std::uint64_t>& ids) const {
    std::vector<std::uint32_t> places(iteration_ % 4 == 0 ? 0 : ids.size());
    if (iteration_ % 4 == 1) {
      Push ask{ids, {}};
      const auto bytes = list_of(ask, 0);
      block_->look_up(*RowList::parse(bytes, 0), places);
    } else {
      for (std::size_t i = 0; i < places.size(); ++i) {
        places[i] = places_.empty() ? 77 : places_[iteration_ % 4 == 2 ? ids[i] : (ids[i] + 1) % ids_max];
      }
    }
    return places;
  }

  void check_version(const RowBlock& block, bool previous, const Rows& rows, std::uint64_t iteration) const {
    Push ask;
    for (std::uint64_t id = 0; id < ids_max; ++id) {
      ask.ids.push_back((id * 7) % ids_max);
    }
    const auto bytes = list_of(ask, 0);
    const auto places = places_of(ask.ids);
    std::vector<float> found(ask.ids.size() * table_.width);
    block.read(RowList::parse(bytes, 0)->with_places(places), previous,
               std::as_writable_bytes(std::span(found)).data());
    const RowImage image = block.image(previous);
    std::size_t expected_rows = 0;
    for (const auto& [id, row] : rows) {
      expected_rows += alive(row, iteration) ? 1U : 0U;
    }
    REQUIRE(image.ids.size() == expected_rows);
    for (std::size_t i = 0; i < ask.ids.size(); ++i) {
      const PlainRow expected = read(rows, iteration, ask.ids[i]);
      const std::vector<float> values(found.begin() + static_cast<std::ptrdiff_t>(i * table_.width),
                                      found.begin() + static_cast<std::ptrdiff_t>((i + 1) * table_.width));
      REQUIRE(values == expected.values);
    }
    REQUIRE(std::is_sorted(image.ids.begin(), image.ids.end()));
    for (std::size_t r = 0; r < image.ids.size(); ++r) {
      const PlainRow& row = rows.at(image.ids[r]);
      for (std::uint32_t e = 0; e < table_.width; ++e) {
        REQUIRE(image.values[r * table_.width + e] == row.values[e]);
        if (!row.state.empty()) {
          REQUIRE(image.state[r * table_.width + e] == row.state[e]);
        }
      }
      if (table_.expire_after != 0) {
        REQUIRE(image.touched[r] == row.touched);
      }
    }
  }

  TableSpec table_;
  OptimizerSpec optimizer_;
  std::optional<RowRules> rules_;
  std::optional<RowBlock> block_;
  Rows rows_;
  Rows previous_;
  std::uint64_t iteration_ = 0;
  std::vector<std::uint32_t> places_;
};

/// A gradient of 1 for each of the first so many ids, of width 1.
Push first_rows(std::uint64_t count) {
  Push push;
  for (std::uint64_t id = 0; id < count; ++id) {
    push.ids.push_back(id);
    push.values.push_back(1.0F);
  }
  return push;
}

std::vector<Push> random_pushes(std::uint64_t iteration, std::uint32_t width) {
  const KeyedRandom random(3, "pushes", iteration);
  std::vector<Push> pushes(1 + random.below(0, 3));
  std::uint64_t counter = 1;
  for (Push& push : pushes) {
    const std::uint64_t rows = random.below(counter++, 12);
    for (std::uint64_t r = 0; r < rows; ++r) {
      push.ids.push_back(random.below(counter++, 30));
      for (std::uint32_t e = 0; e < width; ++e) {
        push.values.push_back(random.uniform(counter++) - 0.5F);
      }
    }
  }
  return pushes;
}

}  // namespace

TEST_CASE("a block of rows is what a plain map would be, in this version and the one before, wherever rows were") {
  const auto width = GENERATE(1U, 3U);
  const auto kind = GENERATE(OptimizerKind::sgd, OptimizerKind::momentum);
  const auto expire_after = GENERATE(0U, 1U, 4U);
  CAPTURE(width, expire_after);
  Twin twin(width, kind, expire_after);
  twin.check_same();
  for (std::uint64_t iteration = 1; iteration <= 60; ++iteration) {
    twin.step(random_pushes(iteration, width));
    twin.check_same();
  }
}

TEST_CASE("a handed-over block of rows goes on as the one that it was copied from") {
  Twin twin(2, OptimizerKind::momentum, 3);
  for (std::uint64_t iteration = 1; iteration <= 20; ++iteration) {
    twin.step(random_pushes(iteration, 2));
    std::vector<std::byte> bytes(twin.block().state_bytes());
    twin.block().write_state(bytes.data());
    auto copy = RowBlock::from_state(twin.rules(), bytes);
    REQUIRE(copy);
    twin.check_same(*copy);
    if (iteration % 5 == 0) {
      twin.block() = std::move(*copy);
    }
    bytes.pop_back();
    CHECK(!RowBlock::from_state(twin.rules(), bytes));
  }
}

TEST_CASE("a snapshot of rows stays as it was when the block goes on, and an image restores to the same block") {
  Twin twin(2, OptimizerKind::momentum, 3);
  for (std::uint64_t iteration = 1; iteration <= 10; ++iteration) {
    twin.step(random_pushes(iteration, 2));
  }
  const RowImage before = twin.block().image(false);
  const RowBlock::Snapshot snapshot = twin.block().snapshot(false);
  CHECK(snapshot.rows() == before.ids.size());
  CHECK(RowBlock(twin.rules(), before).image(false) == before);
  for (std::uint64_t iteration = 11; iteration <= 20; ++iteration) {
    twin.step(random_pushes(iteration, 2));
  }
  CHECK(snapshot.image() == before);
}

TEST_CASE("expired rows give their memory back") {
  Twin twin(1, OptimizerKind::sgd, 2);
  twin.step({first_rows(30)});
  CHECK(twin.block().size() == 30);
  for (int i = 0; i < 5; ++i) {
    twin.step({});
    twin.check_same();
  }
  CHECK(twin.block().size() == 0);
}

TEST_CASE("where rows were is taken over for the same list, and looked up for another one of the same length") {
  Twin twin(1, OptimizerKind::sgd, 0);
  twin.step({first_rows(30)});
  const auto look_up = [&](const Push& ask, std::span<const std::uint32_t> before) {
    const auto bytes = list_of(ask, 0);
    std::vector<std::uint32_t> places(ask.ids.size());
    twin.block().look_up(*RowList::parse(bytes, 0), places, before);
    return places;
  };
  const Push ask{{4, 5, 6, 7}, {}};
  const auto places = look_up(ask, {});
  CHECK(look_up(ask, places) == places);
  auto known = places;
  known[2] = 0;  // not one of those that are looked at: so one can see where it is from, and reading finds it anyway
  CHECK(look_up(ask, known) == known);
  CHECK(look_up({{4, 5, 6, 8}, {}}, known) == look_up({{4, 5, 6, 8}, {}}, {}));
  CHECK(look_up({{5, 5, 6, 7}, {}}, known) == look_up({{5, 5, 6, 7}, {}}, {}));
  CHECK(look_up({{4, 5, 6}, {}}, known) == look_up({{4, 5, 6}, {}}, {}));
  known[3] = 0xFFFFFFFF;
  CHECK(look_up(ask, known) == places);
}

TEST_CASE("the reduced gradient of a step makes the same step at a replica") {
  Twin twin(3, OptimizerKind::sgd, 0);
  TableSpec table;
  table.name = std::string("rows");
  table.width = 3;
  table.initialiser = {-1.0F, 1.0F};
  OptimizerSpec optimizer;
  optimizer.learning_rate = 0.25F;
  optimizer.weight_decay = 0.125F;
  const RowRules rules(table, 7, 0);
  RowBlock replica(rules);
  for (std::uint64_t iteration = 1; iteration <= 10; ++iteration) {
    twin.step(random_pushes(iteration, 3));
    std::vector<std::byte> reduced(twin.block().reduced_bytes());
    twin.block().write_reduced(reduced.data());
    const RowList list = *RowList::parse(reduced, 3);
    replica.step(std::span(&list, 1), 1.0F, OptimizerStep(optimizer, Iteration{iteration}));
    CHECK(replica.image(false) == twin.block().image(false));
  }
}

TEST_CASE("clocks go with the rows of their version, wherever they are copied to") {
  TableSpec table;
  table.name = std::string("rows");
  table.expire_after = 3;
  const RowRules rules(table, 1, 0, 2);
  RowBlock block(rules);
  const auto bytes = list_of({{7}, {1.0F}}, 1);
  const RowList list = *RowList::parse(bytes, 1);
  OptimizerSpec optimizer;
  optimizer.learning_rate = 1.0F;
  const Floats first{5.0F, 0.0F};
  const Floats second{6.0F, 0.0F};
  block.step(std::span(&list, 1), 1.0F, OptimizerStep(optimizer, Iteration{5}), Iteration{1}, first);
  const RowBlock::Snapshot snapshot = block.snapshot(false);
  block.step(std::span(&list, 1), 1.0F, OptimizerStep(optimizer, Iteration{3}), Iteration{2}, second);
  const auto same = [](std::span<const float> found, const Floats& expected) {
    return std::equal(found.begin(), found.end(), expected.begin(), expected.end());
  };
  CHECK(same(snapshot.clocks(), first));
  CHECK(same(block.clocks(false), second));
  CHECK(same(block.clocks(true), first));
  CHECK(block.image(true).clocks == first);
  CHECK(block.image(false) == RowBlock(rules, block.image(false)).image(false));
  CHECK(block.image(false).touched == std::vector<std::uint64_t>{5});  // ahead of the version, and not taken back
  std::vector<std::byte> state(block.state_bytes());
  block.write_state(state.data());
  const auto copy = RowBlock::from_state(rules, state);
  REQUIRE(copy);
  CHECK(copy->image(false) == block.image(false));
  CHECK(copy->image(true) == block.image(true));
  CHECK_FALSE(RowBlock::from_state(RowRules(table, 1, 0, 4), state));
}

TEST_CASE("rows expire by their version's iteration, whichever way contributions came, and are swept in any case") {
  TableSpec table;
  table.name = std::string("rows");
  table.expire_after = 3;
  const RowRules rules(table, 1, 0);
  RowBlock block(rules);
  const auto bytes = list_of({{7}, {1.0F}}, 1);
  const RowList list = *RowList::parse(bytes, 1);
  OptimizerSpec optimizer;
  optimizer.learning_rate = 1.0F;
  block.step(std::span(&list, 1), 1.0F, OptimizerStep(optimizer, Iteration{5}), Iteration{1}, {});
  const auto pass = [&](std::uint64_t iteration) {
    block.step({}, 1.0F, OptimizerStep(optimizer, Iteration{iteration}), Iteration{iteration}, {});
    return block.image(false).ids.size();
  };
  CHECK(pass(8) == 1);
  CHECK(pass(8) == 1);  // several steps may make up an iteration
  CHECK(pass(10) == 0);
  CHECK(block.image(true).ids.size() == 1);
  CHECK(pass(11) == 0);
  CHECK(pass(13) == 0);  // no multiple of three, but beyond one
  CHECK(block.size() == 0);
}

TEST_CASE("a list of rows that is not whole is none") {
  const auto bytes = list_of({{1, 2}, {0.5F, 0.25F}}, 1);
  REQUIRE(RowList::parse(bytes, 1));
  CHECK(RowList::parse(bytes, 1)->count() == 2);
  CHECK(RowList::parse(bytes, 1)->id(1) == 2);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CHECK(!RowList::parse(std::span(bytes).first(cut), 1));
  }
  std::vector<std::byte> huge(16, std::byte{0xFF});
  CHECK(!RowList::parse(huge, 0));
}

TEST_CASE("many rows are found, those as well whose hashes look the same to the index") {
  // Of so many ids a few share the 32 bits of their hash that the index knows.
  constexpr std::uint64_t named = 300'000;
  std::map<std::uint32_t, std::vector<std::uint64_t>> by_hash;
  for (std::uint64_t id = 0; id < named; ++id) {
    by_hash[static_cast<std::uint32_t>(row_hash(id))].push_back(id);
  }
  Push push;
  std::vector<std::uint64_t> absent;
  for (const auto& [hash, ids] : by_hash) {
    if (ids.size() > 1) {
      push.ids.push_back(ids.front());
      absent.push_back(ids.back());
    } else if (hash % 16 == 0) {
      push.ids.push_back(ids.front());
    }
  }
  REQUIRE(absent.size() > 2);
  REQUIRE(push.ids.size() > 10'000);
  for (std::size_t i = 0; i < push.ids.size(); ++i) {
    push.values.push_back(static_cast<float>(i + 1));
  }
  TableSpec table;
  table.name = std::string("rows");
  const RowRules rules(table, 1, 0);
  RowBlock block(rules);
  OptimizerSpec optimizer;
  optimizer.learning_rate = 1.0F;
  const auto step = [&](const Push& contribution, std::uint64_t iteration) {
    const auto bytes = list_of(contribution, 1);
    const RowList list(bytes.data(), 1);
    block.step({&list, 1}, 1.0F, OptimizerStep(optimizer, Iteration{iteration}));
  };
  Push ask{push.ids, {}};
  ask.ids.insert(ask.ids.end(), absent.begin(), absent.end());
  const auto asked = list_of(ask, 0);
  const auto read = [&] {
    std::vector<float> found(ask.ids.size(), -1.0F);
    block.read(RowList(asked.data(), 0), false, std::as_writable_bytes(std::span(found)).data());
    return found;
  };

  step(push, 1);
  REQUIRE(block.size() == push.ids.size());
  std::vector<float> expected;
  for (const float value : push.values) {
    expected.push_back(-value);
  }
  expected.resize(ask.ids.size(), 0.0F);
  REQUIRE(read() == expected);

  // And when they come into being beside their likes.
  step({absent, std::vector<float>(absent.size(), 0.5F)}, 2);
  std::fill(expected.end() - static_cast<std::ptrdiff_t>(absent.size()), expected.end(), -0.5F);
  REQUIRE(read() == expected);
}

}  // namespace ringps
