#pragma once

// Descriptors that must end with this process. Close-on-exec keeps them from programs; a library
// that forks without exec would keep them open, and a lock held, in a child that lives on.

namespace pawl {

/// While it lives, each child that fork(3) makes closes the descriptor at its birth. Any thread.
/// Sixteen at once in a process; one more is not closed.
class ForkGuard {
 public:
  /// `fd` stays its owner's, who closes it after this has ended.
  explicit ForkGuard(int fd);
  ~ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

 private:
  int fd_;
};

}  // namespace pawl
