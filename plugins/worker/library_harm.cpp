#include "plugins/worker/library_harm.h"

#include <sys/wait.h>

namespace pawl {

std::optional<std::string> harm_of_library(int status, bool has_spoken) {
  if (WIFSIGNALED(status)) {
    const std::string when = has_spoken ? "at the end of its process" : "when it was loaded";
    return "crashed " + when + " (signal " + std::to_string(WTERMSIG(status)) + ")";
  }
  const std::string code = std::to_string(WEXITSTATUS(status));
  if (!has_spoken) return "ended its process when it was loaded (code " + code + ")";
  if (WEXITSTATUS(status) == 0) return std::nullopt;
  return "ended its process with code " + code;
}

}  // namespace pawl
