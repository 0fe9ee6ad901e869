#pragma once

// Names that are looked up when a test wants it. A test that uses them takes the place of the
// system's `getaddrinfo`, for libcurl too: its executable exports its symbols.

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

namespace pawl::test {

/// Names that end with `.held`: whoever looks one up waits until it is let go, and then it is this
/// machine's.
class HeldNames {
 public:
  void let_go(const std::string& name) {
    {
      const std::scoped_lock lock(mutex_);
      free_.insert(name);
    }
    changed_.notify_all();
  }
  void wait_until_asked(const std::string& name) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_.count(name) > 0; });
  }
  void wait_for(const std::string& name) {
    std::unique_lock lock(mutex_);
    asked_.insert(name);
    changed_.notify_all();
    changed_.wait(lock, [&] { return free_.count(name) > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> asked_;
  std::set<std::string> free_;
};

/// Threads of libcurl may outlive the test.
HeldNames& held_names();

}  // namespace pawl::test
