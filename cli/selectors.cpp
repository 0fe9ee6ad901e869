#include "cli/selectors.h"

#include <fmt/format.h>

#include "scheduler/core/states.h"

namespace pawl {

namespace {

constexpr std::size_t kLimitDefault = 50;

std::vector<std::string_view> state_words(SelectorOf of) {
  switch (of) {
    case SelectorOf::runs: return {kRunStateWords.begin(), kRunStateWords.end()};
    case SelectorOf::tasks: return {kTaskStateWords.begin(), kTaskStateWords.end()};
    case SelectorOf::attempts: return {kAttemptStateWords.begin(), kAttemptStateWords.end()};
  }
  return {};
}

Error at_option(std::string_view option, const Error& error) {
  return {error.kind, fmt::format("{}: {}", option, error.message)};
}

Result<void> read_names(const SelectorWords& words, Selector& selector) {
  for (const auto* list : {&words.names, &words.runs}) {
    for (const std::string& word : *list) {
      Result<ObjectName> name = parse_object_name(word);
      if (!name) return name.error();
      selector.names.push_back(*std::move(name));
    }
  }
  return {};
}

Result<void> read_times(const SelectorWords& words, const Here& here, Selector& selector) {
  if (!words.since.empty()) {
    const Result<WallTime> since = parse_since(words.since, here);
    if (!since) return at_option("--since", since.error());
    selector.since = *since;
  }
  if (!words.until.empty()) {
    const Result<WallTime> until = parse_since(words.until, here);
    if (!until) return at_option("--until", until.error());
    selector.until = *until;
  }
  return {};
}

}  // namespace

std::string_view plural_of(SelectorOf of) {
  switch (of) {
    case SelectorOf::runs: return "runs";
    case SelectorOf::tasks: return "tasks";
    case SelectorOf::attempts: return "attempts";
  }
  return {};
}

void declare_selector(Arguments& arguments, SelectorWords& words, SelectorOf of) {
  const bool runs_only = of == SelectorOf::runs;
  arguments.words(runs_only ? "RUN" : "RUN[/TASK]", words.names, false,
                  runs_only ? "runs by name, or an unambiguous part of it, or @latest"
                            : "runs, tasks RUN/TASK, items RUN/TASK:17");
  arguments.option("--job", "GLOB", words.job, "only of these jobs");
  arguments.option("--run", "RUN", words.runs, "only of this run");
  if (!runs_only) {
    arguments.option("--task", "GLOB", words.task, "only these tasks");
    arguments.option("--key", "GLOB", words.key, "only items with such a key");
  }
  arguments.option("--state", "S[,S]", words.states, "only in these states");
  arguments.option("--reason", "R[,R]", words.reasons, "only for these reasons");
  arguments.option("--since", "24h|TIME", words.since, "not before");
  arguments.option("--until", "24h|TIME", words.until, "before");
  arguments.option("--label", "K=V", words.labels, "only of jobs with this label");
}

void declare_list(Arguments& arguments, SelectorWords& words, SelectorOf of) {
  declare_selector(arguments, words, of);
  arguments.option("--limit", "N", words.limit, 0, "at most so many (50); 0 is all");
  arguments.check([&words, of]() -> Result<void> {
    // Which times they mean depends on the clock; whether they mean some does not.
    const Result<Selector> selector = read_selector(words, of, Here{});
    if (!selector) return selector.error();
    return {};
  });
}

Result<Selector> read_selector(const SelectorWords& words, SelectorOf of, const Here& here) {
  Selector selector;
  if (const Result<void> read = read_names(words, selector); !read) return read.error();
  if (const Result<void> read = read_times(words, here, selector); !read) return read.error();
  selector.job = words.job;
  selector.task = words.task;
  selector.key = words.key;
  if (!words.states.empty()) {
    Result<std::vector<std::string>> states = parse_states(words.states, state_words(of));
    if (!states) return at_option("--state", states.error());
    selector.states = *std::move(states);
  }
  if (!words.reasons.empty()) {
    Result<std::vector<Reason>> reasons = parse_reasons(words.reasons);
    if (!reasons) return at_option("--reason", reasons.error());
    selector.reasons = *std::move(reasons);
  }
  for (const std::string& word : words.labels) {
    Result<std::pair<std::string, std::string>> label = parse_label(word);
    if (!label) return at_option("--label", label.error());
    selector.labels.push_back(*std::move(label));
  }
  return selector;
}

bool has_filters(const SelectorWords& words) {
  return !words.job.empty() || !words.task.empty() || !words.key.empty() || !words.states.empty() ||
         !words.reasons.empty() || !words.since.empty() || !words.until.empty() ||
         !words.labels.empty();
}

std::size_t limit_of(const SelectorWords& words) {
  return words.limit ? static_cast<std::size_t>(*words.limit) : kLimitDefault;
}

}  // namespace pawl
