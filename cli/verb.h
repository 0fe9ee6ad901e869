#pragma once

// A verb of the command line: one file each, verb_NAME.cpp, which defines the function that
// verbs.cpp lists.

#include <memory>
#include <span>
#include <string_view>

#include "cli/arguments.h"
#include "cli/session.h"
#include "scheduler/base/result.h"

namespace pawl {

class Verb {
 public:
  virtual ~Verb() = default;
  /// Names what it takes. Targets are members of the verb.
  virtual void declare(Arguments& arguments) = 0;
  /// Does it. The exit code, or what went wrong; never both.
  virtual Result<int> run(Session& session) = 0;
};

/// Under which title of `pawl --help` a verb stands; `internal` ones are not shown.
enum class Purpose { work, look, change, jobs, home, program, internal };

struct VerbEntry {
  std::string_view name;
  Purpose purpose;
  std::string_view summary;
  std::unique_ptr<Verb> (*make)();
};

/// The verbs for people, in the order of the help page.
std::span<const VerbEntry> verbs();
/// The entry of that name; null when there is none.
const VerbEntry* find_verb(std::string_view name);

/// The page of `pawl --help`.
std::string overview(const Terminal& terminal);
/// The page of `pawl VERB --help`.
std::string help_page(const VerbEntry& entry, const Terminal& terminal);

}  // namespace pawl
