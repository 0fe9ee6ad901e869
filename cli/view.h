#pragma once

// Runs, tasks and attempts as verbs show them: one JSON object each, with names that scripts rely
// on, and the cells of a table. Jobs: job_view.h.

#include <string>
#include <string_view>
#include <vector>

#include "cli/history_access.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/when.h"
#include "storage/history.h"

namespace pawl {

/// A list of one kind of thing: what its objects and its table consist of.
struct ListShape {
  std::vector<std::string> fields;
  std::vector<Column> columns;
};

ListShape run_shape();
Entry run_entry(const RunView& run, const Here& here, Format format);
OrderedJson run_object(const RunView& run);
/// The object of the run with that full name. Errors: not_found, storage.
Result<OrderedJson> run_object(HistoryAccess& access, const std::string& name);

/// How often it was tried since it was last resumed; of what is held, ever. An attempt that ended
/// without a word uses up no try, but is one where nothing came after it.
std::int32_t tries_of(const TaskView& task);

ListShape task_shape();
Entry task_entry(const TaskView& task, const std::string& home, const Here& here, Format format);
OrderedJson task_object(const TaskView& task, const std::string& home);

ListShape failed_shape();
Entry failed_entry(const TaskView& task, const std::string& home, const Here& here, Format format);

ListShape attempt_shape();
/// `ending`: what befalls one that is being ended; in tables where others have their error.
Entry attempt_entry(const AttemptView& attempt, const std::string& ending, const std::string& home,
                    const Here& here, Format format);
OrderedJson attempt_object(const AttemptView& attempt, const std::string& ending,
                           const std::string& home);

OrderedJson counts_object(const Counts& counts);
OrderedJson text_or_null(std::string_view text);
OrderedJson time_or_null(const std::optional<WallTime>& time);
/// The value that the text holds; null of what is no JSON.
OrderedJson json_of(std::string_view text);
/// As tables show a time; empty: none.
std::string when_or_blank(const std::optional<WallTime>& time, const Here& here);

/// Whether there is a log, or one may still come. `log`: as History gives it. The file is looked
/// for only where nobody told its size: of what ended without a word of its worker.
bool has_log(const std::string& home, const std::string& log, const AttemptRow& attempt);

/// `query:17`, or `query` of a whole.
std::string task_name(std::string_view task, ItemIndex item);
/// `RUN/TASK:17`, with the run's full name; the run alone when `task` is empty.
std::string object_name(std::string_view run, std::string_view task, ItemIndex item);
/// The same with the short name of the run, as printed commands have it.
std::string short_object_name(std::string_view run, std::string_view task, ItemIndex item);

/// `exit:3`, `signal:9`, or the word; empty for none.
std::string why_text(Reason reason, std::int32_t detail);

/// How far a task is, as progress lines show it.
TaskProgress progress_of(const TaskView& task);

}  // namespace pawl
