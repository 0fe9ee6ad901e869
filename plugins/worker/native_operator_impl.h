#pragma once

// What an operator of a library shares with the functions that its plugin calls. Private to the
// two.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>

#include "plugins/threads/blocking_threads.h"
#include "plugins/worker/native_attempts.h"
#include "plugins/worker/native_operator.h"
#include "scheduler/loop/wakeup.h"

namespace pawl {

struct NativeOperator::Impl {
  /// Handed to the plugin; the functions find their way back by it.
  struct Table {
    pawl_host host{};
    Impl* self = nullptr;
  };
  /// What threads of the plugin have said, in order.
  struct Said {
    enum class Kind : std::uint8_t { log, begins, heartbeat, progress, finished, call } kind;
    AttemptId attempt = {};
    LogStream stream = LogStream::out;
    std::string text = {};
    double fraction = 0;
    OperatorResult result = {};
    std::function<void()> call = {};

    std::size_t bytes() const;  ///< of memory, about
  };

  Impl(Loop& loop_in, const pawl_operator* table_in, OperatorEvents& events_in);
  ~Impl() { misuse->close(); }

  bool is_on_loop() const { return std::this_thread::get_id() == loop_thread; }
  void fill_host();
  void say(Said&& said);
  void listen();
  void tell(Said&& said);
  void finish(std::shared_ptr<NativeAttempt> cell, OperatorResult&& result);
  bool open(AttemptId first);

  Loop& loop;
  const pawl_operator* table;
  OperatorEvents& events;
  const std::thread::id loop_thread;
  Table host;
  void* self = nullptr;
  bool is_opened = false;
  std::string open_error;
  std::unordered_map<AttemptId, pawl_attempt*> attempts;  ///< loop only
  std::set<int> watched;                                  ///< loop only

  std::mutex mutex;
  std::condition_variable room;
  std::deque<Said> queue;
  std::size_t queued_bytes = 0;
  Wakeup wakeup;
  std::shared_ptr<NativeMisuse> misuse;
  BlockingThreads threads;
};

/// What the attempt that this thread of the pool runs has used; 0 on other threads.
std::int64_t cpu_of_attempt_us();

}  // namespace pawl
