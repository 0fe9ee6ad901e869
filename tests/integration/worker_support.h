#pragma once

// A real worker process and a scheduler's end of its socket. Everything waits for a signal with a
// deadline; nothing sleeps and hopes.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/definition.h"
#include "plugins/worker/frames.h"
#include "plugins/worker/process_table.h"
#include "plugins/worker/worker.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/file_lock.h"
#include "scheduler/loop/unix_socket.h"
#include "tests/patience.h"

namespace pawl::test {

inline const Duration kPatience = patient(std::chrono::seconds(20));

/// Waits until `is_true`; fails the test after `kPatience`.
inline void eventually(const std::function<bool()>& is_true) {
  const MonoTime deadline = mono_now() + kPatience;
  while (!is_true()) {
    REQUIRE(mono_now() < deadline);
    ::poll(nullptr, 0, 5);
  }
}

inline std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class TestWorker {
 public:
  explicit TestWorker(std::function<void(WorkerOptions&)> change = {}) {
    std::string place = (std::filesystem::temp_directory_path() / "pawl-worker-XXXXXX").string();
    home_ = ::mkdtemp(place.data());
    options_.home = home_;
    options_.id = WorkerId(3);
    options_.version = "test";
    options_.supervision.begun_after = Duration(100);  // tests wait until they are told
    if (change) change(options_);
    pid_ = fork();
    if (pid_ == 0) _exit(worker_main(options_));
  }
  ~TestWorker() {
    if (pid_ > 0) kill_now();
    std::error_code ignored;
    std::filesystem::remove_all(home_, ignored);
  }
  TestWorker(const TestWorker&) = delete;
  TestWorker& operator=(const TestWorker&) = delete;

  const std::string& home() const { return home_; }
  std::string folder() const { return worker_folder(home_, options_.id); }
  /// Programs of its tasks whose command line holds `text`, zombies aside. They run in its home, so
  /// those of other tests, and of other runs of the same, are not among them.
  std::vector<pid_t> programs_with(const std::string& text) const {
    std::vector<pid_t> found;
    for (pid_t pid : all_processes()) {
      const std::string process = "/proc/" + std::to_string(pid);
      std::error_code gone;
      const auto place = std::filesystem::read_symlink(process + "/cwd", gone).string();
      const bool is_here = !gone && place.starts_with(home_);
      if (is_here && read_whole(process + "/cmdline").find(text) != std::string::npos)
        found.push_back(pid);
    }
    return found;
  }
  std::string socket() const { return folder() + "/sock"; }
  pid_t pid() const { return pid_; }
  std::string log_of(std::int32_t number) const {
    return read_whole(log_path(home_ + "/logs", kWhole, number));
  }

  void kill_now() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  /// Its exit status, once it has exited.
  int wait() {
    int status = 0;
    eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; });
    pid_ = -1;
    return status;
  }
  bool has_exited() {
    if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    return pid_ < 0;
  }

  /// A task with that `with`.
  TaskDefinition task(const std::string& with) const {
    TaskDefinition d;
    d.home = home_;
    d.run = "20261120-225801-7k3f9q";
    d.job = "sales";
    d.task = "query";
    d.with = with;
    d.folder = home_;
    d.log_dir = home_ + "/logs";
    d.scheduler_env["PATH"] = "/usr/local/bin:/usr/bin:/bin";
    return d;
  }
  /// The task `sh -c SCRIPT`; quotes and backslashes in it are escaped here.
  TaskDefinition shell(const std::string& script) const {
    std::string escaped;
    for (char c : script) {
      if (c == '"' || c == '\\') escaped += '\\';
      if (c == '\n') {
        escaped += "\\n";
        continue;
      }
      escaped += c;
    }
    return task(R"({"command":["sh","-c",")" + escaped + R"("]})");
  }

 private:
  WorkerOptions options_;
  std::string home_;
  pid_t pid_ = -1;
};

/// The scheduler's side: says frames, remembers what it is told.
class TestScheduler {
 public:
  explicit TestScheduler(const TestWorker& worker, std::int64_t epoch = 1, bool greet = true) {
    eventually([&] {
      auto connected = connect_unix(worker.socket());
      if (connected) socket_ = std::move(*connected);
      return connected.ok();
    });
    if (!greet) return;
    say(frame::Hello{kProtocolVersion, Epoch(epoch), "test"});
    listen_until([&] { return welcome_.has_value(); });
    if (welcome_->accepted) listen_until([&] { return has_status_; });
  }

  void say(const Frame& frame) {
    for (const std::string& body : encode_frame(frame)) say_bytes(with_length(body));
  }
  static std::string with_length(const std::string& body) {
    std::string bytes;
    for (unsigned shift : {0U, 8U, 16U, 24U})
      bytes += static_cast<char>(body.size() >> shift & 0xFF);
    return bytes + body;
  }
  void say_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t written = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (written < 0 && errno == EAGAIN) {
        pollfd ready{socket_.get(), POLLOUT, 0};
        ::poll(&ready, 1, 1000);
        continue;
      }
      REQUIRE(written > 0);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void define(const TaskDefinition& task, std::uint64_t id = 1) {
    say(frame::Define{DefinitionId(id), encode_definition(task)});
  }
  /// Starts one attempt that is no item.
  void start(std::int64_t attempt, std::uint64_t definition = 1) {
    say(frame::Start{{plain(attempt, definition)}});
  }
  static frame::AttemptStart plain(std::int64_t attempt, std::uint64_t definition = 1) {
    frame::AttemptStart start;
    start.attempt = AttemptId(attempt);
    start.definition = DefinitionId(definition);
    start.number = static_cast<std::int32_t>(attempt);
    start.idempotency_key = "key";
    return start;
  }
  /// Defines, starts and waits for the end.
  AttemptEnd run(const TaskDefinition& task, std::int64_t attempt = 1) {
    define(task);
    start(attempt);
    return end_of(attempt);
  }

  const AttemptEnd& end_of(std::int64_t attempt) {
    listen_until([&] { return ends_.contains(AttemptId(attempt)); });
    return ends_.at(AttemptId(attempt));
  }
  const frame::Began& begin_of(std::int64_t attempt) {
    listen_until([&] { return begins_.contains(AttemptId(attempt)); });
    return begins_.at(AttemptId(attempt));
  }
  /// Waits until the worker says that it takes no more attempts.
  void wait_for_drains() {
    listen_until([&] { return drains_; });
  }
  bool drains() const { return drains_; }
  /// Waits until the worker has closed the connection.
  void wait_for_close() {
    listen_until([&] { return is_closed_; });
  }

  const frame::Welcome& welcome() const { return *welcome_; }
  const std::map<AttemptId, frame::KnownAttempt>& known() const { return known_; }
  const std::map<AttemptId, AttemptEnd>& ends() const { return ends_; }
  const std::map<AttemptId, frame::Began>& begins() const { return begins_; }
  /// In the order they were told.
  const std::vector<frame::Handle>& handles() const { return handles_; }
  void disconnect() { socket_.reset(); }

  /// Reads until `is_done`; fails the test after `kPatience`.
  void listen_until(const std::function<bool()>& is_done) {
    const MonoTime deadline = mono_now() + kPatience;
    while (!is_done()) {
      REQUIRE(mono_now() < deadline);
      pollfd ready{socket_.get(), POLLIN, 0};
      ::poll(&ready, 1, 100);
      char buffer[65536];
      ssize_t got = ::recv(socket_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        is_closed_ = true;
        REQUIRE(is_done());
        return;
      }
      if (got > 0) unread_.append(buffer, static_cast<std::size_t>(got));
      take_frames();
    }
  }

 private:
  void take_frames() {
    std::size_t used = 0;
    while (unread_.size() - used >= 4) {
      std::size_t size = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        size |= std::size_t{static_cast<unsigned char>(unread_[used + i])} << (8 * i);
      }
      if (unread_.size() - used < 4 + size) break;
      auto frame = decode_frame(std::string_view(unread_).substr(used + 4, size));
      REQUIRE(frame.ok());
      remember(*frame);
      used += 4 + size;
    }
    unread_.erase(0, used);
  }
  void remember(const Frame& frame) {
    if (const auto* f = std::get_if<frame::Welcome>(&frame)) welcome_ = *f;
    if (const auto* f = std::get_if<frame::Began>(&frame)) begins_[f->attempt] = *f;
    if (const auto* f = std::get_if<frame::Handle>(&frame)) handles_.push_back(*f);
    if (std::holds_alternative<frame::Drains>(frame)) drains_ = true;
    if (const auto* f = std::get_if<frame::Ended>(&frame)) {
      CHECK_FALSE(ends_.contains(f->end.attempt));
      ends_[f->end.attempt] = f->end;
    }
    if (const auto* f = std::get_if<frame::Status>(&frame)) {
      for (const auto& attempt : f->attempts) known_[attempt.attempt] = attempt;
      has_status_ = f->complete;
    }
  }

  Fd socket_;
  std::string unread_;
  std::optional<frame::Welcome> welcome_;
  bool has_status_ = false;
  bool is_closed_ = false;
  bool drains_ = false;
  std::map<AttemptId, frame::KnownAttempt> known_;
  std::map<AttemptId, AttemptEnd> ends_;
  std::map<AttemptId, frame::Began> begins_;
  std::vector<frame::Handle> handles_;
};

}  // namespace pawl::test
