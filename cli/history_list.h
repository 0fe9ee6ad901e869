#pragma once

// What the verbs that list history have in common: words to a selector, pages of rows to a list.

#include <utility>

#include "cli/history_access.h"
#include "cli/listing.h"
#include "cli/selectors.h"
#include "cli/view.h"

namespace pawl {

/// What a list of tasks reads of each: with names nothing but its row, else `all` that it shows.
inline TaskDetail detail_for(Format format, TaskDetail all) {
  return format == Format::name ? TaskDetail{false, false, false} : all;
}

/// `pager_of(history, selector)` gives the rows, `entry_of(row, access)` what is shown of one.
template <typename PagerOf, typename EntryOf>
Result<int> list_history(const Session& session, const SelectorWords& words, SelectorOf of,
                         const OutputOptions& output, const ListShape& shape, PagerOf pager_of,
                         EntryOf entry_of) {
  Result<Selector> selector = read_selector(words, of, session.here());
  if (!selector) return selector.error();
  Result<HistoryAccess> access = HistoryAccess::open(session);
  if (!access) return access.error();
  Listing list(session.out, output, shape.fields, shape.columns);
  const bool are_all_meant = selector->is_empty();
  bool more = false;
  if (access->is_empty()) {
    // A name in it cannot be found; without one the list is empty.
    if (!words.names.empty()) return access->resolve(words.names.front()).error();
  } else {
    auto pager = pager_of(access->history(), *std::move(selector));
    const Result<bool> printed = print_pages(
        pager, list, limit_of(words), [&](const auto& row) { return entry_of(row, *access); });
    if (!printed) return printed.error();
    more = *printed;
  }
  list.finish();
  if (more) tell_limit(session, output, limit_of(words));
  if (list.count() == 0 && output.is_for_people() && !access->is_empty()) {
    session.err.line("no " + std::string(plural_of(of)) + (are_all_meant ? " yet" : " match"));
  }
  return 0;
}

}  // namespace pawl
