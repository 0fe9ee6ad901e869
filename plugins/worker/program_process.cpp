#include "plugins/worker/program_process.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "scheduler/base/check.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
/// So that one talkative process does not hold up the others.
constexpr std::size_t kReadBytesPerTurn = 1u << 20;
/// Of answers that a program has not read: more than all attempts it may have can ask for at once.
constexpr std::size_t kAnswerBytesMax = 1u << 20;

/// A pipe whose one end is a program's; our end does not block.
struct ProgramPipe {
  Fd ours;
  Fd theirs;
};

bool make_pipe(ProgramPipe& pipe, bool we_read) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  pipe.ours.reset(ends[we_read ? 0 : 1]);
  pipe.theirs.reset(ends[we_read ? 1 : 0]);
  return fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK) == 0;
}

enum class ReadEnd { more, empty, closed };

/// Appends what there is, at most `bytes_max`.
ReadEnd read_into(int fd, std::string& out, std::size_t bytes_max) {
  for (std::size_t total = 0; total < bytes_max;) {
    const std::size_t size = out.size();
    out.resize(size + kReadBytes);
    const ssize_t got = ::read(fd, out.data() + size, kReadBytes);
    const int error = errno;
    out.resize(size + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return ReadEnd::closed;
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return error == EAGAIN ? ReadEnd::empty : ReadEnd::closed;
    total += static_cast<std::size_t>(got);
    if (static_cast<std::size_t>(got) < kReadBytes) return ReadEnd::empty;
  }
  return ReadEnd::more;
}

}  // namespace

ProgramProcess::ProgramProcess(Loop& loop, ProcessTree& tree, AttemptId id, Listener& listener)
    : loop_(loop), tree_(tree), id_(id), listener_(listener), timer_(loop, [this] {
        kill(std::string(timer_reason_));
      }) {}

ProgramProcess::~ProgramProcess() = default;

Result<void> ProgramProcess::start(Launcher& launcher, const ProgramSpec& spec,
                                   std::uint64_t mark) {
  ProgramPipe input;
  ProgramPipe output;
  ProgramPipe errors;
  if (!make_pipe(input, false) || !make_pipe(output, true) || !make_pipe(errors, true)) {
    return Error{ErrorKind::failed, std::string("cannot make a pipe: ") + std::strerror(errno)};
  }
  Launch launch;
  launch.argv = spec.command;
  launch.env = spec.environment;
  launch.working_dir = spec.working_dir;
  LaunchFailure failure;
  Spawned spawned;
  started_at_ = mono_now();
  last_used_ = started_at_;
  spawned.ticks_min = static_cast<std::uint64_t>(started_at_.ms / 10);
  pid_ = launcher.start(launch, {input.theirs.get(), output.theirs.get(), errors.theirs.get()}, {},
                        mark, failure);
  if (pid_ < 0) return Error{ErrorKind::failed, failure.message};
  spawned.pid = pid_;
  spawned.ticks_max = static_cast<std::uint64_t>(mono_now().ms / 10);
  tree_.add(id_, spawned);
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) {
    const int error = errno;
    kill("it cannot be watched");
    return Error{ErrorKind::failed, "cannot watch " + spec.command.front() +
                                        ", which was started: " + std::strerror(error)};
  }
  meter_.emplace(pid_);
  input_ = std::move(input.ours);
  output_ = std::move(output.ours);
  errors_ = std::move(errors.ours);
  input_poll_ =
      std::make_unique<Poll>(loop_, input_.get(), [this](PollEvents) { on_input_ready(); });
  output_poll_ =
      std::make_unique<Poll>(loop_, output_.get(), [this](PollEvents) { read_messages(); });
  errors_poll_ =
      std::make_unique<Poll>(loop_, errors_.get(), [this](PollEvents) { read_errors(); });
  exit_poll_ = std::make_unique<Poll>(loop_, pidfd_.get(), [this](PollEvents) {
    exit_poll_->stop();
    listener_.on_exited(*this);
  });
  output_poll_->watch({.readable = true});
  errors_poll_->watch({.readable = true});
  exit_poll_->watch({.readable = true});
  kill_after(spec.start_timeout, "it did not say that it is ready within its start_timeout");
  append_hello(outgoing_, spec.operator_name, spec.concurrency);
  flush();
  return {};
}

ResourceUse ProgramProcess::use(std::int64_t told_bound) {
  return life_ ? meter_->end(*life_) : meter_->end(told_bound);
}

std::uint64_t ProgramProcess::resident_bytes() const {
  const std::string path = "/proc/" + std::to_string(pid_) + "/statm";
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[128];
  const ssize_t got = file ? ::read(file.get(), text, sizeof(text) - 1) : 0;
  if (got <= 0) return 0;
  text[got] = '\0';
  unsigned long long pages = 0;
  if (std::sscanf(text, "%*u %llu", &pages) != 1) return 0;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void ProgramProcess::set_ready(bool can_cancel) {
  can_cancel_ = can_cancel;
  if (phase_ != Phase::starting) return;
  timer_.cancel();
  phase_ = Phase::ready;
}

void ProgramProcess::add(AttemptId attempt) {
  // What it said to others may hold their secrets, and is not about this one.
  if (attempts_.empty()) last_words_.clear();
  meter_->begin(!attempts_.empty());
  attempts_.insert(attempt);
  outgoing_starts_.emplace_back(attempt, outgoing_.size());
  last_used_ = mono_now();
}

void ProgramProcess::remove(AttemptId attempt) {
  if (attempts_.erase(attempt) == 0) return;
  ++finished_;
  last_used_ = mono_now();
}

// Writing ----------------------------------------------------------------------------------------

void ProgramProcess::flush() {
  while (input_ && written_ < outgoing_.size()) {
    const ssize_t put =
        ::write(input_.get(), outgoing_.data() + written_, outgoing_.size() - written_);
    if (put >= 0) {
      written_ += static_cast<std::size_t>(put);
    } else if (errno == EAGAIN) {
      input_poll_->watch({.writable = true});
      return;
    } else if (errno != EINTR) {
      // It does not listen any more. It is about to exit, or closes its output next.
      drain();
      return close_input();
    }
  }
  if (is_input_closing_) return close_input();
  if (input_) input_poll_->stop();
  clear_outgoing();
}

void ProgramProcess::clear_outgoing() {
  outgoing_.clear();
  outgoing_starts_.clear();
  written_ = 0;
  answered_bytes_ = 0;
}

/// Of a line that was not written to its end it knows nothing. One that was killed had an attempt
/// that was to end, perhaps this one.
void ProgramProcess::close_input() {
  input_poll_.reset();
  input_.reset();
  std::vector<AttemptId> undelivered;
  for (const auto& [attempt, end] : outgoing_starts_) {
    const bool is_whole = end <= written_;
    const bool has_ended = attempts_.count(attempt) == 0;
    if (!is_whole && !has_ended && phase_ != Phase::killed) undelivered.push_back(attempt);
  }
  clear_outgoing();
  // The last first: the listener puts each before those that wait.
  std::reverse(undelivered.begin(), undelivered.end());
  for (AttemptId attempt : undelivered) listener_.on_undelivered(*this, attempt);
}

void ProgramProcess::answer_handle(AttemptId attempt, bool is_kept) {
  const std::size_t before = outgoing_.size();
  append_kept(outgoing_, attempt, is_kept);
  answered_bytes_ += outgoing_.size() - before;
  flush();
  if (answered_bytes_ > kAnswerBytesMax) fail("it names handles and does not read the answers");
}

void ProgramProcess::on_input_ready() {
  input_poll_->stop();
  flush();
}

// Reading ----------------------------------------------------------------------------------------

void ProgramProcess::read_messages() {
  if (!output_) return;
  const ReadEnd end = read_into(output_.get(), incoming_, kReadBytesPerTurn);
  take_lines();
  if (end != ReadEnd::closed) return;
  output_poll_.reset();
  output_.reset();
  if (phase_ == Phase::ending || phase_ == Phase::killed) return;
  // What exits closes its output too, a moment before: let the exit tell why.
  kill_after(std::chrono::milliseconds(500), "it closed its standard output");
  if (phase_ == Phase::ready) phase_ = Phase::draining;
}

void ProgramProcess::take_lines() {
  std::size_t begin = 0;
  while (!is_broken_) {
    const std::size_t newline = incoming_.find('\n', std::max(begin, scanned_));
    if (newline == std::string::npos) break;
    auto message =
        decode_program_message(std::string_view(incoming_).substr(begin, newline - begin));
    begin = newline + 1;
    if (message) {
      listener_.on_message(*this, std::move(*message));
    } else {
      fail("it wrote a line that is not of the protocol: " + message.error().message);
    }
  }
  if (is_broken_) begin = incoming_.size();
  incoming_.erase(0, begin);
  scanned_ = incoming_.size();
  if (incoming_.size() > kProgramLineBytesMax) fail("it wrote a line of over 8 MiB");
}

void ProgramProcess::read_errors() {
  if (!errors_) return;
  std::string text;
  const ReadEnd end = read_into(errors_.get(), text, kReadBytesPerTurn);
  if (!text.empty()) listener_.on_error_text(*this, text);
  if (end != ReadEnd::closed) return;
  errors_poll_.reset();
  errors_.reset();
}

void ProgramProcess::read_rest(const ResourceUse& life) {
  life_ = life;
  // A straggler may hold the pipes open and write for ever: what is there now is enough.
  read_errors();
  if (output_ && !is_broken_) {
    read_into(output_.get(), incoming_, kReadBytesPerTurn);
    take_lines();
  }
  read_errors();
  close_input();
  output_poll_.reset();
  errors_poll_.reset();
  output_.reset();
  errors_.reset();
  timer_.cancel();
}

// Ending -----------------------------------------------------------------------------------------

void ProgramProcess::drain() {
  if (phase_ == Phase::ready || phase_ == Phase::starting) phase_ = Phase::draining;
}

void ProgramProcess::end(Duration grace) {
  if (phase_ == Phase::ending || phase_ == Phase::killed) return;
  phase_ = Phase::ending;
  append_shutdown(outgoing_);
  is_input_closing_ = true;
  flush();
  kill_after(grace, "it did not end when it was asked to");
}

void ProgramProcess::kill(std::string reason) {
  if (kill_reason_.empty()) kill_reason_ = std::move(reason);
  phase_ = Phase::killed;
  timer_.cancel();
  tree_.kill(id_);
}

void ProgramProcess::fail(std::string reason) {
  if (is_broken_) return;
  is_broken_ = true;
  kill(std::move(reason));
}

void ProgramProcess::kill_after(Duration time, std::string_view reason) {
  timer_reason_ = reason;
  timer_.start_after(time);
}

}  // namespace pawl
