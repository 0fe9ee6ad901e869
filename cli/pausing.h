#pragma once

// `pawl pause` and `pawl unpause`: of jobs by name, and of runs.

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/port.h"

namespace pawl {

struct Pausing {
  bool pause = true;
  std::vector<std::string> words;  ///< jobs by their exact name, else runs; none: `all`
  std::string note;
  bool all = false;      ///< every paused job and run (`unpause --all`)
  bool yes = false;      ///< nobody is asked
  bool dry_run = false;  ///< nothing is done
};

/// The words and options that both verbs have; `pause` says which of them it is.
void declare_pausing(Arguments& arguments, Pausing& pausing);

/// Does it and says what was done. The exit code. Errors: invalid, not_found, those of `ask`.
Result<int> carry_out(const Session& session, const Pausing& pausing);

}  // namespace pawl
