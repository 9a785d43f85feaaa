// What a load has found: where each value was given, and every problem, so that a person can mend all of them at once.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps::config_detail {

class Report {
 public:
  /// `source` names the whole input where no better place is known.
  explicit Report(std::string source) : source_(std::move(source)) {}

  /// The value of `path` ("cluster.servers", "faults[0].kill") comes from `where` ("run.yaml:3:12").
  void given(const std::string& path, std::string where) { origins_[path] = {std::move(where), false}; }
  /// The list `path` begins anew: nothing is known of its entries.
  void forget_entries(const std::string& path);
  /// The value of `path` is wrong, and so nothing that depends on it is worth checking. Reported at the place where the
  /// value, or else what encloses it, was given.
  void problem(const std::string& path, std::string_view what);
  /// Something is wrong that is not the value of a key.
  void problem_at(std::string_view where, std::string_view what);

  bool was_given(const std::string& path) const { return origins_.contains(path); }
  /// Whether nothing wrong has been found at this path.
  bool sound(const std::string& path) const;
  bool any() const { return !problems_.empty(); }
  /// Enough has been found: reading on would only make the list longer. It also bounds the work that a file can cause.
  bool full() const { return problems_.size() >= problems_max; }
  /// All problems, one on a line.
  Error error() const;

 private:
  struct Origin {
    std::string where;
    bool wrong = false;
  };
  static constexpr std::size_t problems_max = 50;

  /// Where the value of `path`, or else what encloses it, was given.
  std::string where(std::string path) const;

  std::string source_;
  std::map<std::string, Origin> origins_;
  std::vector<std::string> problems_;
};

}  // namespace ringps::config_detail
