// Lists and groups of what happened, against a plain search over all that the store was told.

#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "filled_history.h"
#include "scheduler/base/text.h"
#include "storage/query.h"

namespace pawl::test {
namespace {

std::vector<std::string> texts(const std::vector<TaskView>& views) {
  std::vector<std::string> all;
  for (const auto& view : views) all.push_back(text(view.row));
  return all;
}

std::vector<std::int64_t> ids(const std::vector<AttemptView>& views) {
  std::vector<std::int64_t> all;
  for (const auto& view : views) all.push_back(view.row.id.value);
  return all;
}

bool chosen(const ToldHistory& told, const TaskRow& task, const Selector& s) {
  const RunRow& run = told.run(task.key.run);
  const std::string id = kTaskIds[task.key.task.value];
  if (!s.job.empty() && !glob_match(s.job, run.job)) return false;
  if (!s.task.empty() && !glob_match(s.task, id)) return false;
  if (!s.key.empty()) {
    if (task.key.item == kWhole) return false;
    if (!glob_match(s.key, "k" + std::to_string(task.key.item.value))) return false;
  }
  if (!s.states.empty() &&
      std::find(s.states.begin(), s.states.end(), to_string(task.state)) == s.states.end())
    return false;
  return s.reasons.empty() ||
         std::find(s.reasons.begin(), s.reasons.end(), task.reason) != s.reasons.end();
}

std::vector<Selector> selectors() {
  std::vector<Selector> all(8);
  all[1].job = "sa*";
  all[2].task = "q*";
  all[3].key = "k[0-3]";
  all[4].states = {"failed", "held"};
  all[5].reasons = {Reason::timeout, Reason::upstream};
  all[6].job = "dump";
  all[6].states = {"failed"};
  all[6].key = "k?";
  all[7].labels = {{"team", "other"}};
  return all;
}

}  // namespace

TEST_CASE("runs are listed newest first, whatever the size of the pages") {
  FilledHistory f(1);
  for (std::size_t limit : {1U, 7U, 1000U}) {
    const auto views = all_pages(f.history->runs({}), limit);
    REQUIRE(views.size() == f.told.runs.size());
    for (std::size_t i = 0; i < views.size(); ++i) {
      CHECK(text(views[i].row) == text(f.told.runs[f.told.runs.size() - 1 - i]));
      CHECK(views[i].labels.at("team") == "data");
    }
  }
  Selector s;
  s.states = {"failed"};
  s.job = "sales";
  s.since = at(500);
  s.until = at(2'000);
  std::set<std::string> expected;
  for (const auto& run : f.told.runs) {
    if (run.state == RunState::failed && run.job == "sales" && run.created_at >= at(500) &&
        run.created_at < at(2'000))
      expected.insert(run.name);
  }
  std::set<std::string> found;
  for (const auto& view : all_pages(f.history->runs(s), 2)) found.insert(view.row.name);
  CHECK(found == expected);
}

TEST_CASE("tasks are what a plain search over all rows gives, whatever the size of the pages") {
  for (std::uint64_t seed : {1U, 2U, 3U}) {
    FilledHistory f(seed);
    for (const Selector& s : selectors()) {
      std::vector<std::string> expected;
      for (auto run = f.told.runs.rbegin(); run != f.told.runs.rend(); ++run) {
        for (const auto& [key, task] : f.told.tasks) {
          const bool has_labels = s.labels.empty();
          if (key.run == run->id && has_labels && chosen(f.told, task, s))
            expected.push_back(text(task));
        }
      }
      for (std::size_t limit : {1U, 3U, 1000U})
        CHECK(texts(all_pages(f.history->tasks(s), limit)) == expected);
    }
  }
}

TEST_CASE("a listed task knows its names, its last attempt, its key and its log") {
  FilledHistory f(4);
  for (const TaskView& view : all_pages(f.history->tasks({}), 100)) {
    const TaskRow& row = view.row;
    CHECK(view.task == kTaskIds[row.key.task.value]);
    CHECK(view.run == f.told.run(row.key.run).name);
    CHECK(view.job == f.told.run(row.key.run).job);
    CHECK(view.max_attempts == (row.key.task.value == 1 ? 3 : 1));
    CHECK(view.mapped == (row.key.task.value == 1 && row.key.item == kWhole));
    CHECK(view.whole.has_value() == view.mapped);
    CHECK(view.key == (row.key.item == kWhole ? "" : "k" + std::to_string(row.key.item.value)));
    REQUIRE(view.last.has_value() == (row.attempts > 0));
    if (!view.last) continue;
    CHECK(view.last->number == row.attempts);
    CHECK(text(*view.last) == text(f.told.attempts.at(view.last->id.value)));
    const std::string item = row.key.item == kWhole ? "" : std::to_string(row.key.item.value) + ".";
    const std::string log =
        "logs/" + view.run + "/" + view.task + "/" + item + std::to_string(row.attempts) + ".log";
    CHECK(view.log == (may_have_log(*view.last) ? log : ""));
    CHECK(view.error() == view.last->failure.message);
  }
}

TEST_CASE("attempts are listed newest first, and of named work by task") {
  FilledHistory f(5);
  std::vector<std::int64_t> expected;
  for (auto it = f.told.attempts.rbegin(); it != f.told.attempts.rend(); ++it)
    expected.push_back(it->first);
  for (std::size_t limit : {1U, 7U, 1000U})
    CHECK(ids(all_pages(f.history->attempts({}), limit)) == expected);

  Selector s;
  s.states = {"failed"};
  s.key = "k[12]";
  std::vector<std::int64_t> failed;
  for (std::int64_t id : expected) {
    const AttemptRow& a = f.told.attempts.at(id);
    if (a.state == AttemptState::failed && (a.key.item.value == 1 || a.key.item.value == 2))
      failed.push_back(id);
  }
  for (std::size_t limit : {1U, 5U}) CHECK(ids(all_pages(f.history->attempts(s), limit)) == failed);

  for (const RunRow& run : f.told.runs) {
    Selector named;
    named.names = {must(parse_object_name(run.name))};
    std::vector<std::int64_t> of_run;
    for (const auto& [key, task] : f.told.tasks) {
      if (key.run != run.id) continue;
      std::vector<std::int64_t> of_task;
      for (const auto& [id, attempt] : f.told.attempts) {
        if (attempt.key == key) of_task.push_back(id);
      }
      CHECK(ids(must(f.history->attempts_of(key))) == of_task);
      of_run.insert(of_run.end(), of_task.rbegin(), of_task.rend());
    }
    CHECK(ids(all_pages(f.history->attempts(named), 3)) == of_run);
    const auto check = [&](const std::string& name, const auto& is_chosen) {
      named.names = {must(parse_object_name(name))};
      std::vector<std::int64_t> chosen;
      for (std::int64_t id : of_run) {
        if (is_chosen(f.told.attempts.at(id))) chosen.push_back(id);
      }
      for (std::size_t limit : {1U, 3U, 1000U})
        CHECK(ids(all_pages(f.history->attempts(named), limit)) == chosen);
    };
    check(run.name + "/query", [](const AttemptRow& a) { return a.key.task.value == 1; });
    check(run.name + "/query:1", [](const AttemptRow& a) { return a.key.item.value == 1; });
    check(run.name + "/query:1#2",
          [](const AttemptRow& a) { return a.key.item.value == 1 && a.number == 2; });
    named.states = {"failed"};
    check(run.name, [](const AttemptRow& a) { return a.state == AttemptState::failed; });
    named.key = "k[12]";
    check(run.name + "/query", [](const AttemptRow& a) {
      return a.state == AttemptState::failed && (a.key.item.value == 1 || a.key.item.value == 2);
    });
  }
}

TEST_CASE("attempts of several names are those of each, once") {
  FilledHistory f(6);
  const std::string first = f.told.runs.front().name;
  const std::string last = f.told.runs.back().name;
  Selector s;
  s.names = {must(parse_object_name(first)), must(parse_object_name(last + "/query")),
             must(parse_object_name(first + "/list"))};
  std::set<std::int64_t> expected;
  for (const auto& [id, a] : f.told.attempts) {
    const bool is_of_last = a.key.run == f.told.runs.back().id && a.key.task.value == 1;
    if (a.key.run == f.told.runs.front().id || is_of_last) expected.insert(id);
  }
  const auto found = ids(all_pages(f.history->attempts(s), 2));
  CHECK(std::set<std::int64_t>(found.begin(), found.end()) == expected);
  CHECK(found.size() == expected.size());
}

TEST_CASE("of every attempt that may have a log it is told once, and of no silent one") {
  FilledHistory f(9);
  const AttemptId newest = must(f.history->newest_attempt());
  CHECK(newest.value == f.told.attempts.rbegin()->first);
  const auto told = [](const std::vector<LogView>& logs) {
    std::set<std::string> all;
    for (const LogView& log : logs) {
      all.insert(std::to_string(log.attempt.value) + " " + std::to_string(log.key.task.value) +
                 ":" + std::to_string(log.key.item.value) + "#" + std::to_string(log.number) + " " +
                 std::string(to_string(log.state)) + " " + std::to_string(log.started_at.ms));
    }
    CHECK(all.size() == logs.size());
    return all;
  };
  std::size_t silent = 0;
  for (const RunRow& run : f.told.runs) {
    for (const std::optional<TaskIndex> task : {std::optional<TaskIndex>(), {TaskIndex{1}}}) {
      for (const AttemptId bound : {newest, AttemptId{newest.value / 2}}) {
        std::vector<LogView> before;
        std::vector<LogView> after;
        for (const auto& [id, row] : f.told.attempts) {
          if (row.key.run != run.id || (task && row.key.task != *task)) continue;
          if (row.log_bytes == 0 && row.state == AttemptState::succeeded) ++silent;
          if (!may_have_log(row)) continue;
          auto& logs = AttemptId{id} <= bound ? before : after;
          logs.push_back({row.id, row.key, row.number, row.state, row.started_at});
        }
        for (const std::size_t limit : {1U, 3U, 1000U})
          CHECK(told(all_pages(f.history->logs(run.id, task, bound), limit)) == told(before));
        CHECK(told(must(f.history->logs_after(run.id, task, bound, 1000))) == told(after));
        const auto first = must(f.history->logs_after(run.id, task, bound, 1));
        if (!after.empty()) CHECK(first.at(0).attempt == after.front().attempt);
      }
    }
  }
  CHECK(silent > 0);
}

TEST_CASE("who ended without a word of its worker may have a log of unknown size") {
  AttemptRow row;
  for (const AttemptState state : {AttemptState::running, AttemptState::lost,
                                   AttemptState::interrupted, AttemptState::cancelled}) {
    row.state = state;
    CHECK(may_have_log(row));
  }
  for (const AttemptState state :
       {AttemptState::succeeded, AttemptState::failed, AttemptState::skipped}) {
    row.state = state;
    row.log_bytes = 0;
    CHECK_FALSE(may_have_log(row));
    row.log_bytes = 1;
    CHECK(may_have_log(row));
  }
}

TEST_CASE("failed lists what is unresolved and nothing else, the latest first") {
  for (std::uint64_t seed : {6U, 7U, 8U}) {
    FilledHistory f(seed);
    auto is_forgiven = [&](const TaskRow& task) {
      return task.key.item != kWhole &&
             f.told.tasks.at({task.key.run, task.key.task, kWhole}).state == TaskState::succeeded;
    };
    auto is_told_by_items = [&](const TaskRow& task) {
      return task.key.task.value == 1 && task.key.item == kWhole &&
             std::any_of(f.told.tasks.begin(), f.told.tasks.end(), [&](const auto& entry) {
               return entry.first.run == task.key.run && entry.first.task == task.key.task &&
                      entry.first.item != kWhole &&
                      (entry.second.state == TaskState::failed ||
                       entry.second.state == TaskState::held);
             });
    };
    for (bool tolerated : {false, true}) {
      for (Selector s : selectors()) {
        s.since = at(300);
        s.until = at(2'900);
        std::vector<const TaskRow*> rows;
        for (const auto& [key, task] : f.told.tasks) {
          const bool is_unresolved =
              (task.state == TaskState::failed || task.state == TaskState::held) &&
              task.dismissed == 0;
          if (!is_unresolved || is_told_by_items(task) || (!tolerated && is_forgiven(task)) ||
              !s.labels.empty())
            continue;
          if (*task.ended_at < *s.since || *task.ended_at >= *s.until || !chosen(f.told, task, s))
            continue;
          rows.push_back(&task);
        }
        std::sort(rows.begin(), rows.end(), [](const TaskRow* a, const TaskRow* b) {
          return std::pair(*a->ended_at, a->key) > std::pair(*b->ended_at, b->key);
        });
        std::vector<std::string> expected;
        std::int64_t held = 0;
        for (const auto* row : rows) {
          expected.push_back(text(*row));
          held += row->state == TaskState::held ? 1 : 0;
        }
        for (std::size_t limit : {1U, 4U, 1000U}) {
          const auto views = all_pages(f.history->failed(s, tolerated), limit);
          CHECK(texts(views) == expected);
          for (const auto& view : views) {
            CHECK(view.tolerated == is_forgiven(view.row));
            CHECK(view.params == "{}");
            CHECK(view.item == (view.row.key.item == kWhole
                                    ? ""
                                    : "{\"n\":" + std::to_string(view.row.key.item.value) + "}"));
          }
        }
        if (tolerated) continue;
        const auto summary = must(f.history->failed_summary(s));
        CHECK(summary.held == held);
        CHECK(summary.failed + summary.held == static_cast<std::int64_t>(expected.size()));
        std::int64_t grouped = 0;
        for (const auto& group : must(f.history->failed_groups(s, FailedBy::task)).groups)
          grouped += group.count;
        CHECK(grouped == static_cast<std::int64_t>(expected.size()));
      }
    }
  }
}

TEST_CASE("the counts of failures are those of their list, whatever is named") {
  FilledHistory f(10);
  std::vector<Selector> named(1);
  for (const RunRow& run : f.told.runs) {
    for (const std::string& name :
         {run.name, run.name + "/query", run.name + "/query:1", run.name + "/report"}) {
      auto parsed = parse_object_name(name);
      Selector s;
      s.names = {must(parsed)};
      named.push_back(s);
    }
  }
  Selector several;
  several.names = {named[1].names.front(), named[7].names.front(), named[10].names.front()};
  named.push_back(several);
  std::size_t found = 0;
  for (const Selector& s : named) {
    INFO((s.names.empty() ? std::string("all") : s.names.front().run + "/" + s.names.front().task));
    const std::size_t unresolved = all_pages(f.history->failed(s, false), 100).size();
    const std::size_t all = all_pages(f.history->failed(s, true), 100).size();
    const auto summary = must(f.history->failed_summary(s));
    CHECK(static_cast<std::size_t>(summary.failed + summary.held) == unresolved);
    CHECK(static_cast<std::size_t>(summary.tolerated) == all - unresolved);
    found += unresolved;
  }
  CHECK(found > 50);
  CHECK(must(f.history->status()).unresolved ==
        static_cast<std::int64_t>(all_pages(f.history->failed({}, false), 100).size()));
}

TEST_CASE("runs that failed by themselves stand between the tasks that failed") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(Mutations{mutation::InsertVersion{version_row()}}));
  // Tasks fail in the odd seconds, runs end by their time-outs in the even ones.
  for (std::int64_t id = 1; id <= 6; ++id) {
    RunRow run = run_row(id, id == 6 ? "dump" : "sales");
    run.state = RunState::failed;
    run.ended_at = at(2 * id);
    if (id % 2 == 0) run.reason = Reason::run_timeout;
    run.dismissed = id == 4;
    must(store->apply(Mutations{mutation::InsertRun{run}}));
    if (id > 3) continue;
    const TaskRow task = running(id, 0, -1, id);
    must(store->apply(start_of(task)));
    must(store->apply(end_of(task, TaskState::failed, Reason::exit, at(2 * id + 1))));
  }
  auto history = must(History::open(folder.store(), {{}, true}));
  const auto names = [&](const Selector& selector, std::size_t limit = 1'000) {
    std::string all;
    for (const TaskView& view : all_pages(history->failed(selector), limit)) {
      CHECK(view.is_run() == (view.row.reason == Reason::run_timeout));
      CHECK((view.row.state == TaskState::failed && view.row.ended_at.has_value()));
      CHECK_FALSE((view.error().empty() && view.is_run()));
      all += std::to_string(view.row.key.run.value) + "/" + view.task + " ";
    }
    const FailedSummary summary = must(history->failed_summary(selector));
    CHECK(summary.failed == std::count(all.begin(), all.end(), ' '));
    return all;
  };
  for (std::size_t limit : {1U, 2U, 3U, 1'000U})
    CHECK(names({}, limit) == "6/ 3/list 2/list 2/ 1/list ");
  Selector s;
  SECTION("by their reason") {
    s.reasons = {Reason::run_timeout};
    CHECK(names(s) == "6/ 2/ ");
  }
  SECTION("by what they are named by") {
    s.names = {must(parse_object_name(run_row(2).name))};
    CHECK(names(s) == "2/list 2/ ");
    s.names.front().task = "list";
    CHECK(names(s) == "2/list ");
  }
  SECTION("not by what only tasks have") {
    s.task = "*";
    CHECK(names(s) == "3/list 2/list 1/list ");
    s.task.clear();
    s.states = {"held"};
    CHECK(names(s).empty());
  }
  SECTION("by time and job") {
    s.since = at(4);
    s.until = at(12);
    CHECK(names(s) == "3/list 2/list 2/ ");
    s.job = "dump";
    s.until = at(13);
    CHECK(names(s) == "6/ ");
    CHECK(must(history->failed_summary(s)).runs == 1);
  }
  SECTION("in groups and in the number of all") {
    for (FailedBy by : {FailedBy::error, FailedBy::reason, FailedBy::task, FailedBy::job}) {
      std::int64_t count = 0;
      for (const auto& group : must(history->failed_groups({}, by)).groups) count += group.count;
      CHECK(count == 5);
    }
    CHECK(must(history->status()).unresolved == 5);
  }
}

// A statement holds the values of its query by reference.
template <typename Any>
constexpr bool can_prepare = requires(Any&& query, Database& database) {
  std::forward<Any>(query).prepare(database);
};
static_assert(can_prepare<const Query&> && !can_prepare<Query>);

TEST_CASE("groups are of the failures that a selector chooses by their reasons") {
  FilledHistory f(9);
  Selector s;
  s.reasons = {Reason::timeout, Reason::exit};
  for (FailedBy by : {FailedBy::reason, FailedBy::error}) {
    std::int64_t count = 0;
    for (const auto& group : must(f.history->failed_groups(s, by)).groups) count += group.count;
    const auto summary = must(f.history->failed_summary(s));
    CHECK(count > 0);
    CHECK(count == summary.failed + summary.held);
  }
  for (const auto& group : must(f.history->failed_groups(s, FailedBy::reason)).groups)
    CHECK((group.value == "exit:5" || group.value == "timeout"));
}

TEST_CASE("failures are grouped by what they have in common") {
  FilledHistory f(9);
  const auto by_error = must(f.history->failed_groups({}, FailedBy::error));
  std::set<std::string> values;
  for (const auto& group : by_error.groups) values.insert(group.value);
  values.erase("tolerance");  // of a whole none of whose items failed: not in every history
  CHECK(values ==
        std::set<std::string>{"cannot reach warehouse <n>", "decided without an attempt"});
  for (const auto& group : must(f.history->failed_groups({}, FailedBy::reason)).groups) {
    CHECK((group.value == "exit:5" || group.value == "timeout" || group.value == "upstream" ||
           group.value == "tolerance"));
    CHECK(group.first <= group.last);
    CHECK(group.runs <= group.count);
    CHECK_FALSE(group.example.run.empty());
  }
  CHECK(must(f.history->failed_groups({}, FailedBy::job)).groups.size() == 2);
  Selector since;
  since.since = at(1'500);
  const auto all = must(f.history->failed_summary({}));
  const auto some = must(f.history->failed_summary(since));
  CHECK(some.failed + some.held + some.older == all.failed + all.held);
  CHECK(all.older == 0);
}

TEST_CASE("a page is read in a transaction that ends before the caller has it") {
  FilledHistory f(13);
  auto pager = f.history->runs({});
  must(pager.next(5));
  must(f.store->apply(Mutations{mutation::InsertRun{run_row(99)}}));
  must(f.store->checkpoint());
  CHECK(f.store->wal_pages() == 0);
  CHECK(must(pager.next(100)).size() == 25);
}

}  // namespace pawl::test
