#include "libps/rows/row_block.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "libps/base/check.hpp"

namespace ringps {
namespace {

constexpr std::size_t index_min = 16;

/// Slots of the index for so many rows: a power of two, at most three quarters full.
std::size_t index_size(std::size_t rows) {
  std::size_t size = index_min;
  while (size * 3 < rows * 4) {
    size *= 2;
  }
  return size;
}

class Writer {
 public:
  explicit Writer(std::byte* to) : to_(to) {}
  template <class T>
  void put(const std::vector<T>& values, std::size_t count) {
    if (count != 0) {
      std::memcpy(to_, values.data(), count * sizeof(T));
    }
    to_ += count * sizeof(T);
  }
  void put(std::uint64_t value) {
    std::memcpy(to_, &value, sizeof value);
    to_ += sizeof value;
  }

 private:
  std::byte* to_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> from) : from_(from) {}
  template <class T>
  void take(std::vector<T>& values, std::size_t count) {
    values.resize(count);
    if (count != 0) {
      std::memcpy(values.data(), from_.data(), count * sizeof(T));
    }
    from_ = from_.subspan(count * sizeof(T));
  }
  std::uint64_t take() {
    std::uint64_t value = 0;
    std::memcpy(&value, from_.data(), sizeof value);
    from_ = from_.subspan(sizeof value);
    return value;
  }

 private:
  std::span<const std::byte> from_;
};

constexpr std::size_t state_head_bytes = 6 * sizeof(std::uint64_t);

}  // namespace

// ---- rules ----------------------------------------------------------------------------------------------------------

RowRules::RowRules(const TableSpec& table, std::uint64_t seed, std::uint32_t state_per_element)
    : table_(&table), state_per_element_(state_per_element), random_(seed, "initialise row of " + table.name) {}

void RowRules::initialise(std::uint64_t id, float* values) const {
  const auto [low, high] = table_->initialiser;
  if (low == high) {
    std::fill_n(values, width(), low);
    return;
  }
  const float largest = std::nextafter(high, low);  // the sum below may round up to high, which is excluded
  for (std::uint32_t i = 0; i < width(); ++i) {
    values[i] = std::min(low + (high - low) * random_.uniform(row_hash(id) + i), largest);
  }
}

// ---- rows -----------------------------------------------------------------------------------------------------------

RowBlock::RowBlock(const RowRules& rules) : rules_(&rules), storage_(std::make_shared<Storage>()) {
  storage_->index.assign(index_min, none);
}

RowBlock::RowBlock(const RowRules& rules, const RowImage& image) : RowBlock(rules) {
  const std::size_t rows = image.ids.size();
  const std::size_t width = rules.width();
  check(image.values.size() == rows * width && image.state.size() == rows * width * rules.state_per_element() &&
            image.touched.size() == (rules.expires() ? rows : 0),
        "an image fits its rules");
  iteration_ = image.iteration.value;
  storage_->ids = image.ids;
  storage_->rows.resize(rows * rules.stride());
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = &storage_->rows[r * rules.stride()];
    std::copy_n(&image.values[r * width], width, row);
    for (std::size_t k = 0; k < rules.state_per_element(); ++k) {
      std::copy_n(&image.state[(k * rows + r) * width], width, row + (k + 1) * width);
    }
  }
  storage_->touched.assign(image.touched.begin(), image.touched.end());
  rebuild_index(rows);
}

bool RowBlock::sole_owner(const std::shared_ptr<Storage>& storage) {
  if (storage.use_count() != 1) {
    return false;
  }
  std::shared_ptr<Storage>(storage).reset();  // as in is_sole_owner(): orders what other threads have read
  return true;
}

RowBlock::Slot RowBlock::find(std::uint64_t id) const {
  const Storage& storage = *storage_;
  const std::size_t mask = storage.index.size() - 1;
  for (std::size_t at = row_hash(id) & mask;; at = (at + 1) & mask) {
    const Slot slot = storage.index[at];
    if (slot == none || storage.ids[slot] == id) {
      return slot;
    }
  }
}

RowBlock::Slot RowBlock::find_or_create(std::uint64_t id, Storage& storage) {
  const std::size_t mask = storage.index.size() - 1;
  std::size_t at = row_hash(id) & mask;
  for (;; at = (at + 1) & mask) {
    const Slot slot = storage.index[at];
    if (slot == none) {
      break;
    }
    if (storage.ids[slot] == id) {
      return slot;
    }
  }
  const auto slot = static_cast<Slot>(storage.ids.size());
  storage.index[at] = slot;
  storage.ids.push_back(id);
  storage.rows.resize(storage.rows.size() + rules_->stride(), 0.0F);
  rules_->initialise(id, &storage.rows[slot * rules_->stride()]);
  if (rules_->expires()) {
    storage.touched.push_back(0);
  }
  place_of_.push_back(0);
  if (storage.ids.size() * 4 > storage.index.size() * 3) {
    rebuild_index(storage.ids.size() * 2);
  }
  return slot;
}

/// Makes room for `rows` rows.
void RowBlock::rebuild_index(std::size_t rows) {
  Storage& storage = *storage_;
  storage.index.assign(index_size(rows), none);
  const std::size_t mask = storage.index.size() - 1;
  for (std::size_t slot = 0; slot < storage.ids.size(); ++slot) {
    std::size_t at = row_hash(storage.ids[slot]) & mask;
    while (storage.index[at] != none) {
      at = (at + 1) & mask;
    }
    storage.index[at] = static_cast<Slot>(slot);
  }
  place_of_.resize(storage.ids.size(), 0);
}

bool RowBlock::alive(std::uint32_t touched, std::uint64_t iteration) const {
  return !rules_->expires() || static_cast<std::uint32_t>(iteration) - touched <= rules_->table().expire_after;
}

/// Gives the memory of expired rows back. Nobody can tell: they read as new ones before and after.
void RowBlock::sweep() {
  Storage& storage = *storage_;
  const std::size_t stride = rules_->stride();
  std::size_t kept = 0;
  for (std::size_t slot = 0; slot < storage.ids.size(); ++slot) {
    if (!alive(storage.touched[slot], iteration_)) {
      continue;
    }
    if (kept != slot) {
      storage.ids[kept] = storage.ids[slot];
      storage.touched[kept] = storage.touched[slot];
      std::memmove(&storage.rows[kept * stride], &storage.rows[slot * stride], stride * sizeof(float));
    }
    ++kept;
  }
  storage.ids.resize(kept);
  storage.touched.resize(kept);
  storage.rows.resize(kept * stride);
  place_of_.clear();
  rebuild_index(kept);
}

/// Its place among what the last step changed, or none.
std::uint32_t RowBlock::change_of(Slot slot) const {
  const std::uint32_t place = place_of_[slot];
  return place < changed_.size() && changed_[place] == slot ? place : none;
}

void RowBlock::step(std::span<const RowList> contributions, float scale, const OptimizerStep& optimizer) {
  if (!sole_owner(storage_)) {
    storage_ = std::make_shared<Storage>(*storage_);
  }
  const std::size_t width = rules_->width();
  const std::size_t stride = rules_->stride();
  previous_iteration_ = iteration_;
  changed_.clear();
  gradient_.clear();
  if (rules_->expires() && optimizer.iteration().value % rules_->table().expire_after == 0) {
    sweep();
  }
  Storage& storage = *storage_;
  previous_size_ = storage.ids.size();
  has_previous_ = true;

  for (const RowList& list : contributions) {
    const std::byte* values = list.values();
    for (std::size_t i = 0; i < list.count(); ++i, values += width * sizeof(float)) {
      const Slot slot = find_or_create(list.id(i), storage);
      std::uint32_t place = change_of(slot);
      if (place == none) {
        place_of_[slot] = static_cast<std::uint32_t>(changed_.size());
        changed_.push_back(slot);
        gradient_.resize(gradient_.size() + width);
        std::memcpy(&gradient_[gradient_.size() - width], values, width * sizeof(float));
        continue;
      }
      float* sum = &gradient_[place * width];
      for (std::size_t e = 0; e < width; ++e) {
        float value = 0;
        std::memcpy(&value, values + e * sizeof(float), sizeof value);
        sum[e] += value;
      }
    }
  }

  const std::size_t changed = changed_.size();
  const std::size_t runs = 1 + rules_->state_per_element();
  before_.resize(changed * stride);
  after_.resize(changed * stride);
  touched_before_.clear();
  for (std::size_t place = 0; place < changed; ++place) {
    const Slot slot = changed_[place];
    float* row = &storage.rows[slot * stride];
    if (rules_->expires()) {
      if (slot < previous_size_ && !alive(storage.touched[slot], iteration_)) {  // begins anew
        std::fill_n(row, stride, 0.0F);
        rules_->initialise(storage.ids[slot], row);
      }
      touched_before_.push_back(storage.touched[slot]);
      storage.touched[slot] = static_cast<std::uint32_t>(optimizer.iteration().value);
    }
    for (std::size_t k = 0; k < runs; ++k) {
      std::copy_n(row + k * width, width, &before_[(k * changed + place) * width]);
    }
  }
  for (float& g : gradient_) {
    g *= scale;
  }
  optimizer.apply(changed * width, 0, before_, gradient_, after_);
  for (std::size_t place = 0; place < changed; ++place) {
    float* row = &storage.rows[changed_[place] * stride];
    for (std::size_t k = 0; k < runs; ++k) {
      std::copy_n(&after_[(k * changed + place) * width], width, row + k * width);
    }
  }
  iteration_ = optimizer.iteration().value;
}

void RowBlock::write_reduced(std::byte* to) const {
  std::byte* ids = RowList::begin(to, changed_.size());
  for (const Slot slot : changed_) {
    std::memcpy(ids, &storage_->ids[slot], sizeof(std::uint64_t));
    ids += sizeof(std::uint64_t);
  }
  if (!gradient_.empty()) {
    std::memcpy(ids, gradient_.data(), gradient_.size() * sizeof(float));
  }
}

void RowBlock::read(const RowList& ids, bool previous, std::byte* to) const {
  const std::size_t width = rules_->width();
  const std::size_t bytes = width * sizeof(float);
  const std::uint64_t iteration = previous ? previous_iteration_ : iteration_;
  std::vector<float> fresh(width);
  for (std::size_t i = 0; i < ids.count(); ++i, to += bytes) {
    const std::uint64_t id = ids.id(i);
    const Slot slot = find(id);
    const float* values = nullptr;
    if (slot != none) {
      const std::uint32_t place = previous ? change_of(slot) : none;
      if (place != none) {  // of a row that was new then: its first values
        values = &before_[place * width];
      } else if (!rules_->expires() || alive(storage_->touched[slot], iteration)) {
        values = &storage_->rows[slot * rules_->stride()];
      }
    }
    if (values == nullptr) {
      rules_->initialise(id, fresh.data());
      values = fresh.data();
    }
    std::memcpy(to, values, bytes);
  }
}

// ---- copies ---------------------------------------------------------------------------------------------------------

RowBlock::Snapshot RowBlock::snapshot(bool previous) const {
  Snapshot snapshot;
  snapshot.rules_ = rules_;
  snapshot.storage_ = storage_;
  snapshot.iteration_ = previous ? previous_iteration_ : iteration_;
  if (!previous) {
    return snapshot;
  }
  check(has_previous_, "the previous version is still there");
  auto storage = std::make_shared<Storage>();
  const std::size_t stride = rules_->stride();
  storage->ids.assign(storage_->ids.begin(), storage_->ids.begin() + static_cast<std::ptrdiff_t>(previous_size_));
  storage->rows.assign(storage_->rows.begin(),
                       storage_->rows.begin() + static_cast<std::ptrdiff_t>(previous_size_ * stride));
  if (rules_->expires()) {
    storage->touched.assign(storage_->touched.begin(),
                            storage_->touched.begin() + static_cast<std::ptrdiff_t>(previous_size_));
  }
  const std::size_t width = rules_->width();
  const std::size_t changed = changed_.size();
  for (std::size_t place = 0; place < changed; ++place) {
    if (const Slot slot = changed_[place]; slot < previous_size_) {
      for (std::size_t k = 0; k <= rules_->state_per_element(); ++k) {
        std::copy_n(&before_[(k * changed + place) * width], width, &storage->rows[slot * stride + k * width]);
      }
      if (rules_->expires()) {
        storage->touched[slot] = touched_before_[place];
      }
    }
  }
  snapshot.storage_ = std::move(storage);
  return snapshot;
}

RowImage RowBlock::image(bool previous) const {
  return snapshot(previous).image();
}

bool RowBlock::Snapshot::alive(std::size_t slot) const {
  return !rules_->expires() ||
         static_cast<std::uint32_t>(iteration_) - storage_->touched[slot] <= rules_->table().expire_after;
}

std::size_t RowBlock::Snapshot::rows() const {
  std::size_t rows = 0;
  for (std::size_t slot = 0; slot < storage_->ids.size(); ++slot) {
    rows += alive(slot) ? 1U : 0U;
  }
  return rows;
}

RowImage RowBlock::Snapshot::image() const {
  const Storage& storage = *storage_;
  std::vector<Slot> order;
  for (std::size_t slot = 0; slot < storage.ids.size(); ++slot) {
    if (alive(slot)) {
      order.push_back(static_cast<Slot>(slot));
    }
  }
  std::sort(order.begin(), order.end(), [&](Slot a, Slot b) { return storage.ids[a] < storage.ids[b]; });
  const std::size_t width = rules_->width();
  const std::size_t rows = order.size();
  RowImage image{Iteration{iteration_},
                 std::vector<std::uint64_t>(rows),
                 Floats(rows * width),
                 Floats(rows * width * rules_->state_per_element()),
                 {}};
  for (std::size_t r = 0; r < rows; ++r) {
    const Slot slot = order[r];
    const float* row = &storage.rows[slot * rules_->stride()];
    image.ids[r] = storage.ids[slot];
    std::copy_n(row, width, &image.values[r * width]);
    for (std::size_t k = 0; k < rules_->state_per_element(); ++k) {
      std::copy_n(row + (k + 1) * width, width, &image.state[(k * rows + r) * width]);
    }
    if (rules_->expires()) {  // in full: the lower bits tell how long ago
      image.touched.push_back(iteration_ - (static_cast<std::uint32_t>(iteration_) - storage.touched[slot]));
    }
  }
  return image;
}

// ---- handing over ---------------------------------------------------------------------------------------------------

std::size_t RowBlock::state_bytes() const {
  const std::size_t row_bytes = sizeof(float) * rules_->stride() + (rules_->expires() ? sizeof(std::uint32_t) : 0);
  return state_head_bytes + size() * (sizeof(std::uint64_t) + row_bytes) + changed_.size() * (sizeof(Slot) + row_bytes);
}

void RowBlock::write_state(std::byte* to) const {
  Writer out(to);
  out.put(iteration_);
  out.put(previous_iteration_);
  out.put(has_previous_ ? 1 : 0);
  out.put(previous_size_);
  out.put(size());
  out.put(changed_.size());
  out.put(storage_->ids, size());
  out.put(storage_->rows, storage_->rows.size());
  out.put(storage_->touched, storage_->touched.size());
  out.put(changed_, changed_.size());
  out.put(before_, changed_.size() * rules_->stride());
  out.put(touched_before_, touched_before_.size());
}

std::optional<RowBlock> RowBlock::from_state(const RowRules& rules, std::span<const std::byte> bytes) {
  if (bytes.size() < state_head_bytes) {
    return std::nullopt;
  }
  Reader in(bytes);
  RowBlock block(rules);
  block.iteration_ = in.take();
  block.previous_iteration_ = in.take();
  block.has_previous_ = in.take() == 1;
  const std::uint64_t previous_size = in.take();
  const std::uint64_t rows = in.take();
  const std::uint64_t changed = in.take();
  const std::uint64_t row_bytes = sizeof(float) * rules.stride() + (rules.expires() ? sizeof(std::uint32_t) : 0);
  const std::uint64_t bytes_max = bytes.size();
  if (rows > bytes_max || changed > rows || previous_size > rows ||
      bytes.size() !=
          state_head_bytes + rows * (sizeof(std::uint64_t) + row_bytes) + changed * (sizeof(Slot) + row_bytes)) {
    return std::nullopt;
  }
  block.previous_size_ = previous_size;
  in.take(block.storage_->ids, rows);
  in.take(block.storage_->rows, rows * rules.stride());
  in.take(block.storage_->touched, rules.expires() ? rows : 0);
  in.take(block.changed_, changed);
  in.take(block.before_, changed * rules.stride());
  in.take(block.touched_before_, rules.expires() ? changed : 0);
  block.rebuild_index(rows);
  for (std::size_t place = 0; place < changed; ++place) {
    if (block.changed_[place] >= rows) {
      return std::nullopt;
    }
    block.place_of_[block.changed_[place]] = static_cast<std::uint32_t>(place);
  }
  return block;
}

}  // namespace ringps
