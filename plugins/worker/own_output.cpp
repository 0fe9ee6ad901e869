#include "plugins/worker/own_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "plugins/worker/crash_record.h"

namespace pawl {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
/// When it ends: what a pipe can hold at most by default. A child of a library may write for ever.
constexpr std::size_t kRestBytesMax = 1u << 20;
constexpr int kLooks = 200;
constexpr timespec kBetweenLooks{0, 5'000'000};

// Read by a signal handler.
std::atomic<int> unread_pipe{-1};
std::atomic<bool> is_passing_on{false};  ///< what is not in the pipe any more

void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(file, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;  // a full disk costs lines
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

Error failed(const char* what, int error) {
  return {ErrorKind::failed, std::string("cannot hide secrets in what libraries print: ") + what +
                                 ": " + std::strerror(error)};
}

}  // namespace

OwnOutput::OwnOutput() { std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ); }

OwnOutput::~OwnOutput() {
  if (!log_) return;
  std::fflush(stdout);
  set_last_act(nullptr);
  unread_pipe = -1;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(end_.get(), &one, sizeof(one));
  reader_.join();
}

Result<void> OwnOutput::hide(const std::map<std::string, std::string>& secrets) {
  if (secrets.empty()) return {};
  if (!log_) {
    if (auto done = redirect(); !done) return done;
  }
  bool is_new = false;
  for (const auto& [name, value] : secrets) {
    const auto [at, is_added] = values_.try_emplace(value, 0);
    ++at->second;
    is_new |= is_added;
  }
  if (!is_new) return {};
  if (values_.size() > kOwnSecretsMax) forget_ended();
  std::vector<std::string> all;
  all.reserve(values_.size());
  for (const auto& [value, count] : values_) all.push_back(value);
  auto mask = std::make_shared<const Mask>(std::move(all));
  const std::lock_guard lock(mutex_);
  mask_ = std::move(mask);
  return {};
}

void OwnOutput::release(const std::map<std::string, std::string>& secrets) {
  for (const auto& [name, value] : secrets) --values_.at(value);
}

void OwnOutput::forget_ended() {
  std::erase_if(values_, [](const auto& entry) { return entry.second == 0; });
}

Result<void> OwnOutput::redirect() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failed("pipe", errno);
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  Fd end(::eventfd(0, EFD_CLOEXEC));
  Fd log(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!end || !log) return failed("a descriptor", errno);
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return failed("pipe", errno);
  pipe_ = std::move(ours);
  end_ = std::move(end);
  log_ = std::move(log);
  mask_of_stream_ = mask_;
  stream_ = std::make_unique<MaskStream>(*mask_of_stream_);
  try {
    reader_ = std::thread([this] { work(); });
  } catch (const std::system_error& error) {
    log_.reset();
    return failed("a thread", error.code().value());
  }
  std::fflush(stdout);
  // Two descriptors that are open are only replaced: nothing that can fail.
  ::dup2(theirs.get(), STDOUT_FILENO);
  ::dup2(theirs.get(), STDERR_FILENO);
  unread_pipe = pipe_.get();
  set_last_act(&OwnOutput::settle);
  return {};
}

void OwnOutput::settle() {
  const int pipe = unread_pipe;
  if (pipe < 0) return;
  for (int look = 0; look < kLooks; ++look) {
    int unread = 0;
    // In this order: what has left the pipe is being passed on.
    if (::ioctl(pipe, FIONREAD, &unread) != 0) return;
    if (unread == 0 && !is_passing_on) return;
    ::nanosleep(&kBetweenLooks, nullptr);
  }
}

void OwnOutput::work() {
  std::array<char, kReadBytes> bytes{};
  const auto read_once = [&] {
    is_passing_on = true;
    const ssize_t got = ::read(pipe_.get(), bytes.data(), bytes.size());
    if (got > 0) pass_on({bytes.data(), static_cast<std::size_t>(got)});
    is_passing_on = false;
    return got;
  };
  std::array<pollfd, 2> ready{{{pipe_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
  while (ready[1].revents == 0) {
    ::poll(ready.data(), ready.size(), -1);
    // A library has closed both: there is nothing to wait for but the end.
    if (ready[0].revents != 0 && read_once() == 0) ready[0].fd = -1;
  }
  for (std::size_t rest = 0; rest < kRestBytesMax;) {
    const ssize_t got = read_once();
    if (got <= 0) break;
    rest += static_cast<std::size_t>(got);
  }
  write_all(log_.get(), stream_->finish());
}

/// What it may hold was hidden before it could be said: so the mask is asked for after the read.
void OwnOutput::pass_on(std::string_view text) {
  std::shared_ptr<const Mask> mask;
  {
    const std::lock_guard lock(mutex_);
    mask = mask_;
  }
  if (mask != mask_of_stream_) {
    const std::string held(stream_->finish());
    stream_ = std::make_unique<MaskStream>(*mask);
    mask_of_stream_ = std::move(mask);
    write_all(log_.get(), stream_->feed(held));
  }
  write_all(log_.get(), stream_->feed(text));
}

}  // namespace pawl
