#pragma once

// What verbs that change runs and tasks have in common: choosing what is meant, showing it, asking,
// doing it, and telling what came of it.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/history_access.h"
#include "cli/output.h"
#include "cli/port.h"
#include "cli/selectors.h"

namespace pawl {

struct ChangeTarget {
  std::string run;   ///< full name
  std::string task;  ///< empty: the whole run
  std::optional<std::int64_t> index;
  bool itself = false;  ///< of a whole run to dismiss: its own failure, none of its tasks'

  std::string name() const;
};

struct Change {
  std::string verb;  ///< `cancel`, `resume` …
  SelectorWords words;
  nlohmann::json options = nlohmann::json::object();
  bool of_tasks = false;                 ///< it is about tasks (`mark`), not runs
  bool of_failures = false;              ///< filters choose of what `pawl failed` tells
  bool of_whole_runs = false;            ///< what is chosen by tasks are the runs that have them
  std::string task_of_runs;              ///< not empty: what is chosen is this task of runs
  std::vector<std::string> run_states;   ///< of runs that filters choose; empty: all
  std::vector<std::string> task_states;  ///< the same of tasks
  std::string done;                      ///< said of what was changed; empty: nothing is
  std::string request_id;                ///< of what makes something: it may be asked again
  bool shows_plan = false;               ///< also for one target
  bool dry_run = false;
  bool yes = false;
  bool detach = false;   ///< only hand it to a scheduler that is up
  OutputOptions output;  ///< of verbs that make runs, or let them go on
  /// One run that is named: with `-o json` its object is printed, else a list.
  bool is_of_one_run() const;
};

/// The options that all of them have. `change` has its verb already, and says what it is of.
void declare_change(Arguments& arguments, Change& change);

/// What was done.
struct Changed {
  std::unique_ptr<Port> port;  ///< still open; may be null when nothing was done
  std::vector<ChangeTarget> targets;
  std::vector<std::string> runs;  ///< full names of those changed, or made, each once
  int code = 0;                   ///< 4 when some were refused
  bool is_dry = false;
};

/// Chooses, shows (more than one target, or `--dry-run`), asks, does, and prints what was refused.
/// Errors: invalid (nothing selected, or nobody there to say yes), not_found, those of `ask` and
/// open_port.
Result<Changed> carry_out(const Session& session, const Change& change);

/// Follows the runs that go on, or are new, as `pawl run` follows its own. The exit code.
Result<int> see_through(const Session& session, Changed& changed, const Change& change, bool wait,
                        bool quiet);

/// Waits, where this process is the scheduler, until all targets are final: what is being stopped
/// must have ended before the home is let go. At most `patience`.
Result<void> wait_for_final(const Session& session, Changed& changed, Duration patience);

/// Whether there is a person who can be asked: on a terminal.
bool can_ask(const Session& session);

/// Asks that person.
bool ask_yes(const Session& session, std::string_view question);

/// Asks that person whether a plan that was shown shall be carried out. A home that this process
/// serves is let go meanwhile: nobody else must wait for a person, who may have left. After a yes
/// `look_again` tells whether what was agreed to is still what would happen; if not it shows the
/// new plan, and the question is asked again. `port` is replaced; after a no it is null.
/// Errors: those of open_port and `look_again`.
Result<bool> ask_beside_home(const Session& session, std::unique_ptr<Port>& port, Reach reach,
                             std::string_view question,
                             const std::function<Result<bool>()>& look_again);

}  // namespace pawl
