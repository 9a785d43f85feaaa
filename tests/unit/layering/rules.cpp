#include "tests/unit/layering/rules.hpp"

#include <algorithm>
#include <map>
#include <regex>
#include <set>

namespace ringps {
namespace {

using Folder = std::string;

/// What each folder may include directly; it may also include what those may. Anything not listed is not checked.
const std::map<Folder, std::set<Folder>> may_include = {
    {"libps/base", {}},
    {"libps/ring", {"libps/base"}},
    {"libps/wire", {"libps/ring"}},
    {"libps/optim", {"libps/base"}},
    {"libps/rows", {"libps/optim"}},
    {"libps/core", {"libps/wire", "libps/rows"}},
    {"libps/data", {"libps/base"}},
    {"libps/model", {"libps/data"}},
    {"libps/storage", {"libps/wire", "libps/rows"}},
    {"libps/config", {"libps/core", "libps/model"}},
    {"libps/net", {"libps/core"}},
    {"libps/client", {"libps/net", "libps/config"}},
    {"libps/role", {"libps/client"}},
    {"libps/worker", {"libps/role"}},
    {"services", {"libps/worker", "libps/storage"}},
    {"tests/sim", {"libps/core", "libps/data"}},
};

/// A line that a set of files must not have.
struct Ban {
  std::regex files;  ///< searched in the path
  std::regex line;   ///< searched in each line, without its comment
  std::string why;
};

const std::vector<Ban>& bans() {
  static const std::vector<Ban> all = {
      {std::regex("^libps/(core|ring|optim|wire|rows)/|^libps/base/(?!log|check|buffer)"),
       std::regex(
           R"(std::(\w*mutex|atomic|j?thread|random_device|[io]?fstream|getenv)\b|_clock::now|\bzmq|\b(getenv|fopen)\()"
           R"(|<(mutex|shared_mutex|atomic|thread|fstream|zmq\.hpp|zmq\.h)>)"),
       "this folder is pure: no locks, threads, clocks, sockets, files, environment or global randomness"},
      {std::regex("^libps/.*\\.hpp$"), std::regex(R"(#include <Eigen/|\bEigen::)"),
       "no Eigen in headers: its types change their layout with the consumer's compiler flags"},
      {std::regex("^(libps|services|tests)/"), std::regex(R"(\bsleep_(for|until)\b|\bu?sleep\()"),
       "nothing waits by sleeping: wait for the event, with a deadline"},
  };
  return all;
}

constexpr std::size_t main_lines_max = 100;

/// The listed folder that holds `path`, or an empty one.
Folder folder_of(std::string_view path) {
  for (const auto& [folder, included] : may_include) {
    if (path.starts_with(folder + "/")) {
      return folder;
    }
  }
  return {};
}

bool reaches(const Folder& from, const Folder& to) {
  if (from == to) {
    return true;
  }
  for (const auto& next : may_include.at(from)) {
    if (reaches(next, to)) {
      return true;
    }
  }
  return false;
}

std::string_view without_comment(std::string_view line) {
  return line.substr(0, line.find("//"));
}

std::string include_violation(const Folder& from, const std::string& line) {
  static const std::regex quoted_include(R"rx(^\s*#\s*include\s*"([^"]+)")rx");
  std::smatch match;
  if (!std::regex_search(line, match, quoted_include)) {
    return {};
  }
  const std::string included = match[1];
  if (included.find('/') == std::string::npos) {
    return "includes \"" + included + "\"; includes are written from the root of the source tree";
  }
  const Folder to = folder_of(included);
  if (from.empty() || to.empty() || reaches(from, to)) {
    return {};
  }
  return "includes \"" + included + "\"; " + from + " may not include " + to +
         ", which stands after or beside it in the order of tests/unit/layering/rules.cpp";
}

}  // namespace

std::vector<std::string> rule_violations(std::string_view path, std::string_view text) {
  std::vector<std::string> found;
  const std::string path_text(path);
  const Folder folder = folder_of(path);
  std::vector<const Ban*> applying;
  for (const auto& ban : bans()) {
    if (std::regex_search(path_text, ban.files)) {
      applying.push_back(&ban);
    }
  }

  std::size_t number = 0;
  const auto report = [&](const std::string& what) {
    found.push_back(path_text + ":" + std::to_string(number) + ": " + what);
  };
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string line(without_comment(text.substr(start, end - start)));
    start = end + 1;
    ++number;
    if (const auto what = include_violation(folder, line); !what.empty()) {
      report(what);
    }
    for (const auto* ban : applying) {
      std::smatch match;
      if (std::regex_search(line, match, ban->line)) {
        report("has '" + match.str() + "'; " + ban->why);
      }
    }
  }
  if (path.starts_with("services/") && path.ends_with("/main.cpp") && number >= main_lines_max) {
    report("is " + std::to_string(number) + " lines long; a main.cpp parses, constructs and runs, in under " +
           std::to_string(main_lines_max));
  }
  return found;
}

}  // namespace ringps
