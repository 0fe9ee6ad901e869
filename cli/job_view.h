#pragma once

// Jobs as verbs show them: one JSON object each, with names that scripts rely on, and the cells of
// a table.

#include <string>
#include <string_view>

#include "cli/output.h"
#include "cli/view.h"
#include "cli/when.h"
#include "storage/history.h"

namespace pawl {

ListShape job_shape();
/// `definition` is the text of its newest version; may be empty.
OrderedJson job_object(const JobView& job, std::string_view definition);
/// What became of the fires of a row: `4 fires from … to …: missed, and …`.
std::string dropped_text(const DroppedRow& row, const Here& here);
Entry job_entry(const JobView& job, std::string_view definition, const Here& here);

}  // namespace pawl
