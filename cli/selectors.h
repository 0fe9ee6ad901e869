#pragma once

// The words with which verbs choose runs and tasks: the same options everywhere.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "cli/when.h"
#include "scheduler/base/result.h"
#include "scheduler/spec/selector.h"

namespace pawl {

/// As the user wrote them.
struct SelectorWords {
  std::vector<std::string> names;  ///< words of the command line
  std::vector<std::string> runs;   ///< `--run`
  std::string job;
  std::string task;
  std::string key;
  std::string states;
  std::string reasons;
  std::string since;
  std::string until;
  std::vector<std::string> labels;
  std::optional<std::int64_t> limit;
};

/// What a verb is about: decides which options it has and which words are states.
enum class SelectorOf { runs, tasks, attempts };
std::string_view plural_of(SelectorOf of);

/// Adds the words and options.
void declare_selector(Arguments& arguments, SelectorWords& words, SelectorOf of);

/// As `declare_selector`, for verbs that list: with `--limit`, and what `read_selector` refuses is
/// refused as wrong usage.
void declare_list(Arguments& arguments, SelectorWords& words, SelectorOf of);

/// Reads them. Errors: invalid, naming the option.
Result<Selector> read_selector(const SelectorWords& words, SelectorOf of, const Here& here);

/// Whether any of the options is used: it chooses of all that there are.
bool has_filters(const SelectorWords& words);

/// Rows that a list shows: `--limit`, else 50; 0 is all.
std::size_t limit_of(const SelectorWords& words);

}  // namespace pawl
