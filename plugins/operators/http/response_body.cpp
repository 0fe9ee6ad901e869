#include "plugins/operators/http/response_body.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pawl::operators {

namespace {

/// Closes what it was given.
class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Whoever may replace a file need not be allowed to give it away: then it is theirs.
void take_rights(const BodyFile& file) {
  struct stat before {};
  if (::stat(file.name.c_str(), &before) != 0) return;
  if (before.st_uid != ::geteuid() || before.st_gid != ::getegid()) {
    (void)!::chown(file.path.c_str(), before.st_uid, before.st_gid);
  }
  ::chmod(file.path.c_str(), before.st_mode & 0777);
}

}  // namespace

BodyMemory& BodyMemory::of_process() {
  static BodyMemory memory;
  return memory;
}

ResponseBody::ResponseBody(BodyMemory& memory, std::string_view scratch, BodyFile file)
    : memory_(memory), scratch_(scratch), file_(std::move(file)) {}

ResponseBody::~ResponseBody() { clear(); }

Result<void> ResponseBody::append(std::string_view piece) {
  buffer_ += piece;
  size_ += piece.size();
  memory_.bytes += piece.size();
  if (buffer_.size() <= kBodyBytesInMemory || memory_.bytes <= kBodiesBytesMax) return {};
  return flush();
}

void ResponseBody::clear() {
  memory_.bytes -= buffer_.size();
  buffer_ = {};
  size_ = 0;
  if (std::exchange(has_file_, false)) ::unlink(file_.path.c_str());
}

void ResponseBody::make_path() {
  const std::string folder(scratch_);
  ::mkdir(folder.c_str(), 0777);  // where it cannot be made, the file tells
  file_.path = folder + "/response-body";
}

Result<void> ResponseBody::flush() {
  if (file_.path.empty()) make_path();
  const int how = has_file_ ? O_APPEND : O_CREAT | O_EXCL;
  const OpenFile file(
      ::open(file_.path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | how, file_.mode));
  if (file.get() < 0) return failed("cannot be written");
  has_file_ = true;
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t n = ::write(file.get(), left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("cannot be written");
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  memory_.bytes -= buffer_.size();
  buffer_ = {};
  return {};
}

Result<std::string> ResponseBody::text() const {
  if (!has_file_) return buffer_;
  const OpenFile file(::open(file_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) return failed("cannot be read");
  std::string out(size_ - buffer_.size(), '\0');
  std::size_t at = 0;
  while (at < out.size()) {
    const ssize_t n = ::read(file.get(), out.data() + at, out.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("cannot be read");
    if (n == 0) return Error{ErrorKind::failed, file_.path + " became shorter while it was used"};
    at += static_cast<std::size_t>(n);
  }
  return out + buffer_;
}

Result<void> ResponseBody::keep() {
  if (auto flushed = flush(); !flushed) return flushed;
  take_rights(file_);
  if (::rename(file_.path.c_str(), file_.name.c_str()) != 0) {
    return Error{ErrorKind::failed, file_.name + " cannot be made: " + std::strerror(errno)};
  }
  has_file_ = false;
  return {};
}

Error ResponseBody::failed(const char* what) const {
  const int error = errno;
  return {ErrorKind::failed, file_.path + ' ' + what + ": " + std::strerror(error)};
}

}  // namespace pawl::operators
