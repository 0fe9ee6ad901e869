#include "plugins/worker/login.h"

#include <pwd.h>
#include <unistd.h>

namespace pawl {

std::map<std::string, std::string> login_defaults() {
  std::map<std::string, std::string> values = {
      {"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"TMPDIR", "/tmp"}};
  if (const passwd* user = getpwuid(geteuid())) {
    values["HOME"] = user->pw_dir;
    values["USER"] = user->pw_name;
    values["LOGNAME"] = user->pw_name;
    values["SHELL"] = user->pw_shell;
  }
  return values;
}

}  // namespace pawl
