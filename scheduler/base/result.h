#pragma once

// Errors are values: a kind that programs act on and a sentence that people act on. An error is
// returned or logged, never both.

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "scheduler/base/check.h"

namespace pawl {

/// What kind of failure it is. Each kind has one exit code (see `exit_code`).
enum class ErrorKind {
  failed,         ///< the run, or what was waited for, failed
  invalid,        ///< wrong usage or an invalid file
  not_found,      ///< nothing has that name
  refused,        ///< not possible in this state; the message says what would work
  no_scheduler,   ///< no scheduler is reachable
  home_unusable,  ///< the home cannot be used: not writable, network file system, foreign machine
  storage,        ///< the store failed: full disk, I/O error, corruption
  locked,         ///< another process holds the home
  version,        ///< the store is from another version of pawl
  interrupted,    ///< the user interrupted
};

/// Exit code of the command line for an error of this kind.
constexpr int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::failed: return 1;
    case ErrorKind::invalid: return 2;
    case ErrorKind::not_found: return 3;
    case ErrorKind::refused: return 4;
    case ErrorKind::no_scheduler: return 69;
    case ErrorKind::home_unusable: return 73;
    case ErrorKind::storage: return 74;
    case ErrorKind::locked: return 75;
    case ErrorKind::version: return 78;
    case ErrorKind::interrupted: return 130;
  }
  return 1;
}

/// A failure that is the caller's to handle. `message` reads `WHAT: WHY. TRY`, without a prefix
/// and without a full stop at its end.
struct Error {
  ErrorKind kind = ErrorKind::failed;
  std::string message;
};

/// A value or an Error. Reading the wrong one is an internal error (PAWL_CHECK).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }

  T& value() & {
    PAWL_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    PAWL_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    PAWL_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    PAWL_CHECK(state_.index() == 1);
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    PAWL_CHECK(state_.index() == 1);
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return !error_; }
  bool ok() const { return !error_; }
  const Error& error() const& {
    PAWL_CHECK(error_.has_value());
    return *error_;
  }
  Error&& error() && {
    PAWL_CHECK(error_.has_value());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace pawl
