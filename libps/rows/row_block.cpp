#include "libps/rows/row_block.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "libps/base/check.hpp"

namespace ringps {
namespace {

constexpr std::size_t index_min = 16;
/// Rows whose cache lines are on their way at the same time.
constexpr std::size_t look_ahead = 512;
constexpr std::size_t cache_line_words = 16;

/// Entries of an index for so many rows: at most three in four are taken.
std::size_t index_for(std::size_t rows) {
  return std::bit_ceil(std::max(index_min, rows + rows / 3 + 1));
}

/// Keeps the compiler from leaving out loads that are made for the cache's sake.
inline void keep(std::uint32_t value) {
  asm volatile("" : : "r"(value));
}

// Words of a record.
constexpr std::size_t id_word = 0;
constexpr std::size_t place_word = 2;
constexpr std::size_t touched_word = 3;  // only where rows expire

template <class T>
T load(const float* words) {
  T value{};
  std::memcpy(&value, words, sizeof value);
  return value;
}
template <class T>
void store(float* words, T value) {
  std::memcpy(words, &value, sizeof value);
}

std::uint64_t id_of(const float* record) {
  return load<std::uint64_t>(record + id_word);
}
std::uint32_t touched_of(const float* record) {
  return load<std::uint32_t>(record + touched_word);
}

void put(std::byte*& to, const void* from, std::size_t bytes) {
  if (bytes != 0) {
    std::memcpy(to, from, bytes);
  }
  to += bytes;
}
void put(std::byte*& to, std::uint64_t value) {
  put(to, &value, sizeof value);
}

template <class T>
void take(std::span<const std::byte>& from, std::vector<T>& values, std::size_t count) {
  values.resize(count);
  if (count != 0) {
    std::memcpy(values.data(), from.data(), count * sizeof(T));
  }
  from = from.subspan(count * sizeof(T));
}
std::uint64_t take(std::span<const std::byte>& from) {
  std::uint64_t value = 0;
  std::memcpy(&value, from.data(), sizeof value);
  from = from.subspan(sizeof value);
  return value;
}

constexpr std::size_t state_head_bytes = 6 * sizeof(std::uint64_t);

}  // namespace

// ---- rules ----------------------------------------------------------------------------------------------------------

RowRules::RowRules(const TableSpec& table, std::uint64_t seed, std::uint32_t state_per_element)
    : table_(&table),
      state_per_element_(state_per_element),
      stride_(std::size_t{table.width} * (1 + state_per_element)),
      head_words_(table.expire_after != 0 ? touched_word + 1 : place_word + 1),
      random_(seed, "initialise row of " + table.name) {}

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

bool RowBlock::sole_owner(const std::shared_ptr<Storage>& storage) {
  if (storage.use_count() != 1) {
    return false;
  }
  std::shared_ptr<Storage>(storage).reset();  // as in is_sole_owner(): orders what other threads have read
  return true;
}

/// What the index says of a row, from position `at` on, without a look at the row itself: a slot that is very probably
/// its own, or none if it does not exist. `at` is moved there.
RowBlock::Slot RowBlock::guess(std::uint32_t hash, std::size_t& at) const {
  const std::vector<Slot>& index = storage_->index;
  const auto mask = static_cast<Slot>(index.size() - 1);
  for (;; at = (at + 1) & mask) {
    const Slot entry = index[at];
    if (entry == none || ((entry ^ hash) & ~mask) == 0) {
      return entry == none ? none : entry & mask;
    }
  }
}

/// The slot of a row, or none, where a first guess was another row's.
RowBlock::Slot RowBlock::find(std::uint64_t id) const {
  const auto hash = static_cast<std::uint32_t>(row_hash(id));
  for (std::size_t at = hash & (storage_->index.size() - 1);; at = (at + 1) & (storage_->index.size() - 1)) {
    const Slot slot = guess(hash, at);
    if (slot == none || id_of(record(slot)) == id) {
      return slot;
    }
  }
}

/// Calls use(i, id, slot) for each row of a list; slot is none for one that does not exist. Look-ups are cache misses.
/// In loops of loads that depend on nothing and on no branch the processor has dozens of them under way at once: first
/// the index of many rows is read, then the rows themselves. `use` may create rows if there is room in the index.
template <class Use>
void RowBlock::for_each_slot(const RowList& list, const Use& use) const {
  std::array<std::uint32_t, look_ahead> hashes;
  std::array<Slot, look_ahead> slots;
  std::array<std::size_t, look_ahead> places;
  std::array<std::uint64_t, look_ahead> found;
  const Slot* const index = storage_->index.data();
  const std::size_t mask = storage_->index.size() - 1;
  const std::size_t words = rules_->record_words();
  const std::size_t at_once = std::clamp<std::size_t>(8192 / words, 32, look_ahead);
  for (std::size_t begin = 0; begin < list.count(); begin += at_once) {
    const std::size_t count = std::min(at_once, list.count() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = static_cast<std::uint32_t>(row_hash(list.id(begin + i)));
    }
    for (std::size_t i = 0; i < count; ++i) {
      slots[i] = index[hashes[i] & mask];
    }
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t at = hashes[i] & mask;
      slots[i] = guess(hashes[i], at);
    }
    if (size() != 0) {
      const float* const records = storage_->records.data();
      for (std::size_t i = 0; i < count; ++i) {
        places[i] = slots[i] == none ? 0 : slots[i] * words;
      }
      for (std::size_t i = 0; i < count; ++i) {
        found[i] = id_of(records + places[i]);
      }
      for (std::size_t word = words - 1; word >= cache_line_words / 2; word -= std::min(word, cache_line_words)) {
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < count; ++i) {
          sum += load<std::uint32_t>(records + places[i] + word);
        }
        keep(sum);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t id = list.id(begin + i);
      use(begin + i, id, slots[i] != none && found[i] == id ? slots[i] : find(id));
    }
  }
}

/// Into the index, where there is room.
void RowBlock::enter(std::uint64_t id, Slot slot) {
  std::vector<Slot>& index = storage_->index;
  const auto mask = static_cast<Slot>(index.size() - 1);
  const auto hash = static_cast<std::uint32_t>(row_hash(id));
  std::size_t at = hash & mask;
  while (index[at] != none) {
    at = (at + 1) & mask;
  }
  index[at] = (hash & ~mask) | slot;
}

/// A row that does not exist yet; there is room in the index.
RowBlock::Slot RowBlock::create(std::uint64_t id) {
  Storage& storage = *storage_;
  const auto slot = static_cast<Slot>(storage.size++);
  enter(id, slot);
  const std::size_t words = storage.size * rules_->record_words();
  if (words > storage.records.capacity()) {  // by a quarter: rows are most of a server's memory
    storage.records.reserve(words + words / 4);
  }
  storage.records.resize(words, 0.0F);
  store(record(slot) + id_word, id);
  rules_->initialise(id, record(slot) + rules_->head_words());
  return slot;
}

/// Makes the index anew, large enough for so many rows.
void RowBlock::make_room(std::size_t rows) {
  Storage& storage = *storage_;
  storage.index.assign(index_for(rows), none);
  for (std::size_t slot = 0; slot < storage.size; ++slot) {
    enter(id_of(record(static_cast<Slot>(slot))), static_cast<Slot>(slot));
  }
}

bool RowBlock::alive(std::uint32_t touched, std::uint64_t iteration) const {
  return !rules_->expires() || static_cast<std::uint32_t>(iteration) - touched <= rules_->table().expire_after;
}

/// Gives the memory of expired rows back. Nobody can tell: they read as new ones before and after.
void RowBlock::sweep() {
  Storage& storage = *storage_;
  std::size_t kept = 0;
  for (std::size_t slot = 0; slot < storage.size; ++slot) {
    const float* from = record(static_cast<Slot>(slot));
    if (!alive(touched_of(from), iteration_)) {
      continue;
    }
    if (kept != slot) {
      std::copy_n(from, rules_->record_words(), record(static_cast<Slot>(kept)));
    }
    ++kept;
  }
  storage.size = kept;
  storage.records.resize(kept * rules_->record_words());
  storage.records.shrink_to_fit();
  make_room(kept);
}

/// Its place among what the last step changed, or none.
std::uint32_t RowBlock::change_of(Slot slot) const {
  const auto place = load<std::uint32_t>(record(slot) + place_word);
  return place < changed_.size() && changed_[place] == slot ? place : none;
}

void RowBlock::step(std::span<const RowList> contributions, float scale, const OptimizerStep& optimizer) {
  if (!sole_owner(storage_)) {
    storage_ = std::make_shared<Storage>(*storage_);
  }
  const std::size_t width = rules_->width();
  previous_iteration_ = iteration_;
  changed_.clear();
  if (rules_->expires() && optimizer.iteration().value % rules_->table().expire_after == 0) {
    sweep();
  }
  previous_size_ = size();
  has_previous_ = true;

  for (const RowList& list : contributions) {
    if (list.count() == 0) {
      continue;
    }
    if (index_for(size() + list.count()) > storage_->index.size()) {
      make_room(size() + list.count());
    }
    std::size_t changed = changed_.size();
    changed_.resize(changed + list.count());  // at most
    gradient_.resize(std::max(gradient_.size(), (changed + list.count()) * width));
    for_each_slot(list, [&](std::size_t i, std::uint64_t id, Slot slot) {
      if (slot == none) {
        slot = create(id);
      }
      const std::byte* values = list.values(i);
      auto place = load<std::uint32_t>(record(slot) + place_word);
      if (place >= changed || changed_[place] != slot) {
        place = static_cast<std::uint32_t>(changed++);
        store(record(slot) + place_word, place);
        changed_[place] = slot;
        copy_row(values, width, &gradient_[place * width]);
        return;
      }
      float* sum = &gradient_[place * width];
      for (std::size_t e = 0; e < width; ++e) {
        float value = 0;
        std::memcpy(&value, values + e * sizeof(float), sizeof value);
        sum[e] += value;
      }
    });
    changed_.resize(changed);
  }
  apply(scale, optimizer);
}

/// From the summed gradients of the changed rows to their next values: gathered, so that the optimizer has runs as
/// those of a tensor's block.
void RowBlock::apply(float scale, const OptimizerStep& optimizer) {
  const std::size_t width = rules_->width();
  const std::size_t changed = changed_.size();
  const std::size_t runs = 1 + rules_->state_per_element();
  before_.resize(changed * rules_->stride());
  after_.resize(changed * rules_->stride());
  touched_before_.clear();
  for (std::size_t place = 0; place < changed; ++place) {
    const Slot slot = changed_[place];
    float* row = record(slot);
    if (rules_->expires()) {
      if (slot < previous_size_ && !alive(touched_of(row), iteration_)) {  // begins anew
        std::fill_n(row + rules_->head_words(), rules_->stride(), 0.0F);
        rules_->initialise(id_of(row), row + rules_->head_words());
      }
      touched_before_.push_back(touched_of(row));
      store(row + touched_word, static_cast<std::uint32_t>(optimizer.iteration().value));
    }
    row += rules_->head_words();
    for (std::size_t k = 0; k < runs; ++k) {
      copy_row(row + k * width, width, &before_[(k * changed + place) * width]);
    }
  }
  const std::span<float> gradient(gradient_.data(), changed * width);
  for (float& g : gradient) {
    g *= scale;
  }
  optimizer.apply(changed * width, 0, before_, gradient, after_);
  for (std::size_t place = 0; place < changed; ++place) {
    float* row = record(changed_[place]) + rules_->head_words();
    for (std::size_t k = 0; k < runs; ++k) {
      copy_row(&after_[(k * changed + place) * width], width, row + k * width);
    }
  }
  iteration_ = optimizer.iteration().value;
}

void RowBlock::write_reduced(std::byte* to) const {
  std::byte* ids = RowList::begin(to, changed_.size());
  for (const Slot slot : changed_) {
    std::memcpy(ids, record(slot) + id_word, sizeof(std::uint64_t));
    ids += sizeof(std::uint64_t);
  }
  put(ids, gradient_.data(), changed_.size() * rules_->width() * sizeof(float));
}

void RowBlock::read(const RowList& ids, bool previous, std::byte* to) const {
  const std::size_t width = rules_->width();
  const std::uint64_t iteration = previous ? previous_iteration_ : iteration_;
  std::vector<float> fresh;
  for_each_slot(ids, [&](std::size_t i, std::uint64_t id, Slot slot) {
    const float* values = nullptr;
    if (slot != none) {
      const std::uint32_t place = previous ? change_of(slot) : none;
      if (place != none) {  // of a row that was new then: its first values
        values = &before_[place * width];
      } else if (!rules_->expires() || alive(touched_of(record(slot)), iteration)) {
        values = record(slot) + rules_->head_words();
      }
    }
    if (values == nullptr) {
      fresh.resize(width);
      rules_->initialise(id, fresh.data());
      values = fresh.data();
    }
    copy_row(values, width, to + i * width * sizeof(float));
  });
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
  return !rules_->expires() ||
         static_cast<std::uint32_t>(iteration_) - touched_of(record(slot)) <= rules_->table().expire_after;
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
                 {}};
  for (std::size_t r = 0; r < rows; ++r) {
    const auto& [id, slot] = order[r];
    const float* row = record(slot);
    image.ids[r] = id;
    if (rules_->expires()) {  // in full: the lower bits tell how long ago
      image.touched.push_back(iteration_ - (static_cast<std::uint32_t>(iteration_) - touched_of(row)));
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
  return state_head_bytes + sizeof(float) * (size() * rules_->record_words() + changed_.size() * change_words);
}

void RowBlock::write_state(std::byte* to) const {
  put(to, iteration_);
  put(to, previous_iteration_);
  put(to, has_previous_ ? 1 : 0);
  put(to, previous_size_);
  put(to, size());
  put(to, changed_.size());
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
      bytes.size() != sizeof(float) * (rows * rules.record_words() + changed * change_words)) {
    return std::nullopt;
  }
  block.previous_size_ = previous_size;
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
