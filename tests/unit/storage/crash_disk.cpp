#include "tests/unit/storage/crash_disk.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "libps/base/check.hpp"

namespace ringps {
namespace {

/// What a disk keeps of the pending changes, one flag for each.
using Kept = std::vector<bool>;

Kept all_but(std::size_t count, bool kept, std::size_t a, std::size_t b) {
  Kept subset(count, kept);
  subset[a] = !kept;
  subset[b] = !kept;
  return subset;
}

std::vector<Kept> subsets(std::size_t count, const CrashBounds& bounds) {
  std::vector<Kept> found;
  if (count <= bounds.all_subsets_of) {
    for (std::size_t bits = 0; bits < std::size_t{1} << count; ++bits) {
      Kept& subset = found.emplace_back(count);
      for (std::size_t i = 0; i < count; ++i) {
        subset[i] = (bits >> i & 1U) != 0;
      }
    }
    return found;
  }
  for (const bool kept : {false, true}) {
    found.emplace_back(count, kept);
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = a; b < (bounds.few == 2 ? count : a + bounds.few); ++b) {
        found.push_back(all_but(count, kept, a, b));
      }
    }
  }
  std::mt19937_64 random(count);
  for (int i = 0; i < bounds.random_subsets; ++i) {
    Kept& subset = found.emplace_back(count);
    for (std::size_t j = 0; j < count; ++j) {
      subset[j] = (random() & 1U) != 0;
    }
  }
  return found;
}

/// Ways in which only a part of a write can have reached the disk; losing all of it is a subset.
std::vector<DiskOp> torn(const DiskOp& write) {
  std::vector<DiskOp> ways;
  const std::size_t length = write.bytes.size();
  for (const std::size_t kept : {std::size_t{0}, std::size_t{1}, length / 2, length - 1}) {
    if (kept >= length) {
      continue;
    }
    DiskOp zeroed = write;
    std::fill(zeroed.bytes.begin() + static_cast<std::ptrdiff_t>(kept), zeroed.bytes.end(), '\0');
    ways.push_back(std::move(zeroed));
    if (kept > 0) {
      DiskOp cut = write;
      cut.bytes.resize(kept);
      ways.push_back(std::move(cut));
    }
  }
  return ways;
}

/// As first_problem, for one moment.
std::string check_subsets(const Disk& durable, const std::vector<DiskOp>& pending, std::size_t done,
                          const CrashBounds& bounds, const CrashCheck& check) {
  for (const Kept& kept : subsets(pending.size(), bounds)) {
    Disk disk = durable;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      if (kept[i]) {
        disk.apply(pending[i]);
      }
    }
    if (std::string problem = check(done, disk); !problem.empty()) {
      return problem + "\npower lost after operation " + std::to_string(done) + ", on the disk:\n" + disk.fingerprint();
    }
  }
  return {};
}

/// Every change waits until its own file or folder is synced, so what is durable can be applied before what is pending.
void take(const DiskOp& op, Disk& durable, std::vector<DiskOp>& pending) {
  if (op.kind != DiskOp::Kind::sync) {
    pending.push_back(op);
    return;
  }
  std::vector<DiskOp> rest;
  for (DiskOp& change : pending) {
    if (change.node == op.node) {
      durable.apply(change);
    } else {
      rest.push_back(std::move(change));
    }
  }
  pending = std::move(rest);
}

}  // namespace

DiskOp DiskOp::link(NodeId folder, std::string name, NodeId child, bool child_folder) {
  return {Kind::link, folder, std::move(name), {}, child, child_folder, 0, {}};
}

DiskOp DiskOp::unlink(NodeId folder, std::string name) {
  return {Kind::unlink, folder, std::move(name), {}, 0, false, 0, {}};
}

DiskOp DiskOp::rename(NodeId folder, std::string from, std::string to, NodeId child) {
  return {Kind::rename, folder, std::move(from), std::move(to), child, false, 0, {}};
}

DiskOp DiskOp::truncate(NodeId file, std::uint64_t length) {
  return {Kind::truncate, file, {}, {}, 0, false, length, {}};
}

DiskOp DiskOp::write(NodeId file, std::uint64_t offset, std::string bytes) {
  return {Kind::write, file, {}, {}, 0, false, offset, std::move(bytes)};
}

DiskOp DiskOp::sync(NodeId node) {
  return {Kind::sync, node, {}, {}, 0, false, 0, {}};
}

Disk::Node& Disk::change(NodeId id) {
  if (id >= nodes_.size()) {
    nodes_.resize(id + 1);
  }
  auto& node = nodes_[id];
  if (node == nullptr) {
    node = std::make_shared<Node>();
  } else if (node.use_count() > 1) {
    node = std::make_shared<Node>(*node);
  }
  return *node;
}

void Disk::apply(const DiskOp& op) {
  if (op.kind == DiskOp::Kind::sync) {
    return;
  }
  Node& node = change(op.node);
  switch (op.kind) {
    case DiskOp::Kind::link:
      node.entries.insert_or_assign(op.name, Entry{op.child, op.child_folder});
      break;
    case DiskOp::Kind::unlink:
      node.entries.erase(op.name);
      break;
    case DiskOp::Kind::rename:
      node.entries.erase(op.name);
      node.entries.insert_or_assign(op.new_name, Entry{op.child, op.child_folder});
      break;
    case DiskOp::Kind::truncate:
      node.bytes.resize(op.offset);
      break;
    default:
      node.bytes.resize(std::max(node.bytes.size(), op.offset + op.bytes.size()));  // a hole reads as zeros
      node.bytes.replace(op.offset, op.bytes.size(), op.bytes);
  }
}

const Disk::Node& Disk::node(NodeId id) const {
  static const Node empty;
  return id < nodes_.size() && nodes_[id] != nullptr ? *nodes_[id] : empty;
}

NodeId Disk::nodes() const {
  NodeId above = std::max<NodeId>(nodes_.size(), root_folder + 1);
  walk({root_folder, true}, "",
       [&](const std::string&, const Entry& entry) { above = std::max(above, entry.node + 1); });
  return above;
}

std::optional<Disk::Entry> Disk::find(std::string_view path) const {
  Entry at{root_folder, true};
  while (!path.empty()) {
    const std::string name(path.substr(0, path.find('/')));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    const auto& entries = node(at.node).entries;
    const auto found = entries.find(name);
    if (!at.folder || found == entries.end()) {
      return std::nullopt;
    }
    at = found->second;
  }
  return at;
}

void Disk::walk(const Entry& folder, const std::string& path,
                const std::function<void(const std::string&, const Entry&)>& visit) const {
  for (const auto& [name, entry] : node(folder.node).entries) {
    const std::string below = path.empty() ? name : path + "/" + name;
    visit(below, entry);
    if (entry.folder) {
      walk(entry, below, visit);
    }
  }
}

std::string Disk::fingerprint(const Entry& folder) const {
  std::string text;
  walk(folder, "", [&](const std::string& path, const Entry& entry) {
    const std::string& bytes = node(entry.node).bytes;
    text.append(path);
    if (entry.folder) {
      text.append("/\n");
    } else {
      text.append(" ").append(std::to_string(bytes.size()));
      text.append(" bytes, hash ").append(std::to_string(std::hash<std::string>{}(bytes))).append("\n");
    }
  });
  return text;
}

void DiskLog::add(DiskOp op) {
  check(!dead(), "a dead process does nothing");
  disk_.apply(op);
  ops_.push_back(std::move(op));
}

NodeId DiskLog::add_entry(NodeId folder, const std::string& name, bool is_folder) {
  const NodeId child = next_node_++;
  add(DiskOp::link(folder, name, child, is_folder));
  return child;
}

std::string first_problem(const std::vector<DiskOp>& ops, std::size_t first, std::size_t last,
                          const CrashBounds& bounds, const CrashCheck& check) {
  Disk durable;
  std::vector<DiskOp> pending;
  std::string problem;
  for (std::size_t done = 0; done <= last && problem.empty(); ++done) {
    if (done > 0) {
      take(ops[done - 1], durable, pending);
    }
    if (done < first) {
      continue;
    }
    problem = check_subsets(durable, pending, done, bounds, check);
    if (!bounds.torn_writes || done == 0 || ops[done - 1].kind != DiskOp::Kind::write) {
      continue;
    }
    for (const DiskOp& part : torn(ops[done - 1])) {
      std::vector<DiskOp> with_part = pending;
      with_part.back() = part;
      if (problem.empty()) {
        problem = check_subsets(durable, with_part, done, bounds, check);
      }
    }
  }
  return problem;
}

}  // namespace ringps
