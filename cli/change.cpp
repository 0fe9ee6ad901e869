#include "cli/change.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "cli/listing.h"
#include "cli/progress.h"
#include "cli/stored_job.h"
#include "cli/submit.h"
#include "cli/view.h"
#include "scheduler/base/text.h"
#include "scheduler/core/states.h"

namespace pawl {

namespace {

using nlohmann::json;

Reach reach_of(const Change& change) { return change.detach ? Reach::socket : Reach::any; }

ChangeTarget target_of(const Named& named) {
  ChangeTarget target;
  target.run = named.run.name;
  target.task = named.task_id;
  if (named.item != kWhole) target.index = named.item.value;
  return target;
}

Result<std::vector<ChangeTarget>> chosen_runs(HistoryAccess& access, Selector selector,
                                              const Change& change) {
  if (selector.states.empty()) selector.states = change.run_states;
  RunPager pager = access.history().runs(std::move(selector));
  std::vector<ChangeTarget> targets;
  for (;;) {
    const auto page = pager.next(kRowsPerPage);
    if (!page) return page.error();
    for (const RunView& run : *page) targets.push_back({run.row.name, "", std::nullopt});
    if (page->size() < kRowsPerPage) return targets;
  }
}

Result<std::vector<ChangeTarget>> chosen_tasks(HistoryAccess& access, Selector selector,
                                               const Change& change) {
  if (selector.states.empty()) selector.states = change.task_states;
  TaskPager pager =
      access.history().tasks(std::move(selector), {}, undecided_tasks(access.history()));
  // A mapped whole that is chosen means all of its items: those that never started have no row.
  // Only of one that goes on the items may be in other states than the one that is asked for.
  const bool any_state = change.words.states.empty();
  std::vector<ChangeTarget> targets;
  std::set<std::pair<std::string, std::string>> wholes;
  std::set<std::pair<std::string, std::string>> with_items;
  for (;;) {
    const auto page = pager.next(kRowsPerPage);
    if (!page) return page.error();
    for (const TaskView& task : *page) {
      ChangeTarget target{task.run, task.task, std::nullopt};
      if (task.row.key.item != kWhole) {
        target.index = task.row.key.item.value;
        with_items.emplace(task.run, task.task);
      } else if (any_state || is_final(task.row.state)) {
        wholes.emplace(task.run, task.task);
      }
      targets.push_back(std::move(target));
    }
    if (page->size() < kRowsPerPage) break;
  }
  std::erase_if(targets, [&](const ChangeTarget& target) {
    const std::pair task(target.run, target.task);
    const bool is_whole_meant = wholes.contains(task);
    return target.index ? is_whole_meant : !is_whole_meant && with_items.contains(task);
  });
  return targets;
}

/// What `pawl failed` tells of, and nothing else: of a run that failed by itself what failed in it
/// is chosen on its own.
Result<std::vector<ChangeTarget>> chosen_failures(HistoryAccess& access, Selector selector) {
  FailedPager pager(access.history(), std::move(selector), true, {false, false, false});
  std::vector<ChangeTarget> targets;
  for (;;) {
    const auto page = pager.next(kRowsPerPage);
    if (!page) return page.error();
    for (const TaskView& failed : *page) {
      ChangeTarget target{failed.run, failed.task, std::nullopt};
      if (failed.row.key.item != kWhole) target.index = failed.row.key.item.value;
      target.itself = failed.is_run();
      targets.push_back(std::move(target));
    }
    if (page->size() < kRowsPerPage) return targets;
  }
}

/// `--state held` can only be about tasks.
bool names_task_states(const SelectorWords& words) {
  if (words.states.empty()) return false;
  const auto states = parse_states(words.states, {kTaskStateWords.begin(), kTaskStateWords.end()});
  return states && std::any_of(states->begin(), states->end(), [](const std::string& state) {
           return std::find(kRunStateWords.begin(), kRunStateWords.end(), state) ==
                  kRunStateWords.end();
         });
}

/// As the verb means them, each once.
std::vector<ChangeTarget> meant(const Change& change, std::vector<ChangeTarget> chosen) {
  std::vector<ChangeTarget> targets;
  std::set<std::string> seen;
  for (ChangeTarget& target : chosen) {
    if (change.of_whole_runs) target = {target.run, "", std::nullopt};
    if (!change.task_of_runs.empty()) target = {target.run, change.task_of_runs, std::nullopt};
    if (seen.insert(target.name()).second) targets.push_back(std::move(target));
  }
  return targets;
}

/// Whether what the filters choose are tasks, not runs.
bool is_by_task(const Change& change) {
  return change.of_tasks || !change.words.task.empty() || !change.words.key.empty() ||
         !change.words.reasons.empty() || names_task_states(change.words);
}

Result<Selector> selector_of(const Change& change, const Here& here) {
  const SelectorOf of = is_by_task(change) ? SelectorOf::tasks : SelectorOf::runs;
  Result<Selector> selector = read_selector(change.words, of, here);
  if (selector && selector->is_empty()) {
    return Error{ErrorKind::invalid,
                 "nothing is selected. Name runs or tasks, or use --job, --state …"};
  }
  return selector;
}

/// What the words choose.
Result<std::vector<ChangeTarget>> choose(const Session& session, HistoryAccess& access,
                                         const Change& change) {
  const bool by_task = is_by_task(change);
  Result<Selector> selector = selector_of(change, session.here());
  if (!selector) return selector.error();
  if (access.is_empty()) {
    if (!selector->names.empty()) return access.resolve(to_text(selector->names.front())).error();
    return std::vector<ChangeTarget>();
  }
  if (has_filters(change.words)) {
    if (change.of_failures) return chosen_failures(access, *std::move(selector));
    return by_task ? chosen_tasks(access, *std::move(selector), change)
                   : chosen_runs(access, *std::move(selector), change);
  }
  const auto named = access.history().resolve_all(selector->names);
  if (!named) return named.error();
  std::vector<ChangeTarget> targets;
  for (const Named& one : *named) targets.push_back(target_of(one));
  return targets;
}

json body_of(const Change& change, const std::vector<ChangeTarget>& targets, bool dry_run) {
  json list = json::array();
  for (const ChangeTarget& target : targets) {
    json one = {{"run", target.run},
                {"task", target.task.empty() ? json() : json(target.task)},
                {"index", target.index ? json(*target.index) : json()}};
    if (target.itself) one["itself"] = true;
    list.push_back(std::move(one));
  }
  json body = {{"verb", change.verb}, {"targets", std::move(list)}, {"options", change.options}};
  if (dry_run) body["dry_run"] = true;
  if (!change.request_id.empty()) body["request_id"] = change.request_id;
  return body;
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// `7k3f9q/query:17` of a line of an answer.
std::string line_name(const json& line) {
  std::string name(short_name(text_of(line, "run")));
  if (const std::string task = text_of(line, "task"); !task.empty()) name += "/" + task;
  if (const auto index = line.find("index"); index != line.end() && index->is_number()) {
    name += fmt::format(":{}", index->get<std::int64_t>());
  }
  return name;
}

void print_plan(const Terminal& stream, const Change& change, const json& plan) {
  constexpr std::size_t kLines = 40;
  std::size_t shown = 0;
  int width = 0;
  for (const json& line : plan) {
    if (shown++ < kLines) width = std::max(width, display_width(line_name(line)));
  }
  shown = 0;
  for (const json& line : plan) {
    if (shown++ == kLines) {
      stream.line(fmt::format("  and {} more", plan.size() - kLines));
      break;
    }
    std::string text = text_of(line, "action");
    if (const auto items = line.find("items"); items != line.end() && items->is_number()) {
      text += " " + counted(items->get<std::int64_t>(), "item");
    }
    if (const std::string more = text_of(line, "text"); !more.empty()) text += ": " + more;
    stream.line(fmt::format("  {}  {}", pad(escape_for_terminal(line_name(line)), width),
                            escape_for_terminal(text)));
  }
  if (plan.empty()) stream.line(fmt::format("  nothing to {}", change.verb));
}

/// What is not the same in the definition that runs go on with.
void print_differences(const Terminal& stream, const json& answer) {
  const auto lines = answer.find("definition");
  if (lines == answer.end() || !lines->is_array()) return;
  if (lines->empty()) return stream.line("the definition is the same");
  stream.line("the definition is another one:");
  int width = 0;
  for (const json& line : *lines) width = std::max(width, display_width(line_name(line)));
  for (const json& line : *lines) {
    const std::string change = text_of(line, "change");
    stream.line(fmt::format("  {}  {}{}", pad(escape_for_terminal(line_name(line)), width),
                            change == "changed" ? "" : change + ": ",
                            escape_for_terminal(text_of(line, "text"))));
  }
}

bool is_json(Format format) { return format == Format::json || format == Format::jsonl; }

/// What would happen: the answer to a command that is only asked about.
Result<json> plan_of(const Session& session, std::unique_ptr<Port>& port, const Change& change,
                     const std::vector<ChangeTarget>& targets) {
  Result<json> answer = ask(session, port, reach_of(change), "POST", "/v1/commands",
                            body_of(change, targets, true), kAnswerTimeout);
  if (!answer) return answer.error();
  json& lines = (*answer)["plan"];
  if (!lines.is_array()) lines = json::array();
  return answer;
}

void show_plan(const Session& session, const Change& change, std::size_t targets,
               const json& plan) {
  const Terminal& stream = change.dry_run ? session.out : session.err;
  if (change.dry_run && is_json(change.output.format)) {
    OrderedJson object = {{"verb", change.verb}, {"targets", targets}};
    object["plan"] = OrderedJson::parse(plan["plan"].dump());
    if (plan.contains("definition"))
      object["definition"] = OrderedJson::parse(plan["definition"].dump());
    return print_object(stream, change.output, object);
  }
  print_differences(stream, plan);
  stream.line(
      fmt::format("{} {}:", change.verb, counted(static_cast<std::int64_t>(targets), "target")));
  print_plan(stream, change, plan["plan"]);
}

/// Nothing would happen that is not in `agreed`. What can no longer be done may be missing.
bool is_within(const json& plan, const json& agreed) {
  if (plan.value("definition", json()) != agreed.value("definition", json())) return false;
  std::set<json> lines(agreed["plan"].begin(), agreed["plan"].end());
  return std::all_of(plan["plan"].begin(), plan["plan"].end(), [&](const json& line) {
    return text_of(line, "action") == "refused" || lines.contains(line);
  });
}

enum class Agreed {
  yes,
  no,
  only_shown,        ///< a dry run
  would_be_refused,  ///< one that is refused at least in part
};

/// Shows what would happen; whether it shall.
Result<Agreed> agree(const Session& session, std::unique_ptr<Port>& port, const Change& change,
                     const std::vector<ChangeTarget>& targets) {
  Result<json> plan = plan_of(session, port, change, targets);
  if (!plan) return plan.error();
  show_plan(session, change, targets.size(), *plan);
  if (change.dry_run) {
    const json& lines = (*plan)["plan"];
    const bool refused = std::any_of(lines.begin(), lines.end(), [](const json& line) {
      return text_of(line, "action") == "refused";
    });
    return refused ? Agreed::would_be_refused : Agreed::only_shown;
  }
  if (change.yes || targets.size() == 1) return Agreed::yes;
  if (!can_ask(session)) {
    return Error{
        ErrorKind::invalid,
        fmt::format("{}: this is about {}. Say -y, or look first with --dry-run", change.verb,
                    counted(static_cast<std::int64_t>(targets.size()), "target"))};
  }
  const auto look_again = [&]() -> Result<bool> {
    Result<json> now = plan_of(session, port, change, targets);
    if (!now) return now.error();
    const bool same = is_within(*now, *plan);
    if (!same) {
      session.notice("something else would happen by now:");
      show_plan(session, change, targets.size(), *now);
    }
    plan = std::move(now);
    return same;
  };
  const Result<bool> said = ask_beside_home(session, port, reach_of(change),
                                            fmt::format("{} them?", change.verb), look_again);
  if (!said) return said.error();
  return *said ? Agreed::yes : Agreed::no;
}

/// Prints what was done and what was refused; collects the runs.
void read_results(const Session& session, const Change& change, const json& answer,
                  Changed& changed) {
  constexpr std::size_t kToldOneByOne = 10;
  const auto results = answer.find("results");
  if (results == answer.end() || !results->is_array()) return;
  const bool one_by_one = results->size() <= kToldOneByOne;
  std::int64_t untold = 0;
  std::set<std::string> seen;
  for (const json& result : *results) {
    const std::string message = text_of(result, "message");
    if (!result.value("ok", false)) {
      session.notice(fmt::format("{}: {}", escape_for_terminal(line_name(result)),
                                 escape_for_terminal(message)));
      changed.code = exit_code(ErrorKind::refused);
      continue;
    }
    if (!message.empty() || (one_by_one && !change.done.empty())) {
      session.err.line(escape_for_terminal(line_name(result) + ": " +
                                           (message.empty() ? change.done : message)));
    } else {
      ++untold;
    }
    const std::string made = text_of(result, "new_run");
    const std::string run = made.empty() ? text_of(result, "run") : made;
    if (seen.insert(run).second) changed.runs.push_back(run);
  }
  if (untold > 0 && !change.done.empty())
    session.err.line(counted(untold, "target") + ": " + change.done);
}

Result<bool> is_final_target(HistoryAccess& access, const ChangeTarget& target) {
  const Result<RunRow> run = access.find_run(target.run);
  if (!run) return run.error();
  if (target.task.empty() || is_final(run->state)) return is_final(run->state);
  ObjectName name;
  name.run = target.run;
  name.task = target.task;
  name.item = target.index;
  const Result<Named> named = access.history().resolve(name);
  if (!named) return named.error();
  const auto task = access.history().task(named->key());
  if (!task) return task.error();
  return *task && is_final((*task)->row.state);
}

}  // namespace

std::string ChangeTarget::name() const {
  std::string text = run;
  if (!task.empty()) text += "/" + task;
  if (index) text += fmt::format(":{}", *index);
  return text;
}

bool Change::is_of_one_run() const {
  return words.names.size() + words.runs.size() == 1 && !has_filters(words);
}

void declare_change(Arguments& arguments, Change& change) {
  declare_selector(arguments, change.words, SelectorOf::tasks);
  arguments.flag("-y,--yes", change.yes, "do not ask");
  arguments.flag("--dry-run", change.dry_run, "only show what would happen");
  arguments.check([&change]() -> Result<void> {
    // Which times they mean depends on the clock; whether they mean some does not.
    const Result<Selector> selector = selector_of(change, Here{});
    if (!selector) return selector.error();
    return {};
  });
}

bool can_ask(const Session& session) {
  return isatty(STDIN_FILENO) == 1 && session.err.is_terminal;
}

bool ask_yes(const Session& session, std::string_view question) {
  session.err.print(fmt::format("{} [y/N] ", question));
  session.err.flush();
  std::string answer;
  for (int c = std::fgetc(stdin); c != EOF && c != '\n'; c = std::fgetc(stdin)) {
    answer += static_cast<char>(c);
  }
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<bool> ask_beside_home(const Session& session, std::unique_ptr<Port>& port, Reach reach,
                             std::string_view question,
                             const std::function<Result<bool>()>& look_again) {
  for (;;) {
    port.reset();
    if (!ask_yes(session, question)) return false;
    // Whoever serves the home by now.
    Result<std::unique_ptr<Port>> opened = open_port(session, reach);
    if (!opened) return opened.error();
    port = *std::move(opened);
    const Result<bool> same = look_again();
    if (!same) return same.error();
    if (*same) return true;
  }
}

Result<Changed> carry_out(const Session& session, const Change& change) {
  Changed changed;
  {
    // Closed before this process may become the writer of the store.
    Result<HistoryAccess> access = open_to_change(session, reach_of(change));
    if (!access) return access.error();
    Result<std::vector<ChangeTarget>> targets = choose(session, *access, change);
    if (!targets) return targets.error();
    changed.targets = meant(change, *std::move(targets));
  }
  if (changed.targets.empty()) {
    return Error{ErrorKind::not_found, fmt::format("{}: nothing matches", change.verb)};
  }
  Result<std::unique_ptr<Port>> opened = open_port(session, reach_of(change));
  if (!opened) return opened.error();
  changed.port = *std::move(opened);
  if (changed.targets.size() > 1 || change.dry_run || change.shows_plan) {
    const Result<Agreed> agreed = agree(session, changed.port, change, changed.targets);
    if (!agreed) return agreed.error();
    if (*agreed != Agreed::yes) {
      changed.is_dry = true;
      if (*agreed == Agreed::no) session.notice("nothing was done");
      if (*agreed == Agreed::would_be_refused) changed.code = exit_code(ErrorKind::refused);
      return changed;
    }
  }
  const auto answer = ask(session, changed.port, reach_of(change), "POST", "/v1/commands",
                          body_of(change, changed.targets, false), kAnswerTimeout);
  if (!answer) return answer.error();
  read_results(session, change, *answer, changed);
  return changed;
}

Result<int> see_through(const Session& session, Changed& changed, const Change& change, bool wait,
                        bool quiet) {
  Watch watch;
  watch.wait = wait;
  watch.quiet = quiet;
  watch.lists = !change.is_of_one_run();
  const Result<int> code = see_through(session, changed.port, change.output, changed.runs, watch);
  if (!code) return code.error();
  return std::max(*code, changed.code);
}

Result<void> wait_for_final(const Session& session, Changed& changed, Duration patience) {
  if (!changed.port || !changed.port->is_scheduler() || changed.code != 0) return {};
  Result<HistoryAccess> access = HistoryAccess::open(session, true);
  if (!access) return access.error();
  constexpr Duration kLook = std::chrono::milliseconds(100);
  const WallTime deadline = session.here().now + patience;
  for (const ChangeTarget& target : changed.targets) {
    for (;;) {
      const Result<bool> final = is_final_target(*access, target);
      if (!final) return final.error();
      if (*final || session.here().now > deadline) break;
      if (const Result<void> turned = changed.port->turn_for(kLook); !turned) return turned.error();
    }
  }
  return {};
}

}  // namespace pawl
