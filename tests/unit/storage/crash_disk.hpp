// A disk that may lose power: what was done to it is a list of operations, and whatever no sync has made durable may be
// there or not when the power comes back.
//
// The rules are those of POSIX, no kinder: the contents of a file become durable with a sync of the file, the entries
// of a folder with a sync of the folder, and neither with the other. Until then each single change may be lost or kept,
// whatever happens to those before and after it. Only a rename is one change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringps {

using NodeId = std::size_t;
inline constexpr NodeId root_folder = 0;

struct DiskOp {
  enum class Kind : std::uint8_t { link, unlink, rename, truncate, write, sync };

  static DiskOp link(NodeId folder, std::string name, NodeId child, bool child_folder);
  static DiskOp unlink(NodeId folder, std::string name);
  static DiskOp rename(NodeId folder, std::string from, std::string to, NodeId child);
  static DiskOp truncate(NodeId file, std::uint64_t length);
  static DiskOp write(NodeId file, std::uint64_t offset, std::string bytes);
  static DiskOp sync(NodeId node);

  Kind kind;
  NodeId node;                ///< the file or folder that is changed, and whose sync makes the change durable
  std::string name;           ///< link, unlink, rename: the entry
  std::string new_name;       ///< rename
  NodeId child = 0;           ///< link, rename: what the entry stands for
  bool child_folder = false;  ///< link
  std::uint64_t offset = 0;   ///< write; truncate: the new length
  std::string bytes;          ///< write
};

/// The state of a disk. Copies share the nodes that they have not changed.
class Disk {
 public:
  struct Entry {
    NodeId node;
    bool folder;
  };
  struct Node {
    std::string bytes;                     ///< of a file
    std::map<std::string, Entry> entries;  ///< of a folder
  };

  void apply(const DiskOp& op);
  const Node& node(NodeId id) const;
  /// Above every node that anything is in or that has an entry.
  NodeId nodes() const;
  /// `path` is relative to the root folder, which is "".
  std::optional<Entry> find(std::string_view path) const;
  /// Calls visit(path, entry) for everything below `folder`, a folder before what is in it.
  void walk(const Entry& folder, const std::string& path,
            const std::function<void(const std::string&, const Entry&)>& visit) const;
  /// A text that differs where what can be found below `folder` does.
  std::string fingerprint(const Entry& folder = {root_folder, true}) const;

 private:
  Node& change(NodeId id);

  std::vector<std::shared_ptr<Node>> nodes_;  ///< null: nothing in it yet
};

/// What was done to a disk since it was made.
class DiskLog {
 public:
  explicit DiskLog(Disk disk = {}) : disk_(std::move(disk)), next_node_(disk_.nodes()) {}

  const Disk& disk() const { return disk_; }  ///< as the running programs see it
  const std::vector<DiskOp>& ops() const { return ops_; }

  void add(DiskOp op);
  NodeId add_entry(NodeId folder, const std::string& name, bool is_folder);

  /// The process is killed before operation `op`: from then on nothing that it tries happens, until revive().
  void kill_before(std::size_t op) { killed_before_ = op; }
  bool dead() const { return ops_.size() >= killed_before_; }
  void revive() { killed_before_ = SIZE_MAX; }

 private:
  Disk disk_;
  std::vector<DiskOp> ops_;
  NodeId next_node_;
  std::size_t killed_before_ = SIZE_MAX;
};

/// Which losses are tried. Of up to `all_subsets_of` pending changes it is every subset. Of more, it is those that lose
/// or keep at most `few` (0 to 2), and some random ones from a fixed seed.
struct CrashBounds {
  std::size_t all_subsets_of = 10;
  std::size_t few = 2;
  int random_subsets = 100;
  bool torn_writes = true;
};

/// What is wrong with a state of the disk when `done` operations had been done; empty: nothing.
using CrashCheck = std::function<std::string(std::size_t done, const Disk& disk)>;

/// Checks each state in which the disk can be after a loss of power when the first `done` operations had been done,
/// `done` from `first` to `last`. If the last of them is a write, it may have been torn as well: cut off, or of full
/// length with zeros at its end. The same state may come more than once. Returns the first problem, with the moment and
/// what was on the disk, or nothing.
std::string first_problem(const std::vector<DiskOp>& ops, std::size_t first, std::size_t last,
                          const CrashBounds& bounds, const CrashCheck& check);

}  // namespace ringps
