// Rows one by one: looked up, stepped, read. Blocks as a whole are in row_copies.cpp.
#include "libps/rows/row_block.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "libps/rows/row_record.hpp"

namespace ringps {

using namespace row_record;

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

}  // namespace

// ---- rules ----------------------------------------------------------------------------------------------------------

RowRules::RowRules(const TableSpec& table, std::uint64_t seed, std::uint32_t state_per_element,
                   std::size_t clock_floats)
    : table_(&table),
      state_per_element_(state_per_element),
      stride_(std::size_t{table.width} * (1 + state_per_element)),
      head_words_(table.expire_after != 0 ? touched_word + 1 : place_word + 1),
      clock_floats_(clock_floats),
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

RowBlock::RowBlock(const RowRules& rules)
    : rules_(&rules),
      storage_(std::make_shared<Storage>()),
      clocks_(rules.clock_floats(), 0.0F),
      clocks_before_(rules.clock_floats(), 0.0F) {
  storage_->index.assign(index_min, none);
}

bool RowBlock::sole_owner(const std::shared_ptr<Storage>& storage) {
  if (storage.use_count() != 1) {
    return false;
  }
  std::shared_ptr<Storage>(storage).reset();  // as in is_sole_owner(): orders what other threads have read
  return true;
}

/// The slot of a row, or none.
RowBlock::Slot RowBlock::find(std::uint64_t id) const {
  const std::vector<Slot>& index = storage_->index;
  const auto mask = static_cast<Slot>(index.size() - 1);
  const auto hash = static_cast<std::uint32_t>(row_hash(id));
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    if (index[at] == none) {
      return none;
    }
    const Slot slot = index[at] & mask;
    if (((index[at] ^ hash) & ~mask) == 0 && id_of(record(slot)) == id) {
      return slot;
    }
  }
}

/// Calls use(i, id, slot) for each row of a list; slot is none for one that does not exist. Look-ups are cache misses.
/// In loops of loads that depend on nothing and on no branch the processor has dozens of them under way at once: first
/// the index of many rows is read, then the rows themselves. `use` may create rows if there is room in the index.
template <class Use>
void RowBlock::for_each_slot(const RowList& list, const Use& use) const {
  std::array<Slot, look_ahead> slots;
  std::array<std::size_t, look_ahead> places;
  std::array<std::uint64_t, look_ahead> found;
  const std::size_t words = rules_->record_words();
  const std::size_t at_once = std::clamp<std::size_t>(8192 / words, 32, look_ahead);
  for (std::size_t begin = 0; begin < list.count(); begin += at_once) {
    const std::size_t count = std::min(at_once, list.count() - begin);
    take_places(list, begin, std::span(slots).first(count));
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

/// The places that came with the list, if they are all known.
void RowBlock::take_places(const RowList& list, std::size_t begin, std::span<Slot> slots) const {
  const std::span<const std::uint32_t> places = list.places();
  Slot last = places.empty() ? none : 0;
  for (std::size_t i = 0; i < slots.size() && !places.empty(); ++i) {
    slots[i] = places[begin + i];
    last = std::max(last, slots[i]);
  }
  if (last >= size()) {
    guess_slots(list, begin, slots);
  }
}

/// By a few of them.
bool RowBlock::seem_to_be_at(std::span<const std::uint32_t> places, const RowList& ids) const {
  if (places.empty() || places.size() != ids.count()) {
    return false;
  }
  const std::size_t last = ids.count() - 1;
  const std::array<std::size_t, 3> some{0, last / 2, last};
  return std::all_of(some.begin(), some.end(),
                     [&](std::size_t i) { return places[i] < size() && id_of(record(places[i])) == ids.id(i); });
}

void RowBlock::look_up(const RowList& ids, std::span<std::uint32_t> places,
                       std::span<const std::uint32_t> before) const {
  if (seem_to_be_at(before, ids)) {
    std::copy(before.begin(), before.end(), places.begin());
    return;
  }
  for (std::size_t begin = 0; begin < ids.count(); begin += look_ahead) {
    guess_slots(ids, begin, places.subspan(begin, std::min(look_ahead, ids.count() - begin)));
  }
}

/// What the index says of rows, without a look at the rows themselves: slots that are very probably their own, or none
/// for those that do not exist. How far a row is from where its hash points is as good as random, and a branch on it
/// would be guessed wrong for one row in three; so all rows take a step, then those that are not there yet, and so on.
void RowBlock::guess_slots(const RowList& list, std::size_t begin, std::span<Slot> slots) const {
  std::array<std::uint32_t, look_ahead> hashes;
  std::array<std::uint32_t, look_ahead> open;
  const Slot* const index = storage_->index.data();
  const auto mask = static_cast<Slot>(storage_->index.size() - 1);
  std::size_t still_open = 0;
  const auto note_if_open = [&](std::uint32_t i) {
    open[still_open] = i;
    const bool taken = slots[i] != none;
    const bool by_another = ((slots[i] ^ hashes[i]) & ~mask) != 0;
    still_open += static_cast<std::size_t>(taken) & static_cast<std::size_t>(by_another);
  };
  for (std::size_t i = 0; i < slots.size(); ++i) {
    hashes[i] = static_cast<std::uint32_t>(row_hash(list.id(begin + i)));
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    slots[i] = index[hashes[i] & mask];
  }
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    note_if_open(i);
  }
  for (std::uint32_t step = 1; still_open != 0; ++step) {
    const std::size_t count = std::exchange(still_open, 0);
    for (std::size_t o = 0; o < count; ++o) {
      const std::uint32_t i = open[o];
      slots[i] = index[(hashes[i] + step) & mask];
      note_if_open(i);
    }
  }
  for (Slot& slot : slots) {
    slot = slot == none ? none : slot & mask;
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

/// Gives the memory of expired rows back. Nobody can tell: they read as new ones before and after.
void RowBlock::sweep() {
  Storage& storage = *storage_;
  std::size_t kept = 0;
  for (std::size_t slot = 0; slot < storage.size; ++slot) {
    const float* from = record(static_cast<Slot>(slot));
    if (!rules_->alive(touched_of(from), iteration_)) {
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

void RowBlock::step(std::span<const RowList> contributions, float scale, const OptimizerStep& optimizer,
                    Iteration iteration, std::span<const float> clocks) {
  if (!sole_owner(storage_)) {
    storage_ = std::make_shared<Storage>(*storage_);
  }
  const std::size_t width = rules_->width();
  previous_iteration_ = iteration_;
  changed_.clear();
  if (const std::uint32_t every = rules_->table().expire_after;
      rules_->expires() && iteration.value / every != iteration_ / every) {
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
  iteration_ = iteration.value;
  clocks_before_.swap(clocks_);
  clocks_.assign(clocks.begin(), clocks.end());
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
      const bool is_new = slot >= previous_size_;
      const bool anew = !is_new && !rules_->alive(touched_of(row), iteration_);
      if (anew) {
        std::fill_n(row + rules_->head_words(), rules_->stride(), 0.0F);
        rules_->initialise(id_of(row), row + rules_->head_words());
      }
      touched_before_.push_back(touched_of(row));
      const auto touched = static_cast<std::uint32_t>(optimizer.iteration().value);
      if (is_new || anew || static_cast<std::int32_t>(touched - touched_of(row)) > 0) {  // else by a later one
        store(row + touched_word, touched);
      }
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
}

void RowBlock::write_reduced(std::byte* to) const {
  std::byte* ids = RowList::begin(to, changed_.size());
  for (const Slot slot : changed_) {
    std::memcpy(ids, record(slot) + id_word, sizeof(std::uint64_t));
    ids += sizeof(std::uint64_t);
  }
  std::copy_n(reinterpret_cast<const std::byte*>(gradient_.data()), changed_.size() * rules_->width() * sizeof(float),
              ids);
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
      } else if (!rules_->expires() || rules_->alive(touched_of(record(slot)), iteration)) {
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

}  // namespace ringps
