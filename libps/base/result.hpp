// A value or an error: for outcomes that a user, a peer or a disk can cause. Our own bugs use check.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "libps/base/check.hpp"

namespace ringps {

enum class ErrorKind : std::uint8_t {
  ordinary,
  fsync_failed,  ///< the disk may have lost what it had accepted, and later calls would not say so: end the process
};

/// What went wrong, in words for the person who has to mend it: what was found, what was expected, where, what to do.
struct Error {
  std::string message;
  ErrorKind kind = ErrorKind::ordinary;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// The value; asking for it without one is a bug.
  T& value() & {
    check(ok(), "Result has no value");
    return std::get<0>(state_);
  }
  const T& value() const& {
    check(ok(), "Result has no value");
    return std::get<0>(state_);
  }
  T&& value() && {
    check(ok(), "Result has no value");
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const std::string& error() const {
    check(!ok(), "Result has no error");
    return std::get<1>(state_).message;
  }
  /// The whole error, for handing it on.
  const Error& failure() const {
    check(!ok(), "Result has no error");
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// An outcome without a value.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const std::string& error() const {
    check(!ok(), "Result has no error");
    return error_->message;
  }
  const Error& failure() const {
    check(!ok(), "Result has no error");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace ringps
