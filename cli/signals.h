#pragma once

// What the terminal and the system tell this process while a verb waits.

namespace pawl {

/// Counts signals instead of dying of them, while it lives. One at a time.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// Ctrl-C, so far.
  int interrupts() const;
  /// SIGTERM or SIGHUP when one came, else 0: leave, and leave running work running.
  int leave() const;
};

}  // namespace pawl
