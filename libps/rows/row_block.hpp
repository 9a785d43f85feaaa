// The rows of one block of a table: a hash map from row id to values and optimizer state. Pure.
//
// A row comes into being when a contribution first touches it; until then it reads as its initial values, a pure
// function of (seed, table, id). What a version's step changes is remembered until the next step, so that the version
// before can be read as well. Copies for a checkpoint are made when they are asked for only in name: the rows are
// copied by the next step, if they are still in use then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/base/random.hpp"
#include "libps/base/row_hash.hpp"
#include "libps/base/tensor.hpp"
#include "libps/base/types.hpp"
#include "libps/optim/optimizer.hpp"
#include "libps/rows/row_list.hpp"

namespace ringps {

/// All rows of a block at one version in ascending order of their ids, as they lie in checkpoints.
struct RowImage {
  Iteration iteration;
  std::vector<std::uint64_t> ids;
  Floats values;                       ///< [rows, width]
  Floats state;                        ///< OptimizerSpec::state_per_element() runs of [rows, width]
  std::vector<std::uint64_t> touched;  ///< the iteration that last touched each; only where rows expire
  Floats clocks{};                     ///< RowRules::clock_floats() of them

  friend bool operator==(const RowImage&, const RowImage&) = default;
};

/// What rows are made of, for all blocks of a table.
class RowRules {
 public:
  /// `table` outlives it. `clock_floats`: of each version, in asynchronous modes (libps/core/clocks.hpp).
  RowRules(const TableSpec& table, std::uint64_t seed, std::uint32_t state_per_element, std::size_t clock_floats = 0);

  const TableSpec& table() const { return *table_; }
  std::uint32_t width() const { return table_->width; }
  std::uint32_t state_per_element() const { return state_per_element_; }
  /// Floats of a row with its state.
  std::size_t stride() const { return stride_; }
  std::size_t clock_floats() const { return clock_floats_; }
  bool expires() const { return table_->expire_after != 0; }
  /// Whether a row that was last touched at `touched` still counts at `iteration`, which may be an earlier one. Of
  /// iterations the lower 32 bits are told, so that the two are compared by their distance.
  bool alive(std::uint32_t touched, std::uint64_t iteration) const {
    const auto age = static_cast<std::int32_t>(static_cast<std::uint32_t>(iteration) - touched);
    return !expires() || std::int64_t{age} <= std::int64_t{table_->expire_after};
  }
  /// Of RowBlock's records: how long they are, and where in them the values begin.
  std::size_t record_words() const { return head_words_ + stride_; }
  std::size_t head_words() const { return head_words_; }
  /// The values of a row that nothing has touched yet: `width` floats.
  void initialise(std::uint64_t id, float* values) const;

 private:
  const TableSpec* table_;
  std::uint32_t state_per_element_;
  std::size_t stride_;
  std::size_t head_words_;
  std::size_t clock_floats_;
  KeyedRandom random_;
};

class RowBlock {
 public:
  /// `rules` outlives it.
  explicit RowBlock(const RowRules& rules);
  RowBlock(const RowRules& rules, const RowImage& image);

  /// Rows that take up memory, expired ones included.
  std::size_t size() const { return storage_->size; }
  bool has_previous() const { return has_previous_; }

  /// From the contributions to the next version. A row's gradient is the sum of all its contributions in the order of
  /// the lists, and within a list, times `scale`. Rows that nothing touches stay as they are, whatever the optimizer.
  void step(std::span<const RowList> contributions, float scale, const OptimizerStep& optimizer) {
    step(contributions, scale, optimizer, optimizer.iteration(), {});
  }
  /// The same where contributions do not come in the order of their iterations. `iteration`: that of the next version,
  /// all of which it contains; never less than the one before. A row is touched by the optimizer's, which may be a
  /// later one, and expires by the version's. `clocks`: what the next version contains; clock_floats() of them.
  void step(std::span<const RowList> contributions, float scale, const OptimizerStep& optimizer, Iteration iteration,
            std::span<const float> clocks);
  /// What the current or the previous version contains.
  std::span<const float> clocks(bool previous) const { return previous ? clocks_before_ : clocks_; }

  /// Where the rows of a list very probably are, for RowList::with_places(). To look rows up is half of reading them,
  /// and need not be done when somebody waits for them, nor twice for rows that are read and then stepped. Places are
  /// checked when they are used, so whatever has happened meanwhile, old ones cost time and nothing else.
  /// `before`: where the rows of an earlier list were; taken over if this seems to be the same list again.
  void look_up(const RowList& ids, std::span<std::uint32_t> places, std::span<const std::uint32_t> before = {}) const;

  /// The gradient of the last step as a list, for replicas.
  std::size_t reduced_bytes() const { return RowList::bytes(changed_.size(), rules_->width()); }
  void write_reduced(std::byte* to) const;

  /// The values of the rows that `ids` names, one after another, `width` floats each; `to` need not be aligned.
  void read(const RowList& ids, bool previous, std::byte* to) const;

  /// Current or previous version at some moment, whatever becomes of the block afterwards. Any thread may use it.
  class Snapshot;
  Snapshot snapshot(bool previous) const;
  RowImage image(bool previous) const;

  /// The whole of it, both versions, for another replica: a multiple of 4 bytes.
  std::size_t state_bytes() const;
  void write_state(std::byte* to) const;
  /// Nothing if the bytes are not what write_state() wrote under the same rules.
  static std::optional<RowBlock> from_state(const RowRules& rules, std::span<const std::byte> bytes);

 private:
  using Slot = std::uint32_t;
  static constexpr Slot none = 0xFFFFFFFF;

  /// The rows, in the order in which they came into being. Of each a record of words, so that a look-up costs one miss
  /// in the index and one here: its id (two words), its place (see changed_), where rows expire the lower 32 bits of
  /// the iteration that last touched it, its values, and runs of `width` words for each kind of optimizer state.
  struct Storage {
    std::vector<float> records;
    /// Open addressing with linear probing, at most three quarters full; `none` where nothing is. Its size is a power
    /// of two; an entry has the slot in as many lower bits as it takes to count them, and those of the id's hash above.
    std::vector<Slot> index;
    std::size_t size = 0;  ///< rows
  };
  static bool sole_owner(const std::shared_ptr<Storage>& storage);

  template <class Use>
  void for_each_slot(const RowList& list, const Use& use) const;
  void take_places(const RowList& list, std::size_t begin, std::span<Slot> slots) const;
  void guess_slots(const RowList& list, std::size_t begin, std::span<Slot> slots) const;
  bool seem_to_be_at(std::span<const std::uint32_t> places, const RowList& ids) const;
  Slot find(std::uint64_t id) const;
  void enter(std::uint64_t id, Slot slot);
  Slot create(std::uint64_t id);
  void make_room(std::size_t rows);
  void sweep();
  void apply(float scale, const OptimizerStep& optimizer);
  std::uint32_t change_of(Slot slot) const;

  float* record(Slot slot) { return &storage_->records[slot * rules_->record_words()]; }
  const float* record(Slot slot) const { return &storage_->records[slot * rules_->record_words()]; }

  const RowRules* rules_;
  std::shared_ptr<Storage> storage_;
  std::uint64_t iteration_ = 0;           ///< of the version
  std::uint64_t previous_iteration_ = 0;  ///< of the one before
  Floats clocks_;
  Floats clocks_before_;

  // What the last step changed, in the order in which it touched it.
  bool has_previous_ = false;
  std::size_t previous_size_ = 0;  ///< rows before the step
  std::vector<Slot> changed_;      ///< by place; a row is among them if changed_[its place] is its slot
  std::vector<float> before_;      ///< runs of `width` floats per place: values, then each kind of state
  std::vector<std::uint32_t> touched_before_;
  std::vector<float> gradient_;  ///< the reduced gradients, by place; of more rows than changed once did
  std::vector<float> after_;     ///< scratch
};

class RowBlock::Snapshot {
 public:
  Snapshot() = default;

  explicit operator bool() const { return storage_ != nullptr; }
  const RowRules& rules() const { return *rules_; }
  std::span<const float> clocks() const { return clocks_; }
  /// Rows that are alive.
  std::size_t rows() const;
  RowImage image() const;

 private:
  friend class RowBlock;
  const float* record(std::size_t slot) const;
  bool alive(std::size_t slot) const;

  const RowRules* rules_ = nullptr;
  std::shared_ptr<const Storage> storage_;
  std::uint64_t iteration_ = 0;
  Floats clocks_;
};

}  // namespace ringps
