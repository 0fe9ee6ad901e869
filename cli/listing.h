#pragma once

// Prints what a pager of the history gives, page by page.

#include <algorithm>
#include <cstddef>

#include "cli/output.h"
#include "cli/session.h"

namespace pawl {

inline constexpr std::size_t kRowsPerPage = 500;

/// At most `limit` rows (0: all) of `pager` into `list`; `entry_of` makes an Entry of a row. True
/// when there is more than the limit let through.
template <typename Pager, typename EntryOf>
Result<bool> print_pages(Pager& pager, Listing& list, std::size_t limit, EntryOf entry_of) {
  for (;;) {
    const std::size_t left = limit == 0 ? kRowsPerPage : limit - list.count();
    // One more than wanted tells whether there is more.
    const std::size_t asked = std::min(left + (limit == 0 ? 0 : 1), kRowsPerPage);
    auto page = pager.next(asked);
    if (!page) return page.error();
    for (auto& row : *page) {
      if (limit != 0 && list.count() == limit) return true;
      list.add(entry_of(row));
    }
    if (page->size() < asked) return false;
  }
}

/// What is said under a table that the limit cut.
inline void tell_limit(const Session& session, const OutputOptions& output, std::size_t limit) {
  if (!output.is_for_people()) return;
  session.out.flush();
  session.err.line("There are more than these " + std::to_string(limit) + ": --limit N, 0 for all");
}

}  // namespace pawl
