#include "plugins/worker/secrets.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "scheduler/loop/fd.h"
#include "scheduler/spec/connections.h"

namespace pawl {
namespace {

constexpr std::size_t kSecretBytesMax = 64u << 10;

/// A secret as a file holds it: one line end is the editor's, of whatever system.
Result<std::string> read_secret_file(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return Error{ErrorKind::invalid, path + ": " + std::strerror(errno)};
  std::string value(kSecretBytesMax + 1, '\0');
  ssize_t got = ::read(file.get(), value.data(), value.size());
  if (got < 0) return Error{ErrorKind::invalid, path + ": " + std::strerror(errno)};
  value.resize(static_cast<std::size_t>(got));
  if (value.size() > kSecretBytesMax) {
    return Error{ErrorKind::invalid, path + " is larger than 64 KiB"};
  }
  if (value.ends_with('\n')) {
    value.pop_back();
    if (value.ends_with('\r')) value.pop_back();
  }
  return value;
}

}  // namespace

Result<std::map<std::string, std::string>> read_secrets(const TaskDefinition& definition) {
  std::map<std::string, std::string> values;
  for (const auto& [name, source] : definition.secrets) {
    if (!source.from_file) {
      const auto value = definition.secret_env.find(source.name);
      if (value == definition.secret_env.end()) {
        return Error{ErrorKind::invalid, told_secret(name) + ": variable " + source.name +
                                             " is not set where the scheduler was started"};
      }
      values[name] = value->second;
      continue;
    }
    bool is_absolute = source.name.starts_with('/');
    auto value =
        read_secret_file(is_absolute ? source.name : definition.folder + "/" + source.name);
    if (!value) {
      return Error{ErrorKind::invalid, told_secret(name) + ": " + value.error().message};
    }
    values[name] = std::move(*value);
  }
  return values;
}

}  // namespace pawl
