// Random messages of every kind, made from the same fields() that the codec uses.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "libps/wire/messages.hpp"

namespace ringps {

template <class T>
void fill(T& value);

template <class... T>
void fill_all(const std::tuple<T&...>& fields) {
  std::apply([](auto&... field) { (fill(field), ...); }, fields);
}

/// Fills `value` with anything that may be sent.
template <class T>
void fill(T& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double> || std::is_same_v<T, std::string>) {
    value = *rc::gen::arbitrary<T>();
  } else if constexpr (std::is_unsigned_v<T>) {
    value = *rc::gen::element<T>(0, 1, 127, 128, 65535, 65536, static_cast<T>(-1)) ^ *rc::gen::arbitrary<T>();
  } else if constexpr (std::is_enum_v<T>) {
    value = static_cast<T>(*rc::gen::inRange(0, 4));  // what every enumeration has, or may come with
  } else if constexpr (requires { value.emplace_back(); }) {
    value.resize(static_cast<std::size_t>(*rc::gen::inRange(0, 4)));
    std::for_each(value.begin(), value.end(), [](auto& entry) { fill(entry); });
  } else if constexpr (requires { value.value; }) {
    fill(value.value);
  } else {
    fill_all(T::fields(value));
  }
  if constexpr (std::is_same_v<T, View>) {
    value.servers.emplace_back();
    value.settled_ring.emplace_back();
    for (std::uint32_t& worker : value.slice_worker) {
      worker = value.workers.empty() ? no_worker : worker % static_cast<std::uint32_t>(value.workers.size());
    }
  }
}

/// Whether two values have the same fields, all the way down.
template <class T>
bool same(const T& a, const T& b) {
  if constexpr (requires { T::fields(a); }) {
    return [&]<std::size_t... I>(const auto& left, const auto& right, std::index_sequence<I...>) {
      return (same(std::get<I>(left), std::get<I>(right)) && ...);
    }
    (T::fields(a), T::fields(b), std::make_index_sequence<std::tuple_size_v<decltype(T::fields(a))>>{});
  } else if constexpr (requires { a.begin(); }) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return same(x, y); });
  } else {
    return a == b;
  }
}

inline bool same(const Message& a, const Message& b) {
  return same(a.envelope, b.envelope) && a.body.index() == b.body.index() &&
         std::visit([&]<class T>(const T& body) { return same(body, std::get<T>(b.body)); }, a.body);
}

inline constexpr std::size_t kinds = std::variant_size_v<Body>;

/// The kind at that place of Body, without content.
inline Body empty_body(std::size_t kind) {
  Body body;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((I == kind ? static_cast<void>(body.emplace<I>()) : static_cast<void>(0)), ...);
  }
  (std::make_index_sequence<kinds>{});
  return body;
}

/// A message of the kind at that place of Body.
inline Message any_message(std::size_t kind) {
  Message message;
  fill(message.envelope);
  message.body = empty_body(kind);
  std::visit([](auto& body) { fill(body); }, message.body);
  return message;
}

}  // namespace ringps
