// A block of rows as a whole: copies for checkpoints, and its state on the way to another replica.
#include <algorithm>
#include <cstring>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/rows/row_block.hpp"
#include "libps/rows/row_record.hpp"

namespace ringps {

using namespace row_record;

namespace {

void put(std::byte*& to, const void* from, std::size_t bytes) {
  if (bytes != 0) {
    std::memcpy(to, from, bytes);
  }
  to += bytes;
}
void put(std::byte*& to, std::uint64_t value) {
  put(to, &value, sizeof value);
}

template <class Vector>
void take(std::span<const std::byte>& from, Vector& values, std::size_t count) {
  values.resize(count);
  if (count != 0) {
    std::memcpy(values.data(), from.data(), count * sizeof values.front());
  }
  from = from.subspan(count * sizeof values.front());
}
std::uint64_t take(std::span<const std::byte>& from) {
  std::uint64_t value = 0;
  std::memcpy(&value, from.data(), sizeof value);
  from = from.subspan(sizeof value);
  return value;
}

constexpr std::size_t state_head_bytes = 6 * sizeof(std::uint64_t);

}  // namespace

// ---- copies ---------------------------------------------------------------------------------------------------------

RowBlock::RowBlock(const RowRules& rules, const RowImage& image) : RowBlock(rules) {
  const std::size_t rows = image.ids.size();
  const std::size_t width = rules.width();
  check(image.values.size() == rows * width && image.state.size() == rows * width * rules.state_per_element() &&
            image.touched.size() == (rules.expires() ? rows : 0) && image.clocks.size() == rules.clock_floats(),
        "an image fits its rules");
  iteration_ = image.iteration.value;
  clocks_ = image.clocks;
  storage_->records.resize(rows * rules.record_words());
  storage_->size = rows;
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = record(static_cast<Slot>(r));
    store(row + id_word, image.ids[r]);
    store(row + place_word, std::uint32_t{0});
    if (rules.expires()) {
      store(row + touched_word, static_cast<std::uint32_t>(image.touched[r]));
    }
    row += rules.head_words();
    copy_row(&image.values[r * width], width, row);
    for (std::size_t k = 0; k < rules.state_per_element(); ++k) {
      copy_row(&image.state[(k * rows + r) * width], width, row + (k + 1) * width);
    }
  }
  make_room(rows);
}

RowBlock::Snapshot RowBlock::snapshot(bool previous) const {
  Snapshot snapshot;
  snapshot.rules_ = rules_;
  snapshot.storage_ = storage_;
  snapshot.iteration_ = previous ? previous_iteration_ : iteration_;
  snapshot.clocks_ = previous ? clocks_before_ : clocks_;
  if (!previous) {
    return snapshot;
  }
  check(has_previous_, "the previous version is still there");
  auto storage = std::make_shared<Storage>();
  const std::size_t words = rules_->record_words();
  storage->size = previous_size_;
  storage->records.assign(storage_->records.begin(),
                          storage_->records.begin() + static_cast<std::ptrdiff_t>(previous_size_ * words));
  const std::size_t width = rules_->width();
  const std::size_t changed = changed_.size();
  for (std::size_t place = 0; place < changed; ++place) {
    if (const Slot slot = changed_[place]; slot < previous_size_) {
      float* row = &storage->records[slot * words];
      if (rules_->expires()) {
        store(row + touched_word, touched_before_[place]);
      }
      row += rules_->head_words();
      for (std::size_t k = 0; k <= rules_->state_per_element(); ++k) {
        copy_row(&before_[(k * changed + place) * width], width, row + k * width);
      }
    }
  }
  snapshot.storage_ = std::move(storage);
  return snapshot;
}

RowImage RowBlock::image(bool previous) const {
  return snapshot(previous).image();
}

const float* RowBlock::Snapshot::record(std::size_t slot) const {
  return &storage_->records[slot * rules_->record_words()];
}

bool RowBlock::Snapshot::alive(std::size_t slot) const {
  return !rules_->expires() || rules_->alive(touched_of(record(slot)), iteration_);
}

std::size_t RowBlock::Snapshot::rows() const {
  std::size_t rows = 0;
  for (std::size_t slot = 0; slot < storage_->size; ++slot) {
    rows += alive(slot) ? 1U : 0U;
  }
  return rows;
}

RowImage RowBlock::Snapshot::image() const {
  std::vector<std::pair<std::uint64_t, Slot>> order;
  order.reserve(storage_->size);
  for (std::size_t slot = 0; slot < storage_->size; ++slot) {
    if (alive(slot)) {
      order.emplace_back(id_of(record(slot)), static_cast<Slot>(slot));
    }
  }
  std::sort(order.begin(), order.end());
  const std::size_t width = rules_->width();
  const std::size_t rows = order.size();
  RowImage image{Iteration{iteration_},
                 std::vector<std::uint64_t>(rows),
                 Floats(rows * width),
                 Floats(rows * width * rules_->state_per_element()),
                 {},
                 clocks_};
  for (std::size_t r = 0; r < rows; ++r) {
    const auto& [id, slot] = order[r];
    const float* row = record(slot);
    image.ids[r] = id;
    if (rules_->expires()) {  // in full: the lower bits tell how long ago, or how far ahead
      const auto ahead = static_cast<std::int32_t>(touched_of(row) - static_cast<std::uint32_t>(iteration_));
      image.touched.push_back(iteration_ + static_cast<std::uint64_t>(std::int64_t{ahead}));
    }
    row += rules_->head_words();
    copy_row(row, width, &image.values[r * width]);
    for (std::size_t k = 0; k < rules_->state_per_element(); ++k) {
      copy_row(row + (k + 1) * width, width, &image.state[(k * rows + r) * width]);
    }
  }
  return image;
}

// ---- handing over ---------------------------------------------------------------------------------------------------

std::size_t RowBlock::state_bytes() const {
  const std::size_t change_words = 1 + rules_->stride() + (rules_->expires() ? 1 : 0);
  return state_head_bytes + sizeof(float) * (2 * rules_->clock_floats() + size() * rules_->record_words() +
                                             changed_.size() * change_words);
}

void RowBlock::write_state(std::byte* to) const {
  put(to, iteration_);
  put(to, previous_iteration_);
  put(to, has_previous_ ? 1 : 0);
  put(to, previous_size_);
  put(to, size());
  put(to, changed_.size());
  put(to, clocks_.data(), sizeof(float) * clocks_.size());
  put(to, clocks_before_.data(), sizeof(float) * clocks_before_.size());
  put(to, storage_->records.data(), sizeof(float) * size() * rules_->record_words());
  put(to, changed_.data(), sizeof(Slot) * changed_.size());
  put(to, before_.data(), sizeof(float) * changed_.size() * rules_->stride());
  put(to, touched_before_.data(), sizeof(std::uint32_t) * touched_before_.size());
}

std::optional<RowBlock> RowBlock::from_state(const RowRules& rules, std::span<const std::byte> bytes) {
  if (bytes.size() < state_head_bytes) {
    return std::nullopt;
  }
  const std::uint64_t bytes_max = bytes.size();
  RowBlock block(rules);
  block.iteration_ = take(bytes);
  block.previous_iteration_ = take(bytes);
  block.has_previous_ = take(bytes) == 1;
  const std::uint64_t previous_size = take(bytes);
  const std::uint64_t rows = take(bytes);
  const std::uint64_t changed = take(bytes);
  const std::uint64_t change_words = 1 + rules.stride() + (rules.expires() ? 1 : 0);
  if (rows > bytes_max || changed > rows || previous_size > rows ||
      bytes.size() !=
          sizeof(float) * (2 * rules.clock_floats() + rows * rules.record_words() + changed * change_words)) {
    return std::nullopt;
  }
  block.previous_size_ = previous_size;
  take(bytes, block.clocks_, rules.clock_floats());
  take(bytes, block.clocks_before_, rules.clock_floats());
  take(bytes, block.storage_->records, rows * rules.record_words());
  take(bytes, block.changed_, changed);
  take(bytes, block.before_, changed * rules.stride());
  take(bytes, block.touched_before_, rules.expires() ? changed : 0);
  block.storage_->size = rows;
  block.make_room(rows);
  const bool known = std::all_of(block.changed_.begin(), block.changed_.end(), [&](Slot slot) { return slot < rows; });
  return known ? std::optional(std::move(block)) : std::nullopt;
}

}  // namespace ringps
