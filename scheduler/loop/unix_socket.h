#pragma once

// Stream sockets with a name in the file system. Names of any length work: the kernel ends them at
// 107 bytes, so bind and connect go through `/proc/self/fd/N/`, N being the folder.

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "scheduler/base/result.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/loop.h"

namespace pawl {

/// Who is at the other end, as the kernel saw it at connect time.
struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

/// Binds and listens, mode 0600 from the first moment, non-blocking, close-on-exec. A socket of
/// that name that is there is replaced (who calls holds the lock that allows it); anything else
/// there is an error. Errors: home_unusable.
Result<Fd> listen_unix(const std::string& path);

/// Connects without waiting. Errors: not_found (no such socket), refused (nobody listens), locked
/// (somebody listens but takes nobody now), failed (all else). The result is non-blocking.
Result<Fd> connect_unix(const std::string& path);

/// Nothing when the socket is not a Unix one.
Result<Peer> peer_of(int fd);

/// True for this process's own user and for root.
bool is_trusted(const Peer& peer);

/// A short name for a socket in a folder of any depth, for libraries that take a path themselves.
struct ShortPath {
  Fd folder;         ///< keep open while `path` is used
  std::string path;  ///< `/proc/self/fd/N/NAME`
};
Result<ShortPath> short_path(const std::string& path);

/// Accepts connections of trusted peers, others are closed. Out of descriptors, it waits 100 ms and
/// tries again.
class UnixListener {
 public:
  using OnAccept = std::function<void(Fd socket, Peer peer)>;
  UnixListener(Loop& loop, Fd listening, OnAccept on_accept);
  ~UnixListener();
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  /// While paused, who connects waits in the kernel's queue.
  void pause();
  void resume();

  /// Listens no more: who has connected by now is still accepted, at once, the next is refused.
  void close();

  struct Impl;

 private:
  Impl* impl_;
};

}  // namespace pawl
