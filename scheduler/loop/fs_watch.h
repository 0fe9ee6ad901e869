#pragma once

// What changes in a folder (not below it), by inotify.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"
#include "scheduler/loop/loop.h"

namespace pawl {

class FsWatch {
 public:
  enum class Event {
    changed,  ///< an entry was made, written, or moved in, or its permissions changed
    removed,  ///< an entry went or was moved away
    missed,   ///< too much happened to be told: read the whole folder again
    gone,     ///< the folder itself was removed or moved; nothing more will be told
  };
  /// `name` is the entry's; empty for `missed`, `gone`, and a change of the folder's own
  /// permissions. One write may come as several events.
  using OnEvent = std::function<void(Event, std::string_view name)>;

  /// Watches the folder that `folder_fd` is open on (also with O_PATH). The descriptor is only
  /// needed during the call.
  static Result<std::unique_ptr<FsWatch>> open(Loop& loop, int folder_fd, OnEvent on_event);
  ~FsWatch();
  FsWatch(const FsWatch&) = delete;
  FsWatch& operator=(const FsWatch&) = delete;

  struct Impl;

 private:
  explicit FsWatch(Impl* impl);
  Impl* impl_;
};

}  // namespace pawl
