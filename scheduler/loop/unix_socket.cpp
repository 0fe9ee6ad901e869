#include "scheduler/loop/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "scheduler/loop/loop_impl.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"

namespace pawl {
namespace {

constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurnMax = 64;
constexpr Duration kAcceptRetry = std::chrono::milliseconds(100);

Error error_of(ErrorKind kind, const std::string& what, int code) {
  return Error{kind, what + ": " + std::strerror(code)};
}

Result<sockaddr_un> address_of(const ShortPath& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.path.size() >= sizeof address.sun_path) {
    return Error{ErrorKind::home_unusable, "socket name too long: " + path.path};
  }
  std::memcpy(address.sun_path, path.path.data(), path.path.size());
  return address;
}

const sockaddr* plain(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

/// Removes a socket of an earlier process; nothing else is ever removed.
Result<void> make_way(const ShortPath& path, const std::string& shown) {
  struct stat info {};
  if (::lstat(path.path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return error_of(ErrorKind::home_unusable, "cannot look at " + shown, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Error{ErrorKind::home_unusable,
                 "cannot listen at " + shown + ": something else is there. Remove it"};
  }
  if (::unlink(path.path.c_str()) != 0 && errno != ENOENT) {
    return error_of(ErrorKind::home_unusable, "cannot replace " + shown, errno);
  }
  return {};
}

ErrorKind kind_of_connect_error(int code) {
  if (code == ENOENT || code == ENOTDIR) return ErrorKind::not_found;
  if (code == ECONNREFUSED) return ErrorKind::refused;
  if (code == EAGAIN) return ErrorKind::locked;
  return ErrorKind::failed;
}

}  // namespace

Result<ShortPath> short_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  Fd fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return error_of(kind_of_connect_error(errno), "cannot open " + folder, errno);
  std::string shortened = "/proc/self/fd/" + std::to_string(fd.get()) + "/" + name;
  return ShortPath{.folder = std::move(fd), .path = std::move(shortened)};
}

Result<Fd> listen_unix(const std::string& path) {
  const auto place = short_path(path);
  if (!place) return Error{ErrorKind::home_unusable, place.error().message};
  const auto address = address_of(*place);
  if (!address) return address.error();
  if (const auto clear = make_way(*place, path); !clear) return clear.error();
  const auto failed = [&path](int code) {
    return error_of(ErrorKind::home_unusable, "cannot listen at " + path, code);
  };
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed(errno);
  // The kernel gives the name the mode of the socket, so there is no moment with a wider one.
  if (::fchmod(fd.get(), 0600) != 0) return failed(errno);
  if (::bind(fd.get(), plain(*address), sizeof *address) != 0) return failed(errno);
  if (::listen(fd.get(), kBacklog) != 0) return failed(errno);
  return fd;
}

Result<Fd> connect_unix(const std::string& path) {
  const auto place = short_path(path);
  if (!place) return place.error();
  const auto address = address_of(*place);
  if (!address) return address.error();
  const auto failed = [&path](int code) {
    return error_of(kind_of_connect_error(code), "cannot connect to " + path, code);
  };
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed(errno);
  while (::connect(fd.get(), plain(*address), sizeof *address) != 0) {
    if (errno != EINTR) return failed(errno);
  }
  return fd;
}

Result<Peer> peer_of(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 || size == 0) {
    return error_of(ErrorKind::failed, "cannot tell who is at the other end of a socket", errno);
  }
  return Peer{.uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid};
}

bool is_trusted(const Peer& peer) { return peer.uid == 0 || peer.uid == ::geteuid(); }

struct UnixListener::Impl : Loop::Retired {
  Impl(Loop& loop_of, Fd listening, OnAccept callback)
      : loop(loop_of),
        on_accept(std::move(callback)),
        fd(std::move(listening)),
        again(loop_of, [this] { watch(); }),
        poll(loop_of, fd.get(), [this](PollEvents) { accept_some(); }) {
    watch();
  }

  void watch() {
    if (!paused) poll.watch({.readable = true});
  }

  void accept_some() {
    for (int i = 0; i < kAcceptsPerTurnMax && !ended && !paused; ++i) {
      if (accept_one()) continue;
      if (errno != EAGAIN) wait_for_room();
      return;
    }
  }

  /// Who connects is refused from the shutdown on, so the queue has an end.
  void close() {
    poll.stop();
    again.cancel();
    ::shutdown(fd.get(), SHUT_RD);
    paused = false;
    while (accept_one()) {
    }
    ended = true;
  }

  bool accept_one() {
    Fd socket(::accept4(fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return errno == EINTR || errno == ECONNABORTED;
    const auto peer = peer_of(socket.get());
    if (peer && is_trusted(*peer)) on_accept(std::move(socket), *peer);
    return true;
  }

  void wait_for_room() {
    poll.stop();
    again.start_after(kAcceptRetry);
  }

  Loop& loop;
  OnAccept on_accept;
  bool ended = false;
  bool paused = false;
  Fd fd;
  Timer again;
  Poll poll;
};

UnixListener::UnixListener(Loop& loop, Fd listening, OnAccept on_accept)
    : impl_(new Impl(loop, std::move(listening), std::move(on_accept))) {}

UnixListener::~UnixListener() {
  impl_->ended = true;
  impl_->poll.stop();
  impl_->again.cancel();
  impl_->loop.retire(std::unique_ptr<Loop::Retired>(impl_));
}

void UnixListener::close() { impl_->close(); }

void UnixListener::pause() {
  impl_->paused = true;
  impl_->poll.stop();
}

void UnixListener::resume() {
  if (!std::exchange(impl_->paused, false)) return;
  impl_->watch();
}

}  // namespace pawl
