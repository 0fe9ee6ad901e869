#pragma once

// A server as a process of its own that goes with the object. It prints its port as its first line,
// and ends with its standard input.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "scheduler/base/check.h"

namespace pawl::test {

class ServerProcess {
 public:
  /// `arguments` begin with the path of the program.
  explicit ServerProcess(std::vector<std::string> arguments) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int to_child[2];
    int from_child[2];
    PAWL_CHECK(::pipe2(to_child, O_CLOEXEC) == 0 && ::pipe2(from_child, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, to_child[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, from_child[1], 1);
    PAWL_CHECK(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(to_child[0]);
    ::close(from_child[1]);
    stdin_ = to_child[1];
    char c = 0;
    while (::read(from_child[0], &c, 1) == 1 && c != '\n') port_ += c;
    ::close(from_child[0]);
    PAWL_CHECK(!port_.empty());
  }
  ~ServerProcess() {
    ::close(stdin_);
    ::waitpid(pid_, nullptr, 0);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& port() const { return port_; }
  std::string url(const std::string& path, const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + port_ + path;
  }

 private:
  pid_t pid_ = -1;
  int stdin_ = -1;
  std::string port_;
};

}  // namespace pawl::test
