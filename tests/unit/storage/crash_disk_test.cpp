#include "tests/unit/storage/crash_disk.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace ringps;

namespace {

/// Names and contents of each state in which the disk can be after a loss of power at the end.
std::set<std::string> left_after(const DiskLog& log, const CrashBounds& bounds = {}) {
  std::set<std::string> found;
  const auto collect = [&](std::size_t, const Disk& disk) {
    std::string text;
    disk.walk({root_folder, true}, "", [&](const std::string& path, const Disk::Entry& entry) {
      text.append(path).append("=").append(disk.node(entry.node).bytes).append(" ");
    });
    found.insert(text);
    return std::string();
  };
  first_problem(log.ops(), log.ops().size(), log.ops().size(), bounds, collect);
  return found;
}

}  // namespace

TEST_CASE("name and contents of a new file are lost apart, until each is synced") {
  DiskLog log;
  const NodeId file = log.add_entry(root_folder, "f", false);
  log.add(DiskOp::write(file, 0, "a"));
  log.add(DiskOp::sync(root_folder));
  CHECK(left_after(log) == std::set<std::string>{"f= ", "f=a "});
  log.add(DiskOp::sync(file));
  CHECK(left_after(log) == std::set<std::string>{"f=a "});
}

TEST_CASE("a file that is synced is not there as long as its folder is not") {
  DiskLog log;
  const NodeId folder = log.add_entry(root_folder, "d", true);
  const NodeId file = log.add_entry(folder, "f", false);
  log.add(DiskOp::write(file, 0, "a"));
  log.add(DiskOp::sync(file));
  log.add(DiskOp::sync(folder));
  CHECK(left_after(log) == std::set<std::string>{"", "d= d/f=a "});
}

TEST_CASE("a rename is lost or kept as one, and may outlive the contents that came before it") {
  DiskLog log;
  const NodeId old = log.add_entry(root_folder, "f", false);
  log.add(DiskOp::write(old, 0, "old"));
  const NodeId file = log.add_entry(root_folder, "t", false);
  log.add(DiskOp::sync(old));
  log.add(DiskOp::sync(root_folder));
  log.add(DiskOp::write(file, 0, "new"));
  log.add(DiskOp::rename(root_folder, "t", "f", file));
  CHECK(left_after(log) == std::set<std::string>{"f=old t= ", "f=old t=new ", "f= ", "f=new "});
}

TEST_CASE("the last write may be torn, and a lost one before another leaves zeros") {
  DiskLog log;
  const NodeId file = log.add_entry(root_folder, "f", false);
  log.add(DiskOp::sync(root_folder));
  log.add(DiskOp::write(file, 0, "a"));
  log.add(DiskOp::write(file, 1, "bc"));
  const std::string zero(1, '\0');
  const auto left = left_after(log);
  for (const std::string& contents : {std::string(), std::string("a"), std::string("ab"), std::string("abc"),
                                      zero + "bc", zero + "b", "ab" + zero, "a" + zero + zero}) {
    CHECK(left.contains("f=" + contents + " "));
  }
}

TEST_CASE("with too many pending changes for all subsets, none, all and each pair are still lost") {
  DiskLog log;
  const NodeId file = log.add_entry(root_folder, "f", false);
  log.add(DiskOp::sync(root_folder));
  for (std::uint64_t i = 0; i < 6; ++i) {
    log.add(DiskOp::write(file, i, "x"));
  }
  log.add(DiskOp::write(file, 6, "."));
  const auto left = left_after(log, {2, 2, 0, false});
  CHECK(left.contains("f= "));
  CHECK(left.contains("f=xxxxxx. "));
  CHECK(left.contains("f=" + std::string("x\0xx\0x.", 7) + " "));
  CHECK_FALSE(left.contains("f=" + std::string("x\0x\0x\0.", 7) + " "));
  CHECK(left_after(log, {2, 1, 0, false}).size() == 16);
}

TEST_CASE("the search for a problem stops at the first, and says when it was and what was on the disk") {
  DiskLog log;
  const NodeId file = log.add_entry(root_folder, "f", false);
  log.add(DiskOp::sync(root_folder));
  log.add(DiskOp::write(file, 0, "ab"));
  const auto check = [&](std::size_t, const Disk& disk) {
    return disk.node(file).bytes == "ab" ? "the file is whole" : std::string();
  };
  CHECK(first_problem(log.ops(), 0, 2, {}, check).empty());
  const std::string problem = first_problem(log.ops(), 0, 3, {}, check);
  CHECK_THAT(problem, Catch::StartsWith("the file is whole\npower lost after operation 3, on the disk:\nf 2 bytes"));
}
