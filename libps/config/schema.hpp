// The table of a section: one line per key, from which reading, suggestions, writing and the join digest all come.
// A section is a struct with a static constexpr fields() that returns a tuple of schema::Field.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringps::schema {

/// Longest list that a configuration may hold.
inline constexpr std::size_t list_entries_max = 1000;

/// Who has to agree on a value.
enum class Agreement : bool {
  local,   ///< each process may have its own
  shared,  ///< the same in every process of the cluster: part of the join digest
};

/// T itself, or what a list or an optional of T holds.
template <class T>
struct Element {
  using value_type = T;
};
template <class T>
struct Element<std::vector<T>> {
  using value_type = T;
};
template <class T>
struct Element<std::optional<T>> {
  using value_type = T;
};

/// Both ends are allowed. Only numbers have one; for a list it holds for each entry.
template <class T>
struct Range {};
template <class T>
requires std::is_arithmetic_v<T>
struct Range<T> {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
};
template <class T>
using RangeOf = Range<typename Element<T>::value_type>;

template <class Section, class T>
struct Field {
  std::string_view key;
  T Section::*member;
  RangeOf<T> range;
  Agreement agreement;
  std::string_view doc;
};

template <class S, class T>
constexpr Field<S, T> shared(std::string_view key, T S::*member, std::string_view doc) {
  return {key, member, {}, Agreement::shared, doc};
}
template <class S, class T>
constexpr Field<S, T> shared(std::string_view key, T S::*member, RangeOf<T> range, std::string_view doc) {
  return {key, member, range, Agreement::shared, doc};
}
template <class S, class T>
constexpr Field<S, T> local(std::string_view key, T S::*member, std::string_view doc) {
  return {key, member, {}, Agreement::local, doc};
}
template <class S, class T>
constexpr Field<S, T> local(std::string_view key, T S::*member, RangeOf<T> range, std::string_view doc) {
  return {key, member, range, Agreement::local, doc};
}
/// A section within a section: each of its own fields says who has to agree.
template <class S, class T>
constexpr Field<S, T> section(std::string_view key, T S::*member, std::string_view doc) {
  return {key, member, {}, Agreement::shared, doc};
}

template <class T>
concept Section = requires {
  T::fields();
};

/// Calls `visit(field)` for every field of the section, in the order of its table.
template <Section S, class Visitor>
constexpr void for_each_field(Visitor&& visit) {
  std::apply([&](const auto&... field) { (visit(field), ...); }, S::fields());
}

/// An enum is written as one of the names that `names(Enum)` lists, which stands beside the enum's section.
template <class Enum, std::size_t count>
using Names = std::array<std::pair<std::string_view, Enum>, count>;

template <class Enum>
requires std::is_enum_v<Enum>
constexpr std::string_view name_of(Enum value) {
  for (const auto& [name, candidate] : names(Enum{})) {
    if (candidate == value) {
      return name;
    }
  }
  return "?";
}

}  // namespace ringps::schema
