#pragma once

// What a host itself writes to its standard output and error, and what the libraries in it print
// there: it goes to the worker's log, with the secrets of the host's attempts hidden.
//
// As long as no attempt has secrets, both are that file itself, and nothing stands between a word
// and the disk. From the first secret on they are a pipe, which a thread of its own reads: the
// loop's thread prints too, and a full pipe would hold it up for ever. A process that crashes,
// aborts or exits waits for that thread (`settle`); one that is killed from outside loses what the
// thread has not read yet.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "plugins/worker/mask.h"
#include "scheduler/base/result.h"
#include "scheduler/loop/fd.h"

namespace pawl {

/// Values that are kept of attempts that have ended, as a library may print them later; those of
/// open ones always are.
inline constexpr std::size_t kOwnSecretsMax = 256;

/// One in a process, after `record_crashes`; on its loop's thread but for `settle`.
class OwnOutput {
 public:
  /// Lines of `stdout` go out as they end.
  OwnOutput();
  /// What has been said is in the log; of what is said from now on nothing, if there were secrets.
  /// SIGPIPE must be ignored.
  ~OwnOutput();
  OwnOutput(const OwnOutput&) = delete;
  OwnOutput& operator=(const OwnOutput&) = delete;

  /// The values (by name) of an attempt that begins. Errors: failed, then nothing is hidden and it
  /// must not begin.
  Result<void> hide(const std::map<std::string, std::string>& secrets);
  /// That attempt has ended.
  void release(const std::map<std::string, std::string>& secrets);

  /// Waits until what was said is in the log, at the most for a second. From any thread, from a
  /// signal handler too.
  static void settle();

 private:
  Result<void> redirect();
  void forget_ended();
  void work();
  void pass_on(std::string_view text);

  std::map<std::string, int> values_;  ///< and how many open attempts have each
  Fd log_;                             ///< what both were at first; none: they still are that
  Fd pipe_;
  Fd end_;            ///< readable: the thread is to end
  std::mutex mutex_;  // guards mask_
  std::shared_ptr<const Mask> mask_ = std::make_shared<const Mask>(std::vector<std::string>());
  std::shared_ptr<const Mask> mask_of_stream_;  ///< the thread's, with `stream_`
  std::unique_ptr<MaskStream> stream_;
  std::thread reader_;
};

}  // namespace pawl
