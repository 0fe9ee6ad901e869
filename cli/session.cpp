#include "cli/session.h"

#include "scheduler/loop/clock.h"

namespace pawl {

Here Session::here() const { return {wall_now(), cctz::local_time_zone()}; }

void Session::notice(std::string_view text) const {
  out.flush();
  err.line("pawl: " + std::string(text));
}

}  // namespace pawl
