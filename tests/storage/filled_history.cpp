#include "filled_history.h"

#include <utility>

namespace pawl::test {
namespace {

class Writing {
 public:
  Writing(SqliteStore& store, std::uint64_t seed) : store_(store), random_(seed) {
    must(store_.begin_epoch("boot"));
    must(store_.apply(Mutations{mutation::InsertVersion{version_row(1, "sales")},
                                mutation::InsertVersion{version_row(2, "dump")}}));
  }

  ToldHistory run(int runs) {
    for (int n = 0; n < runs; ++n) one_run();
    return std::move(told_);
  }

 private:
  std::uint64_t draw(std::uint64_t below) {
    random_ = random_ * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
    return (random_ >> 33) % below;
  }

  void one_run() {
    const auto id = static_cast<std::int64_t>(told_.runs.size() + 1);
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
    told_.runs.push_back(run);
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
    told_.tasks[whole.key] = whole;
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
      told_.attempts[attempt_] = ending;
      task = written;
    }
    if (tries == 0) {
      constexpr TaskState kDecided[] = {TaskState::skipped, TaskState::upstream_failed,
                                        TaskState::failed};
      task = ended(task, kDecided[draw(3)], Reason::upstream, when);
      task.error = "decided without an attempt";
      must(store_.apply(Mutations{mutation::InsertTask{task}}));
    }
    told_.tasks[key] = task;
    return task.state;
  }

  SqliteStore& store_;
  std::uint64_t random_;
  std::int64_t attempt_ = 0;
  ToldHistory told_;
};

}  // namespace

FilledHistory::FilledHistory(std::uint64_t seed, int runs) {
  store = open_store(folder.store());
  told = Writing(*store, seed).run(runs);
  HistoryOptions beside;
  beside.beside_writer = true;
  history = must(History::open(folder.store(), beside));
}

}  // namespace pawl::test
