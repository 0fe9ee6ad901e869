// What people ask for: cancel, mark, dismiss. A command that names what it cannot change says why
// and what would work; it never does nothing silently.

#include "scheduler/core/engine_commands.h"

#include <algorithm>
#include <span>

namespace pawl {

Engine::State::Snapshots Engine::State::index_of(const std::vector<RunSnapshot>& loaded) {
  Snapshots by_id;
  for (const RunSnapshot& s : loaded) by_id.insert_or_assign(s.run.id, &s);
  return by_id;
}

/// The run in memory, from its snapshot if need be; gives the snapshot, for its final items.
const RunSnapshot* Engine::State::adopt(RunId id, const Snapshots& loaded) {
  const auto found = loaded.find(id);
  const RunSnapshot* snapshot = found == loaded.end() ? nullptr : found->second;
  const bool can_restore = snapshot != nullptr && is_final(snapshot->run.state) &&
                           versions_.contains(snapshot->run.version);
  const auto left = left_.find(id);
  const bool is_old = can_restore && left != left_.end() && snapshot->run.resumes < left->second;
  Run* run = find(id);
  if (run == nullptr && can_restore && !is_old) {
    restore(*snapshot);
  } else if (run != nullptr && snapshot != nullptr) {
    learn_states(*run, *snapshot);
  }
  return snapshot;
}

/// For a command that goes over its targets one by one: the items of a run are learned once.
const RunSnapshot* Engine::State::adopt_once(RunId id, const Snapshots& loaded,
                                             Snapshots& adopted) {
  const auto [known, is_first] = adopted.try_emplace(id);
  if (is_first) known->second = adopt(id, loaded);
  return known->second;
}

/// What items came to that nobody asked for since a restart; a command may open what is paired with
/// them. As long as that is unknown here, they did not change.
void Engine::State::learn_states(Run& run, const RunSnapshot& snapshot) {
  for (const MappedSnapshot& part : snapshot.mapped) {
    const TaskIndex task = part.row.task;
    if (task.value >= run.nodes.size() || run.version->graph.paired(task).empty()) continue;
    Mapped* mapped = run.node(task).mapped.get();
    if (mapped == nullptr || part.states.size() > mapped->states.size()) continue;
    const std::size_t first = static_cast<std::size_t>(part.row.next_fresh) - part.states.size();
    for (std::size_t i = 0; i < part.states.size() && first + i < mapped->states.size(); ++i) {
      if (mapped->states[first + i] == kFinalUnknown &&
          is_final(static_cast<TaskState>(part.states[i])))
        mapped->states[first + i] = part.states[i];
    }
  }
}

/// Runs that were loaded for a command and stayed ended leave memory with its step. Of one that was
/// changed all the same an older snapshot may be on its way: it stays until that is durable.
void Engine::State::forget_unopened(const std::vector<RunSnapshot>& loaded,
                                    const std::unordered_set<RunId>& changed) {
  for (const RunSnapshot& s : loaded) {
    const Run* run = find(s.run.id);
    if (run == nullptr || !is_final(run->row.state) || !is_final(s.run.state)) continue;
    // Opened and ended again: until that is durable.
    if (run->row.resumes != s.run.resumes) continue;
    if (changed.contains(s.run.id)) {
      act(effect::RunEnded{s.run.id});
    } else {
      forget_.push_back(s.run.id);
    }
  }
}

void Engine::State::on(const input::Cancel& in) {
  cancellations_.push_back({in, {}, 0});
  if (cancellations_.size() == 1) cancel_targets();
}

/// As many as the step has room for, and one at least. No answer before the last: what a crash
/// leaves undone was not promised.
void Engine::State::cancel_targets() {
  Cancellation& all = cancellations_.front();
  const input::Cancel& in = all.in;
  do {
    if (all.results.size() == in.targets.size()) break;
    ++looked_at_;
    if (all.results.size() == all.awake) {
      const std::size_t count = std::min(kWokenTogether, in.targets.size() - all.awake);
      wake_for_command(std::span(in.targets).subspan(all.awake, count));
      all.awake += count;
    }
    const Target& target = in.targets[all.results.size()];
    all.results.push_back(cancel_one(target, in.force));
    if (all.results.back().ok) record(in.actor, in.force ? "cancel --force" : "cancel", target, "");
  } while (!is_half_full());
  if (all.results.size() < in.targets.size()) return;
  act(effect::Reply{in.reply, {}, {}, {}, false, std::move(all.results)});
  cancellations_.pop_front();
}

CommandResult Engine::State::cancel_one(const Target& target, bool force) {
  Run* run = find(target.run);
  if (run == nullptr || is_final(run->row.state)) return {target, false, "the run has ended"};
  if (!is_sound(*run, target)) return {target, false, "there is no such task"};
  if (!target.task) {
    cancel_rest(*run, Reason::cancelled, force);
    return {target, true, ""};
  }
  Node& node = run->node(*target.task);
  if (!names_an_item(target)) {
    if (run->is_hook(*target.task) && !is_due(*run, *target.task))
      return {target, false, "is a hook, and its turn has not come"};
    if (is_final(node.work.state))
      return {target, false, "is " + std::string(to_string(node.work.state)) + " already"};
    cancel_node(*run, *target.task, Reason::cancelled, force);
    return {target, true, ""};
  }
  const TaskKey key{target.run, *target.task, *target.item};
  Piece* work = find_work(*run, key);
  if (!node.mapped || key.item.value < 0 || key.item.value >= node.mapped->items)
    return {target, false, "there is no such item"};
  if (work == nullptr) {
    const bool is_fresh =
        node.mapped->rest_state == TaskState::queued &&
        (key.item.value >= node.mapped->next_fresh || node.mapped->is_blank(key.item.value));
    return {target, false,
            is_fresh ? "has not started; cancel the task, or pause the run" : "has ended already"};
  }
  if (work->state == TaskState::running) {
    stop_attempt(work->live, Reason::cancelled, force);
  } else if (waits_for_call(*run, key, *work)) {
    stop_call(*run, key, *work, Reason::cancelled, force);
  } else {
    move(*run, key, *work, TaskEvent::cancel, {Reason::cancelled, 0, {}, {}});
    item_ended(*run, *target.task);
  }
  return {target, true, ""};
}

// Mark and dismiss -------------------------------------------------------------------------------

/// What was decided from upstream is decided anew.
void Engine::State::release_followers(Run& run, TaskIndex task, const RunSnapshot* snapshot) {
  const TaskIndex seed[] = {task};
  const std::vector<bool> downstream = run.version->graph.downstream_of(seed);
  for (TaskIndex follower : run.version->graph.paired(task)) call_back_waiting(run, follower);
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    if (i == task.value || !downstream[i] || !follows_upstream(run.nodes[i].work)) continue;
    if (run.nodes[i].mapped) {
      reset_items(run, {TaskIndex{i}, ResumePart::Kind::following_items, {}}, snapshot);
    } else {
      move(run, {run.row.id, TaskIndex{i}, kWhole}, run.nodes[i].work, TaskEvent::reset, {});
      look_at(run.row.id, TaskIndex{i});
    }
    call_back_followers(run, TaskIndex{i});
  }
}

/// An item of an ended mapped task is something else now: so may the whole be.
void Engine::State::judge_whole_anew(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  const WholeVerdict verdict = judge_whole(run, task);
  if (verdict.event == TaskEvent::cancel) return;
  const TaskEvent event =
      verdict.event == TaskEvent::succeed ? TaskEvent::mark_succeeded : TaskEvent::mark_failed;
  const auto to = next(node.work.state, event);
  if (to && *to != node.work.state) {
    move(run, {run.row.id, task, kWhole}, node.work, event, {Reason::marked, 0, {}, {}});
  }
}

/// After a mark in a run that had ended: it opens when something of it may run now, and is judged
/// anew when nothing may.
void Engine::State::settle_marked(Run& run, RunState before) {
  if (!is_final(before) || !is_final(run.row.state)) return;
  if (run.open_tasks > 0) {
    reopen(run, false);
    admit(run);
    return;
  }
  const RunVerdict verdict = judge_run(run);
  if (next(RunState::running, verdict.event) == run.row.state) return;
  // Nothing of it ran, so its hooks do not.
  open_row(run);
  move_run(run, RunEvent::reopen, Reason::none);
  call_opened(run);
  const RunVerdict anew = judge_run(run);
  end_run(run, *next(RunState::running, anew.event), anew.reason);
}

CommandResult Engine::State::mark_one(Run& run, const Target& target, TaskState state,
                                      const RunSnapshot* snapshot) {
  if (!target.task) return {target, false, "name a task: a run's state follows from its tasks"};
  if (!is_sound(run, target)) return {target, false, "there is no such task"};
  const TaskEvent event = state == TaskState::succeeded ? TaskEvent::mark_succeeded
                          : state == TaskState::failed  ? TaskEvent::mark_failed
                                                        : TaskEvent::mark_skipped;
  const TaskIndex task = *target.task;
  if (run.runs_hooks() && !run.is_hook(task))
    return {target, false, "its run has only hooks to run: ask again when it has ended"};
  Node& node = run.node(task);
  if (run.is_hook(task) && !is_due(run, task) && !is_final(node.work.state))
    return {target, false, "is a hook, and its turn has not come"};
  const bool is_item = names_an_item(target);
  const TaskKey key{run.row.id, task, is_item ? *target.item : kWhole};
  Piece* work = find_work(run, key);
  std::optional<Piece> loaded;
  if (work == nullptr) {
    const bool is_known = node.mapped && key.item.value < node.mapped->items;
    const TaskRow* row = is_known ? final_item(snapshot, task, key.item.value) : nullptr;
    if (row == nullptr) return {target, false, "has not started, or there is no such item"};
    if (!is_current(*node.mapped, *row)) return {target, false, kChanged};
    loaded = work_of(*row);
  }
  const TaskState from = loaded ? loaded->state : work->state;
  if (from == state) return {target, true, "is " + std::string(to_string(state)) + " already"};
  if (!next(from, event))
    return {target, false, "is " + std::string(to_string(from)) + "; cancel it first"};
  if (is_item && key.item.value >= node.mapped->items)
    return {target, false, "waits for its items to be read again"};

  const RunState before = run.row.state;
  const TaskState whole_before = node.work.state;
  if (loaded) work = &node.mapped->works.emplace(key.item.value, *loaded).first->second;
  if (!is_item) stop_preparing(run, task);
  move(run, key, *work, event, {Reason::marked, 0, {}, {}});
  if (is_item) repeat_pairs(run, task, key.item.value, snapshot);
  if (is_item && is_final(node.work.state)) {
    judge_whole_anew(run, task);
  } else if (is_item) {
    item_ended(run, task);
  }
  if (node.work.state != whole_before) {
    call_back_followers(run, task);
    release_followers(run, task, snapshot);
  }
  if (!run.is_hook(task)) settle_marked(run, before);
  return {target, true, ""};
}

void Engine::State::on(const input::Mark& in) {
  const Snapshots loaded = index_of(in.loaded);
  Snapshots adopted;
  std::unordered_set<RunId> marked;
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  wake_for_command(in.targets);
  for (const Target& target : in.targets) {
    const RunSnapshot* snapshot = adopt_once(target.run, loaded, adopted);
    Run* run = find(target.run);
    if (run == nullptr) {
      reply.results.push_back({target, false, kGone});
      continue;
    }
    reply.results.push_back(mark_one(*run, target, in.state, snapshot));
    if (!reply.results.back().ok) continue;
    record(in.actor, "mark " + std::string(to_string(in.state)), target, "");
    marked.insert(target.run);
  }
  forget_unopened(in.loaded, marked);
  act(std::move(reply));
}

namespace {

bool is_unresolved(TaskState state) {
  return state == TaskState::failed || state == TaskState::held;
}

}  // namespace

CommandResult Engine::State::dismiss_one(Run& run, const Target& target,
                                         const RunSnapshot* snapshot,
                                         std::deque<Dismissed>& items) {
  if (!is_sound(run, target)) return {target, false, "there is no such task"};
  std::int64_t hidden = 0;
  if (names_an_item(target)) {
    const std::int64_t item = target.item->value;
    const Mapped* mapped = run.node(*target.task).mapped.get();
    const TaskRow* row = final_item(snapshot, *target.task, item);
    if (mapped != nullptr && row != nullptr && is_current(*mapped, *row) &&
        is_unresolved(row->state) && row->dismissed == 0) {
      items.push_back({run.row.id, *target.task, item, item + 1});
      ++hidden;
    }
  } else {
    const bool is_of_tasks = target.task || !target.itself;
    for (std::uint32_t i = 0; is_of_tasks && i < run.nodes.size(); ++i) {
      const TaskIndex task{i};
      if (target.task && *target.task != task) continue;
      const MappedSnapshot* part = mapped_part(snapshot, task);
      if (part != nullptr && part->to_dismiss > 0) {
        items.push_back({run.row.id, task, 0, part->row.next_fresh});
        hidden += part->to_dismiss;
      }
      hidden += dismiss_whole(run, task);
    }
    if (!target.task) hidden += dismiss_run(run);
  }
  if (hidden == 0)
    return {target, false, "has nothing failed or held that is not dismissed already"};
  return {target, true, std::to_string(hidden) + " dismissed"};
}

/// How many rows that hides: one, or none.
std::int64_t Engine::State::dismiss_whole(Run& run, TaskIndex task) {
  Piece& work = run.node(task).work;
  if (!work.has_row || work.is_dismissed || !is_unresolved(work.state)) return 0;
  TaskRow row;
  fill(row, {run.row.id, task, kWhole}, work);
  if (auto error = run.errors.find(task); error != run.errors.end()) row.error = error->second;
  row.dismissed = 1;
  work.is_dismissed = true;
  change(mutation::UpdateTask{work.state, AttemptId{}, std::move(row)});
  return 1;
}

/// The same of the run itself.
std::int64_t Engine::State::dismiss_run(Run& run) {
  if (!failed_by_itself(run.row) || run.row.dismissed) return 0;
  run.row.dismissed = true;
  write_run(run);
  return 1;
}

void Engine::State::on(const input::Dismiss& in) {
  const Snapshots loaded = index_of(in.loaded);
  Snapshots adopted;
  Dismissal all{{}, {in.reply, {}, {}, {}, false, {}}};
  for (const Target& target : in.targets) {
    const RunSnapshot* snapshot = adopt_once(target.run, loaded, adopted);
    Run* run = find(target.run);
    if (run == nullptr) {
      all.reply.results.push_back({target, false, kGone});
      continue;
    }
    all.reply.results.push_back(dismiss_one(*run, target, snapshot, all.left));
    if (all.reply.results.back().ok) record(in.actor, "dismiss", target, in.note);
  }
  forget_unopened(in.loaded);
  dismissals_.push_back(std::move(all));
}

/// As many as the step has room for. No answer before the last: what a crash leaves undone was not
/// promised.
void Engine::State::dismiss_some() {
  Dismissal& dismissal = dismissals_.front();
  while (!dismissal.left.empty() && !is_half_full()) {
    Dismissed& items = dismissal.left.front();
    const std::int64_t count = std::min<std::int64_t>(
        items.end - items.first, static_cast<std::int64_t>((step_max_ + 1) / 2));
    change(mutation::DismissItems{items.run, items.task, items.first, items.first + count});
    changed_together_ += static_cast<std::size_t>(count);
    items.first += count;
    if (items.first == items.end) dismissal.left.pop_front();
  }
  if (!dismissal.left.empty()) return;
  act(std::move(dismissal.reply));
  dismissals_.pop_front();
}

}  // namespace pawl
