#include "storage/history.h"

#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "scheduler/base/text.h"
#include "support.h"

namespace pawl::test {
namespace {

/// What the store was told, for answering the same questions by brute force.
struct Model {
  std::vector<RunRow> runs;
  std::map<TaskKey, TaskRow> tasks;
  std::map<std::int64_t, AttemptRow> attempts;

  const RunRow& run(RunId id) const {
    return *std::find_if(runs.begin(), runs.end(), [&](const RunRow& r) { return r.id == id; });
  }
};

const char* const kTaskIds[] = {"list", "query", "report", "hook:on_failure:0"};

/// A history of runs of two jobs with all kinds of ends, written to the store as the engine would.
class Writing {
 public:
  Writing(SqliteStore& store, std::uint64_t seed) : store_(store), random_(seed) {
    must(store_.begin_epoch("boot"));
    must(store_.apply(Mutations{mutation::InsertVersion{version_row(1, "sales")},
                                mutation::InsertVersion{version_row(2, "dump")}}));
  }

  Model run(int runs) {
    for (int n = 0; n < runs; ++n) one_run();
    return std::move(model_);
  }

 private:
  std::uint64_t draw(std::uint64_t below) {
    random_ = random_ * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
    return (random_ >> 33) % below;
  }

  void one_run() {
    const auto id = static_cast<std::int64_t>(model_.runs.size() + 1);
    const bool is_dump = draw(3) == 0;
    RunRow run = run_row(id, is_dump ? "dump" : "sales");
    run.version = VersionId{is_dump ? 2 : 1};
    run.created_at = at(id * 100);
    constexpr RunState kStates[] = {RunState::running, RunState::failed, RunState::succeeded,
                                    RunState::cancelled};
    run.state = kStates[draw(4)];
    if (is_final(run.state)) run.ended_at = at(id * 100 + 90);
    if (run.state == RunState::cancelled) run.reason = Reason::run_timeout;
    must(store_.apply(Mutations{mutation::InsertRun{run}}));
    model_.runs.push_back(run);
    one_task({run.id, TaskIndex{0}, kWhole});
    mapped_task(run.id);
    one_task({run.id, TaskIndex{2}, kWhole});
  }

  void mapped_task(RunId run) {
    const auto items = static_cast<std::int64_t>(draw(8));
    TaskRow whole = task_row(run.value, 1);
    constexpr TaskState kEnds[] = {TaskState::running, TaskState::succeeded, TaskState::failed};
    const TaskState end = kEnds[draw(3)];
    whole = is_final(end)
                ? ended(whole, end, end == TaskState::failed ? Reason::tolerance : Reason::none,
                        at(run.value * 100 + 80))
                : whole;
    must(store_.apply(Mutations{mutation::InsertTask{whole},
                                mutation::InsertItems{chunk_row(run.value, 1, 0, 5)},
                                mutation::InsertItems{chunk_row(run.value, 1, 5, 5)}}));
    model_.tasks[whole.key] = whole;
    MappedRow mapped = mapped_row(run.value, 1, 10, items);
    mapped.counts = {};
    for (std::int64_t item = 0; item < items; ++item) {
      const TaskState state = one_task({run, TaskIndex{1}, ItemIndex{item}});
      ++mapped.counts[static_cast<std::size_t>(state)];
    }
    must(store_.apply(Mutations{mutation::SetMapped{mapped}}));
  }

  TaskState one_task(TaskKey key) {
    TaskRow task = task_row(key.run.value, key.task.value, key.item.value);
    const WallTime when = at(key.run.value * 100 + static_cast<std::int64_t>(draw(100)));
    const auto tries = static_cast<std::int32_t>(draw(4));
    task.started_at = when;
    bool has_row = false;
    for (std::int32_t number = 1; number <= tries; ++number) {
      TaskRow before = task;
      task.attempts = task.counted = number;
      task.state = TaskState::running;
      task.live_attempt = AttemptId{++attempt_};
      AttemptRow attempt = attempt_row(attempt_, key, number);
      attempt.started_at = when + Duration(number);
      Mutations batch;
      if (has_row) {
        batch.emplace_back(mutation::UpdateTask{before.state, AttemptId{}, task});
      } else {
        batch.emplace_back(mutation::InsertTask{task});
      }
      has_row = true;
      batch.emplace_back(mutation::InsertAttempt{attempt});
      must(store_.apply(batch));
      const bool last = number == tries;
      constexpr TaskState kEnds[] = {TaskState::succeeded, TaskState::failed, TaskState::held,
                                     TaskState::cancelled};
      const TaskState end = last ? kEnds[draw(4)] : TaskState::retrying;
      const TaskRow done = ended(task, end,
                                 end == TaskState::succeeded ? Reason::none
                                 : draw(2) == 0              ? Reason::exit
                                                             : Reason::timeout,
                                 when + Duration(10 * number));
      AttemptRow ending = ended(
          attempt, end == TaskState::succeeded ? AttemptState::succeeded : AttemptState::failed,
          done.reason, *done.ended_at);
      ending.failure.message = "cannot reach warehouse " + std::to_string(draw(100));
      TaskRow written = done;
      if (last && draw(6) == 0) written.dismissed = 1;
      must(store_.apply(
          Mutations{mutation::UpdateTask{TaskState::running, task.live_attempt, written},
                    mutation::UpdateAttempt{AttemptState::starting, ending}}));
      model_.attempts[attempt_] = ending;
      task = written;
    }
    if (tries == 0) {
      constexpr TaskState kDecided[] = {TaskState::skipped, TaskState::upstream_failed,
                                        TaskState::failed};
      task = ended(task, kDecided[draw(3)], Reason::upstream, when);
      task.error = "decided without an attempt";
      must(store_.apply(Mutations{mutation::InsertTask{task}}));
    }
    model_.tasks[key] = task;
    return task.state;
  }

  SqliteStore& store_;
  std::uint64_t random_;
  std::int64_t attempt_ = 0;
  Model model_;
};

template <typename Pager>
auto all_pages(Pager pager, std::size_t limit) {
  auto all = must(pager.next(limit));
  while (true) {
    auto page = must(pager.next(limit));
    if (page.empty()) return all;
    CHECK(page.size() <= limit);
    for (auto& row : page) all.push_back(std::move(row));
  }
}

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

bool chosen(const Model& model, const TaskRow& task, const Selector& s) {
  const RunRow& run = model.run(task.key.run);
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

struct Filled {
  Folder folder;
  Model model;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<History> history;

  explicit Filled(std::uint64_t seed, int runs = 30) {
    store = open_store(folder.store());
    model = Writing(*store, seed).run(runs);
    HistoryOptions beside;
    beside.beside_writer = true;
    history = must(History::open(folder.store(), beside));
  }
};

}  // namespace

TEST_CASE("runs are listed newest first, whatever the size of the pages") {
  Filled f(1);
  for (std::size_t limit : {1U, 7U, 1000U}) {
    const auto views = all_pages(f.history->runs({}), limit);
    REQUIRE(views.size() == f.model.runs.size());
    for (std::size_t i = 0; i < views.size(); ++i) {
      CHECK(text(views[i].row) == text(f.model.runs[f.model.runs.size() - 1 - i]));
      CHECK(views[i].labels.at("team") == "data");
    }
  }
  Selector s;
  s.states = {"failed"};
  s.job = "sales";
  s.since = at(500);
  s.until = at(2'000);
  std::set<std::string> expected;
  for (const auto& run : f.model.runs) {
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
    Filled f(seed);
    for (const Selector& s : selectors()) {
      std::vector<std::string> expected;
      for (auto run = f.model.runs.rbegin(); run != f.model.runs.rend(); ++run) {
        for (const auto& [key, task] : f.model.tasks) {
          const bool has_labels = s.labels.empty();
          if (key.run == run->id && has_labels && chosen(f.model, task, s))
            expected.push_back(text(task));
        }
      }
      for (std::size_t limit : {1U, 3U, 1000U})
        CHECK(texts(all_pages(f.history->tasks(s), limit)) == expected);
    }
  }
}

TEST_CASE("a listed task knows its names, its last attempt, its key and its log") {
  Filled f(4);
  for (const TaskView& view : all_pages(f.history->tasks({}), 100)) {
    const TaskRow& row = view.row;
    CHECK(view.task == kTaskIds[row.key.task.value]);
    CHECK(view.run == f.model.run(row.key.run).name);
    CHECK(view.job == f.model.run(row.key.run).job);
    CHECK(view.max_attempts == (row.key.task.value == 1 ? 3 : 1));
    CHECK(view.mapped == (row.key.task.value == 1 && row.key.item == kWhole));
    CHECK(view.whole.has_value() == view.mapped);
    CHECK(view.key == (row.key.item == kWhole ? "" : "k" + std::to_string(row.key.item.value)));
    REQUIRE(view.last.has_value() == (row.attempts > 0));
    if (!view.last) continue;
    CHECK(view.last->number == row.attempts);
    CHECK(text(*view.last) == text(f.model.attempts.at(view.last->id.value)));
    const std::string item = row.key.item == kWhole ? "" : std::to_string(row.key.item.value) + ".";
    CHECK(view.log == "logs/" + view.run + "/" + view.task + "/" + item +
                          std::to_string(row.attempts) + ".log");
    CHECK(view.error() == view.last->failure.message);
  }
}

TEST_CASE("attempts are listed newest first, and of named work by task") {
  Filled f(5);
  std::vector<std::int64_t> expected;
  for (auto it = f.model.attempts.rbegin(); it != f.model.attempts.rend(); ++it)
    expected.push_back(it->first);
  for (std::size_t limit : {1U, 7U, 1000U})
    CHECK(ids(all_pages(f.history->attempts({}), limit)) == expected);

  Selector s;
  s.states = {"failed"};
  s.key = "k[12]";
  std::vector<std::int64_t> failed;
  for (std::int64_t id : expected) {
    const AttemptRow& a = f.model.attempts.at(id);
    if (a.state == AttemptState::failed && (a.key.item.value == 1 || a.key.item.value == 2))
      failed.push_back(id);
  }
  for (std::size_t limit : {1U, 5U}) CHECK(ids(all_pages(f.history->attempts(s), limit)) == failed);

  for (const RunRow& run : f.model.runs) {
    Selector named;
    named.names = {must(parse_object_name(run.name))};
    std::vector<std::int64_t> of_run;
    for (const auto& [key, task] : f.model.tasks) {
      if (key.run != run.id) continue;
      std::vector<std::int64_t> of_task;
      for (const auto& [id, attempt] : f.model.attempts) {
        if (attempt.key == key) of_task.push_back(id);
      }
      CHECK(ids(must(f.history->attempts_of(key))) == of_task);
      of_run.insert(of_run.end(), of_task.rbegin(), of_task.rend());
    }
    CHECK(ids(all_pages(f.history->attempts(named), 3)) == of_run);
  }
}

TEST_CASE("failed lists what is unresolved and nothing else, the latest first") {
  for (std::uint64_t seed : {6U, 7U, 8U}) {
    Filled f(seed);
    auto is_forgiven = [&](const TaskRow& task) {
      return task.key.item != kWhole &&
             f.model.tasks.at({task.key.run, task.key.task, kWhole}).state == TaskState::succeeded;
    };
    auto is_told_by_items = [&](const TaskRow& task) {
      return task.key.task.value == 1 && task.key.item == kWhole &&
             std::any_of(f.model.tasks.begin(), f.model.tasks.end(), [&](const auto& entry) {
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
        for (const auto& [key, task] : f.model.tasks) {
          const bool is_unresolved =
              (task.state == TaskState::failed || task.state == TaskState::held) &&
              task.dismissed == 0;
          if (!is_unresolved || is_told_by_items(task) || (!tolerated && is_forgiven(task)) ||
              !s.labels.empty())
            continue;
          if (*task.ended_at < *s.since || *task.ended_at >= *s.until || !chosen(f.model, task, s))
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

TEST_CASE("failures are grouped by what they have in common") {
  Filled f(9);
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

TEST_CASE("runs are found by name, by any unambiguous part and as the latest") {
  Filled f(10, 12);
  History& h = *f.history;
  CHECK(must(h.find_run(run_row(3).name)).id.value == 3);
  CHECK(must(h.find_run("run7x")).id.value == 7);
  CHECK(must(h.find_run("@latest")).id.value == 12);
  std::int64_t last_dump = 0;
  for (const auto& run : f.model.runs) {
    if (run.job == "dump") last_dump = run.id.value;
  }
  CHECK(must(h.find_run("dump@latest")).id.value == last_dump);
  CHECK(h.find_run("none@latest").error().kind == ErrorKind::not_found);
  CHECK(h.find_run("zzz").error().kind == ErrorKind::not_found);
  CHECK(h.find_run("").error().kind == ErrorKind::not_found);
  JobRow job;
  job.name = "sales";
  job.version = VersionId{1};
  must(f.store->apply(Mutations{mutation::SetJob{job}}));
  CHECK(h.find_run("sales").error().message.find("sales@latest") != std::string::npos);
  CHECK(h.find_run("sale@latest").error().message.find("mean sales@latest?") != std::string::npos);
  const Error several = h.find_run("run1").error();
  CHECK(several.kind == ErrorKind::invalid);
  CHECK(several.message.find(run_row(1).name) != std::string::npos);
  CHECK(several.message.find(run_row(12).name) != std::string::npos);
}

TEST_CASE("tasks and items are found by name, number and key") {
  Filled f(11, 3);
  History& h = *f.history;
  auto resolve = [&](const char* name) { return h.resolve(must(parse_object_name(name))); };
  CHECK(must(resolve("run2x")).task == std::nullopt);
  CHECK(must(resolve("run2x/query")).key() == TaskKey{RunId{2}, TaskIndex{1}, kWhole});
  CHECK(must(resolve("run2x/query:7")).key() == TaskKey{RunId{2}, TaskIndex{1}, ItemIndex{7}});
  CHECK(must(resolve("run2x/query:key=k8#2")).key() ==
        TaskKey{RunId{2}, TaskIndex{1}, ItemIndex{8}});
  CHECK(must(resolve("run2x/query:key=k8#2")).attempt == 2);
  CHECK(must(resolve("run2x/hook:on_failure:0")).key() == TaskKey{RunId{2}, TaskIndex{3}, kWhole});
  CHECK(resolve("run2x/qery").error().message.find("/query") != std::string::npos);
  CHECK(resolve("run2x/query:10").error().message.find("10 items") != std::string::npos);
  CHECK(resolve("run2x/query:key=k10").error().kind == ErrorKind::not_found);
  CHECK(resolve("run2x/list:0").error().message.find("no items") != std::string::npos);
  CHECK(must(h.item(RunId{2}, TaskIndex{1}, 6))->payload == "{\"n\":6}");
  CHECK_FALSE(must(h.item(RunId{2}, TaskIndex{1}, 10)));
  CHECK_FALSE(must(h.item(RunId{2}, TaskIndex{0}, 0)));
  Selector s;
  s.names = {must(parse_object_name("run2x/query:0")), must(parse_object_name("run3x/list"))};
  for (const auto& view : all_pages(h.tasks(s), 10)) {
    CHECK((view.row.key == TaskKey{RunId{2}, TaskIndex{1}, ItemIndex{0}} ||
           view.row.key == TaskKey{RunId{3}, TaskIndex{0}, kWhole}));
  }
  s.names = {must(parse_object_name("nowhere"))};
  CHECK(h.tasks(s).next(1).error().kind == ErrorKind::not_found);
}

TEST_CASE("items of a paired task are those of the task it is paired with") {
  Folder folder;
  auto store = open_store(folder.store());
  JobVersionRow version = version_row();
  version.body =
      R"({"tasks":[{"id":"a","map":{"items":[1]}},{"id":"b","depends_on":[{"task":"a","each":true}]}]})";
  must(store->apply(Mutations{mutation::InsertVersion{version}, mutation::InsertRun{run_row(1)},
                              mutation::InsertItems{chunk_row(1, 0, 0, 3)},
                              mutation::SetMapped{mapped_row(1, 1, 3, 0)}}));
  auto history = must(History::open(folder.store(), {{}, true}));
  CHECK(must(history->item(RunId{1}, TaskIndex{1}, 2))->key == "k2");
  CHECK(must(history->item_by_key(RunId{1}, TaskIndex{1}, "k1")) == 1);
}

TEST_CASE("outputs come in index order, events newest first") {
  Folder folder;
  auto store = open_store(folder.store());
  Mutations batch = {mutation::InsertRun{run_row(1)}};
  for (std::int64_t item : {5, 1, 3, -1}) {
    batch.emplace_back(mutation::SetOutput{
        {{RunId{1}, TaskIndex{1}, ItemIndex{item}}, 1, "json", std::to_string(item), "", 1}});
  }
  for (int i = 1; i <= 5; ++i) {
    EventRow event{at(i),
                   "ana",
                   "pause",
                   i % 2 == 0 ? "sales" : "dump",
                   RunId{i == 3 ? 1 : 0},
                   std::nullopt,
                   std::to_string(i)};
    if (i == 3) event.task = TaskKey{RunId{1}, TaskIndex{1}, ItemIndex{5}};
    batch.emplace_back(mutation::AddEvent{event});
  }
  must(store->apply(batch));
  auto history = must(History::open(folder.store(), {{}, true}));
  std::string values;
  must(history->each_output(RunId{1}, TaskIndex{1}, [&](const OutputRow& row) {
    values += row.value;
    return row.value != "3";
  }));
  CHECK(values == "13");
  CHECK(must(history->output({RunId{1}, TaskIndex{1}, kWhole}))->value == "-1");
  CHECK_FALSE(must(history->output({RunId{1}, TaskIndex{2}, kWhole})));
  std::string order;
  for (const auto& event : all_pages(history->events({}), 2)) order += event.text;
  CHECK(order == "54321");
  Selector s;
  s.job = "dump";
  s.since = at(2);
  const auto events = all_pages(history->events(s), 2);
  REQUIRE(events.size() == 2);
  CHECK(events[1].task->item.value == 5);
}

TEST_CASE("jobs, versions, status and usual durations") {
  Filled f(12);
  JobRow job;
  job.name = "sales";
  job.version = VersionId{1};
  DroppedRow missed{"sales", DropReason::catchup, at(10), at(40), 4, at(50)};
  DroppedRow more = missed;
  more.first = more.last = more.at = at(60);
  more.count = 1;
  DroppedRow other = more;
  other.reason = DropReason::skip;
  must(f.store->apply(Mutations{
      mutation::SetJob{job}, mutation::PauseJob{"sales", true, "", "ana", at(1)},
      mutation::DropFires{missed}, mutation::DropFires{more}, mutation::DropFires{other}}));
  const auto jobs = must(f.history->jobs());
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].labels.at("team") == "data");
  CHECK(jobs[0].last_run->job == "sales");
  CHECK(must(f.history->job("sales"))->row.paused);
  CHECK(jobs[0].dropped == 6);
  const auto dropped = must(f.history->dropped("sales", 10));
  REQUIRE(dropped.size() == 2);  // the same reason goes into one row
  CHECK(dropped[0].reason == DropReason::skip);
  CHECK(dropped[1].count == 5);
  CHECK(dropped[1].first == at(10));
  CHECK(dropped[1].last == at(60));
  CHECK(must(f.history->dropped("dump", 10)).empty());
  CHECK_FALSE(must(f.history->job("none")));
  CHECK(must(f.history->version(VersionId{2}))->job == "dump");
  CHECK(must(f.history->versions("sales", 10)).size() == 1);
  const auto status = must(f.history->status());
  std::int64_t runs = 0;
  for (const auto& [state, count] : status.runs) runs += count;
  CHECK(runs == 30);
  CHECK(status.unresolved ==
        static_cast<std::int64_t>(all_pages(f.history->failed({}), 1'000).size()));
  CHECK(status.jobs == 1);
  CHECK(status.paused_jobs == 1);
  CHECK(status.store_bytes > 0);
  CHECK(status.wal_bytes > 0);
  CHECK(status.epoch.value == 1);
  const RunRow& last = f.model.runs.back();
  auto usual = must(f.history->usual_duration(last, TaskIndex{0}));
  if (usual) CHECK(usual->count() >= 10);
  CHECK_FALSE(must(f.history->usual_duration(f.model.runs.front(), TaskIndex{0})));
}

TEST_CASE("a page is read in a transaction that ends before the caller has it") {
  Filled f(13);
  auto pager = f.history->runs({});
  must(pager.next(5));
  must(f.store->apply(Mutations{mutation::InsertRun{run_row(99)}}));
  must(f.store->checkpoint());
  CHECK(f.store->wal_pages() == 0);
  CHECK(must(pager.next(100)).size() == 25);
}

}  // namespace pawl::test
