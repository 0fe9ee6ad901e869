// PAWL_VERSION, PAWL_COMMIT and PAWL_LIBRARIES come from the build.

#include "cli/program.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <climits>

namespace pawl {

std::string_view program_version() { return PAWL_VERSION; }
std::string_view program_commit() { return PAWL_COMMIT; }
std::string_view program_libraries() { return PAWL_LIBRARIES; }

std::string program_path() {
  std::array<char, PATH_MAX> path;
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) return "pawl";
  std::string text(path.data(), static_cast<std::size_t>(size));
  // An upgrade has replaced the file: new workers are of the new version.
  constexpr std::string_view kDeleted = " (deleted)";
  if (text.ends_with(kDeleted)) text.resize(text.size() - kDeleted.size());
  return text;
}

std::string user_name() {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const uid_t uid = geteuid();
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_name;
  }
  return std::to_string(uid);
}

}  // namespace pawl
