#include "cli/not_yet.h"

#include <fmt/format.h>

namespace pawl {

Error not_yet_available_error(std::string_view what, std::string_view instead) {
  return {ErrorKind::refused,
          fmt::format("{}: not yet available in this version. {}", what, instead)};
}

}  // namespace pawl
