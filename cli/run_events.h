#pragma once

// Who did what to a run: made it, paused it and why, decided a task by hand, dismissed a failure.

#include <optional>
#include <string>
#include <vector>

#include "cli/history_access.h"
#include "cli/output.h"
#include "cli/when.h"

namespace pawl {

/// What happened to a run, the newest thousand, in the order of time; of a task, what was done to
/// it and its items, of an item what was done to that one. Errors: storage.
Result<std::vector<EventRow>> events_of(HistoryAccess& access, const Named& named);

/// `at`, `actor`, `verb`, `task` and `index` (null when it was about the run), `text`. `task` is
/// the id of the event's task.
OrderedJson event_object(const EventRow& event, const std::string& task);

/// `mark succeeded b:3, 2 min ago: it was there`.
std::string event_text(const EventRow& event, const std::string& task, const Here& here);

/// What made the run, which is told in its own words.
bool is_making(const EventRow& event);

}  // namespace pawl
