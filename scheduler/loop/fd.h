#pragma once

// A file descriptor with one owner.

#include <string>
#include <utility>

namespace pawl {

class Fd {
 public:
  Fd() = default;
  /// Takes the descriptor over; -1 is none.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Gives the descriptor away.
  int release() { return std::exchange(fd_, -1); }
  /// Closes what is held and takes `fd` over. `errno` is kept.
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

/// What one read of a file gives, at most 4 KiB: for those of the kernel, which are whole then.
/// Empty when it cannot be read.
std::string read_small_file(const std::string& path);
/// The same of one that is open, from its beginning.
std::string read_small_file(const Fd& file);

}  // namespace pawl
