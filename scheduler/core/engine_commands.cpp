// What people ask for: cancel, resume, mark, dismiss. A command that names what it cannot change
// says why and what would work; it never does nothing silently.

#include <algorithm>
#include <set>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

// A full repeat of a mapped task puts each of its items into memory; beyond this a new run does
// the same in bounded memory.
constexpr std::int64_t kRepeatItemsMax = 2'000'000;

bool has_failed(TaskState s) {
  return s == TaskState::failed || s == TaskState::held || s == TaskState::cancelled;
}

/// Decided by what came before it, so decided anew when that changes.
bool follows_upstream(const Piece& work) {
  return work.state == TaskState::upstream_failed ||
         (work.state == TaskState::skipped && work.reason == Reason::rule);
}

const MappedSnapshot* mapped_part(const RunSnapshot* snapshot, TaskIndex task) {
  if (snapshot == nullptr) return nullptr;
  for (const MappedSnapshot& m : snapshot->mapped) {
    if (m.row.task == task) return &m;
  }
  return nullptr;
}

const TaskRow* final_item(const RunSnapshot* snapshot, TaskIndex task, std::int64_t item) {
  const MappedSnapshot* part = mapped_part(snapshot, task);
  if (part == nullptr) return nullptr;
  auto it = std::lower_bound(part->final_items.begin(), part->final_items.end(), item,
                             [](const TaskRow& row, std::int64_t i) { return row.key.item.value < i; });
  return it != part->final_items.end() && it->key.item.value == item ? &*it : nullptr;
}

std::vector<RunId> runs_of(const std::vector<Target>& targets) {
  std::vector<RunId> ids;
  for (const Target& t : targets) {
    if (std::find(ids.begin(), ids.end(), t.run) == ids.end()) ids.push_back(t.run);
  }
  return ids;
}

}  // namespace

/// The run in memory, from its snapshot if need be; gives the snapshot, for its final items.
const RunSnapshot* Engine::State::adopt(RunId id, const std::vector<RunSnapshot>& loaded) {
  const RunSnapshot* snapshot = nullptr;
  for (const RunSnapshot& s : loaded) {
    if (s.run.id == id) snapshot = &s;
  }
  if (find(id) == nullptr && snapshot != nullptr && versions_.contains(snapshot->run.version)) restore(*snapshot);
  return snapshot;
}

/// Runs that were loaded for a command and stayed ended leave memory with its step.
void Engine::State::forget_unopened(const std::vector<RunSnapshot>& loaded) {
  for (const RunSnapshot& s : loaded) {
    const Run* run = find(s.run.id);
    if (run == nullptr || !is_final(run->row.state) || !is_final(s.run.state)) continue;
    if (run->row.ended_at != s.run.ended_at) continue;  // it was opened and ended again
    runs_.erase(s.run.id);
  }
}

void Engine::State::on(const input::Cancel& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (const Target& target : in.targets) {
    reply.results.push_back(cancel_one(target, in.force));
    if (reply.results.back().ok) record(in.actor, in.force ? "cancel --force" : "cancel", target, "");
  }
  act(std::move(reply));
}

CommandResult Engine::State::cancel_one(const Target& target, bool force) {
  Run* run = find(target.run);
  if (run == nullptr || is_final(run->row.state)) return {target, false, "the run has ended"};
  if (!target.task) {
    if (!run->row.cancel_requested) {
      run->row.cancel_requested = true;
      change(mutation::UpdateRun{run->row.state, run->row});
    }
    cancel_rest(*run, Reason::cancelled, force);
    return {target, true, ""};
  }
  Node& node = run->node(*target.task);
  if (!target.item || *target.item == kWhole) {
    if (is_final(node.work.state)) return {target, false, "is " + std::string(to_string(node.work.state)) + " already"};
    cancel_node(*run, *target.task, Reason::cancelled, force);
    return {target, true, ""};
  }
  const TaskKey key{target.run, *target.task, *target.item};
  Piece* work = find_work(*run, key);
  if (work == nullptr || is_final(work->state)) {
    const bool is_fresh = node.mapped && key.item.value >= node.mapped->next_fresh && key.item.value < node.mapped->items;
    return {target, false, is_fresh ? "has not started; cancel the task, or pause the run" : "has ended already"};
  }
  if (work->state == TaskState::running) {
    stop_attempt(work->live, Reason::cancelled, force);
  } else {
    std::erase(node.mapped->ready, key.item.value);
    move(*run, key, *work, TaskEvent::cancel, {Reason::cancelled, 0, {}, {}});
    item_ended(*run, *target.task);
  }
  return {target, true, ""};
}

// Resume -----------------------------------------------------------------------------------------

Result<Engine::State::ResumeParts> Engine::State::select_resume(const Run& run, const std::vector<Target>& targets,
                                                                const input::Resume& in,
                                                                const RunSnapshot* snapshot) const {
  auto refuse = [](std::string why) { return Error{ErrorKind::refused, std::move(why)}; };
  std::vector<std::optional<ResumePart>> parts(run.nodes.size());
  std::vector<TaskIndex> seeds;
  auto add = [&](TaskIndex task, ResumePart::Kind kind, std::optional<std::int64_t> item) {
    std::optional<ResumePart>& part = parts[task.value];
    if (!part) {
      part = ResumePart{task, kind, {}};
      seeds.push_back(task);
    } else if (kind == ResumePart::Kind::all) {
      part->kind = kind;
    }
    if (item) part->items.push_back(*item);
  };

  for (const Target& target : targets) {
    if (!target.task) {
      for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
        const Node& node = run.nodes[i];
        const bool has_failed_items = node.mapped && !is_final(node.work.state) && node.mapped->failures() > 0;
        if (has_failed(node.work.state) || has_failed_items) {
          add(TaskIndex{i}, node.mapped ? ResumePart::Kind::failed_items : ResumePart::Kind::all, std::nullopt);
        }
      }
      continue;
    }
    const TaskIndex task = *target.task;
    const Node& node = run.node(task);
    const std::string& id = run.spec(task).id;
    if (target.item && *target.item != kWhole) {
      const std::int64_t item = target.item->value;
      const TaskRow* row = final_item(snapshot, task, item);
      const bool is_open = node.mapped && node.mapped->works.contains(item);
      if (row == nullptr || is_open) {
        return refuse(id + ":" + std::to_string(item) + " has not failed: " +
                      (is_open ? "it is open" : "it never started or there is no such item"));
      }
      if (row->state == TaskState::succeeded && !in.from && !in.only) {
        return refuse(id + ":" + std::to_string(item) + " succeeded; `--only " + id + "` runs it again");
      }
      add(task, ResumePart::Kind::failed_items, item);
      continue;
    }
    if (in.from || in.only) {
      if (!is_final(node.work.state)) return refuse(id + " is " + std::string(to_string(node.work.state)) + "; cancel it first");
      add(task, ResumePart::Kind::all, std::nullopt);
    } else if (node.mapped && (has_failed(node.work.state) || node.mapped->failures() > 0)) {
      add(task, ResumePart::Kind::failed_items, std::nullopt);
    } else if (has_failed(node.work.state)) {
      add(task, ResumePart::Kind::all, std::nullopt);
    } else if (node.work.state == TaskState::upstream_failed) {
      return refuse(id + " never ran: what it depends on failed. Resume that, or `mark` it");
    } else {
      return refuse(id + " is " + std::string(to_string(node.work.state)) + ", not failed; `--from " + id +
                    "` runs it again with all that follows it, `--only " + id + "` it alone");
    }
  }
  if (seeds.empty() && run.row.state != RunState::paused && !run.is_dormant) {
    return refuse(is_final(run.row.state) ? "nothing of it failed, was held or cancelled; `pawl rerun` makes a new run"
                                          : "nothing of it has failed so far, and it goes on");
  }

  const std::vector<bool> downstream = run.version->graph.downstream_of(seeds);
  for (std::uint32_t i = 0; i < run.nodes.size() && !in.only; ++i) {
    if (!downstream[i] || parts[i]) continue;
    const Piece& work = run.nodes[i].work;
    if (!is_final(work.state)) continue;
    if (follows_upstream(work) || in.from || in.downstream) {
      parts[i] = ResumePart{TaskIndex{i}, ResumePart::Kind::all, {}};
    } else if (work.state == TaskState::succeeded) {
      parts[i] = ResumePart{TaskIndex{i}, ResumePart::Kind::stale, {}};
    }
  }
  ResumeParts out;
  for (auto& part : parts) {
    if (!part) continue;
    const Node& node = run.node(part->task);
    if (part->kind == ResumePart::Kind::all && node.mapped && node.mapped->next_fresh > kRepeatItemsMax) {
      return refuse(run.spec(part->task).id + " has " + std::to_string(node.mapped->next_fresh) +
                    " items that ran; to repeat all of them use `pawl rerun`");
    }
    out.push_back(std::move(*part));
  }
  return out;
}

void Engine::State::on(const input::Resume& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (RunId id : runs_of(in.targets)) {
    const RunSnapshot* snapshot = adopt(id, in.loaded);
    Run* run = find(id);
    std::vector<Target> targets;
    for (const Target& t : in.targets) {
      if (t.run == id) targets.push_back(t);
    }
    if (run == nullptr) {
      for (const Target& t : targets) reply.results.push_back({t, false, "its definition cannot be read"});
      continue;
    }
    auto parts = select_resume(*run, targets, in, snapshot);
    if (!parts) {
      for (const Target& t : targets) reply.results.push_back({t, false, parts.error().message});
      continue;
    }
    apply_resume(*run, *parts, snapshot);
    for (const Target& t : targets) {
      record(in.actor, "resume", t, "");
      reply.results.push_back({t, true, ""});
    }
  }
  forget_unopened(in.loaded);
  act(std::move(reply));
}

void Engine::State::reopen(Run& run) {
  run.stopping = Reason::none;
  run.row.cancel_requested = false;
  if (!is_final(run.row.state)) return;
  run.row.ended_at.reset();
  ++run.row.resumes;
  move_run(run, RunEvent::reopen, Reason::none);
}

void Engine::State::apply_resume(Run& run, const ResumeParts& parts, const RunSnapshot* snapshot) {
  wake(run);
  reopen(run);
  for (const ResumePart& part : parts) {
    switch (part.kind) {
      case ResumePart::Kind::failed_items: reset_items(run, part, snapshot); break;
      case ResumePart::Kind::all: reset_node(run, part.task, snapshot); break;
      case ResumePart::Kind::stale: break;
    }
  }
  if (run.row.state == RunState::paused) move_run(run, RunEvent::unpause, Reason::none);
  if (run.row.state == RunState::running) {
    for (const ResumePart& part : parts) {
      if (part.kind == ResumePart::Kind::stale) continue;
      look_at(run.row.id, part.task);
      make_ready(run, part.task);
    }
  } else if (run.is_admitted) {
    start_run(run);
  } else {
    admit(run);
  }
}

/// All of a task again, whatever came of it. Items are read anew: what they come from may have
/// changed with what runs before them.
void Engine::State::reset_node(Run& run, TaskIndex task, const RunSnapshot* snapshot) {
  Node& node = run.node(task);
  const TaskKey key{run.row.id, task, kWhole};
  change(mutation::ClearOutputs{run.row.id, task});
  if (node.mapped) {
    Mapped& mapped = *node.mapped;
    for (std::size_t s = 0; s < kTaskStateCount; ++s) run.row.counts[s] -= mapped.counts[s];
    counts_changed(run);
    mapped.counts = {};
    mapped.items = 0;
    mapped.complete = false;
    mapped.low_water = 0;
    mapped.rest_state = TaskState::queued;
    mapped.rest_reason = Reason::none;
    mapped.source.clear();
    mapped.read_error.clear();
    mapped.retries = 0;
    mapped.ready.clear();
    const MappedSnapshot* part = mapped_part(snapshot, task);
    for (std::int64_t i = 0; part != nullptr && i < static_cast<std::int64_t>(part->final_items.size()); ++i) {
      const TaskRow& row = part->final_items[static_cast<std::size_t>(i)];
      const std::int64_t item = row.key.item.value;
      if (item >= mapped.next_fresh || mapped.works.contains(item)) continue;
      Piece work = work_of(row);
      const TaskState from = work.state;
      if (from == TaskState::succeeded) ++work.work;
      work.state = TaskState::queued;
      work.reason = Reason::none;
      work.detail = work.counted = work.interruptions = 0;
      work.started_at = work.ended_at = work.interrupted_since = WallTime{};
      work.queued_at = now_.wall;
      ++work.stamp;
      mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(TaskState::queued);
      write(run, row.key, work, from, AttemptId{}, {});
      mapped.works.emplace(item, work);
    }
    change(mutation::DeleteItems{run.row.id, task});
    changed_mapped_.push_back({run.row.id, task});
  }
  node.is_ready = false;
  move(run, key, node.work, TaskEvent::reset, {});
}

/// The items that failed, were held or cancelled again, and those that never started.
void Engine::State::reset_items(Run& run, const ResumePart& part, const RunSnapshot* snapshot) {
  Node& node = run.node(part.task);
  Mapped& mapped = *node.mapped;
  const TaskKey whole{run.row.id, part.task, kWhole};
  if (!mapped.read_error.empty() || (mapped.items == 0 && mapped.next_fresh == 0)) {
    reset_node(run, part.task, snapshot);
    return;
  }
  if (is_final(node.work.state)) {
    const std::int32_t work = node.work.work;
    move(run, whole, node.work, TaskEvent::reset, {});
    node.work.work = work;
    move(run, whole, node.work, TaskEvent::open, {});
  }
  if (part.items.empty() && mapped.rest_state != TaskState::queued) {
    const std::int64_t rest = mapped.fresh();
    for (Counts* counts : {&mapped.counts, &run.row.counts}) {
      (*counts)[static_cast<std::size_t>(mapped.rest_state)] -= rest;
      (*counts)[static_cast<std::size_t>(TaskState::queued)] += rest;
    }
    mapped.rest_state = TaskState::queued;
    mapped.rest_reason = Reason::none;
    if (!mapped.complete) prepare(run, part.task);
  }
  const MappedSnapshot* loaded = mapped_part(snapshot, part.task);
  const std::set<std::int64_t> wanted(part.items.begin(), part.items.end());
  for (std::size_t i = 0; loaded != nullptr && i < loaded->final_items.size(); ++i) {
    const TaskRow& row = loaded->final_items[i];
    const std::int64_t item = row.key.item.value;
    if (!wanted.empty() ? !wanted.contains(item) : !has_failed(row.state)) continue;
    if (mapped.works.contains(item) || item >= mapped.next_fresh) continue;
    Piece& work = mapped.works.emplace(item, work_of(row)).first->second;
    const TaskKey key{run.row.id, part.task, ItemIndex{item}};
    move(run, key, work, TaskEvent::reset, {});
    move(run, key, work, TaskEvent::queue, {});
    mapped.ready.push_back(item);
  }
  counts_changed(run);
  changed_mapped_.push_back({run.row.id, part.task});
}

Result<std::vector<PlanLine>> Engine::State::plan_resume(const input::Resume& in) const {
  // Planned on a copy of the state that only this command sees.
  State scratch(counters_);
  scratch.now_ = now_;
  std::vector<PlanLine> lines;
  for (RunId id : runs_of(in.targets)) {
    const Run* run = find(id);
    const RunSnapshot* snapshot = nullptr;
    for (const RunSnapshot& s : in.loaded) {
      if (s.run.id == id) snapshot = &s;
    }
    if (run == nullptr && snapshot != nullptr) {
      auto version = versions_.find(snapshot->run.version);
      if (version == versions_.end()) return Error{ErrorKind::refused, "its definition cannot be read"};
      scratch.versions_.emplace(version->first, std::make_unique<Version>(version->second->job));
      run = &scratch.restore(*snapshot);
    }
    if (run == nullptr) return Error{ErrorKind::not_found, "there is no such run"};
    std::vector<Target> targets;
    for (const Target& t : in.targets) {
      if (t.run == id) targets.push_back(t);
    }
    auto parts = select_resume(*run, targets, in, snapshot);
    if (!parts) return std::move(parts).error();
    for (const ResumePart& part : *parts) {
      PlanLine line;
      line.run = id;
      line.task = part.task;
      const Node& node = run->node(part.task);
      if (part.kind == ResumePart::Kind::failed_items) {
        const auto& c = node.mapped->counts;
        line.items = !part.items.empty() ? static_cast<std::int64_t>(part.items.size())
                                         : node.mapped->failures() + c[static_cast<std::size_t>(TaskState::cancelled)];
      } else if (node.mapped) {
        line.items = node.mapped->items;
      }
      const bool waits = follows_upstream(node.work);
      line.action = part.kind == ResumePart::Kind::stale ? "stale" : waits ? "wait" : "run";
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

// Mark and dismiss -------------------------------------------------------------------------------

/// What was decided from upstream is decided anew.
void Engine::State::release_followers(Run& run, TaskIndex task) {
  const TaskIndex seed[] = {task};
  const std::vector<bool> downstream = run.version->graph.downstream_of(seed);
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    if (i == task.value || !downstream[i] || !follows_upstream(run.nodes[i].work)) continue;
    move(run, {run.row.id, TaskIndex{i}, kWhole}, run.nodes[i].work, TaskEvent::reset, {});
    look_at(run.row.id, TaskIndex{i});
  }
}

CommandResult Engine::State::mark_one(Run& run, const Target& target, TaskState state, const RunSnapshot* snapshot) {
  if (!target.task) return {target, false, "name a task: a run's state follows from its tasks"};
  const TaskEvent event = state == TaskState::succeeded ? TaskEvent::mark_succeeded
                          : state == TaskState::failed  ? TaskEvent::mark_failed
                                                        : TaskEvent::mark_skipped;
  const TaskIndex task = *target.task;
  Node& node = run.node(task);
  const bool is_item = target.item && *target.item != kWhole;
  const TaskKey key{run.row.id, task, is_item ? *target.item : kWhole};
  Piece* work = find_work(run, key);
  if (is_item && work == nullptr) {
    const TaskRow* row = final_item(snapshot, task, key.item.value);
    if (row == nullptr) return {target, false, "has not started; mark the task, or cancel it first"};
    work = &node.mapped->works.emplace(key.item.value, work_of(*row)).first->second;
  }
  if (work->state == state) {
    if (is_item && is_final(state)) node.mapped->works.erase(key.item.value);
    return {target, true, "is " + std::string(to_string(state)) + " already"};
  }
  if (!next(work->state, event)) return {target, false, "is running; cancel it first"};
  if (is_item) std::erase(node.mapped->ready, key.item.value);
  if (!is_item && node.is_preparing) {
    node.is_preparing = false;
    ++node.prepare_stamp;
    act(effect::StopReading{run.row.id, task});
  }
  reopen(run);
  move(run, key, *work, event, {Reason::marked, 0, {}, {}});
  if (is_item && is_final(node.work.state)) {
    // The whole is judged again with what its items are now.
    const std::int64_t bad = node.mapped->failures() + node.mapped->counts[static_cast<std::size_t>(TaskState::cancelled)];
    const TaskSpec& spec = run.spec(task);
    const bool is_good = bad <= (spec.map ? spec.map->tolerated_failures.of(node.mapped->items) : 0);
    const TaskEvent whole = is_good ? TaskEvent::mark_succeeded : TaskEvent::mark_failed;
    if (next(node.work.state, whole) && *next(node.work.state, whole) != node.work.state) {
      move(run, {run.row.id, task, kWhole}, node.work, whole, {Reason::marked, 0, {}, {}});
    }
  } else if (is_item) {
    item_ended(run, task);
  }
  release_followers(run, task);
  if (run.row.state == RunState::queued && !run.is_admitted) admit(run);
  finish_run_if_done(run);
  return {target, true, ""};
}

void Engine::State::on(const input::Mark& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (const Target& target : in.targets) {
    const RunSnapshot* snapshot = adopt(target.run, in.loaded);
    Run* run = find(target.run);
    if (run == nullptr) {
      reply.results.push_back({target, false, "its definition cannot be read"});
      continue;
    }
    reply.results.push_back(mark_one(*run, target, in.state, snapshot));
    if (reply.results.back().ok) record(in.actor, "mark " + std::string(to_string(in.state)), target, "");
  }
  forget_unopened(in.loaded);
  act(std::move(reply));
}

CommandResult Engine::State::dismiss_one(Run& run, const Target& target, const RunSnapshot* snapshot) {
  std::int64_t hidden = 0;
  auto dismiss = [&](TaskRow row) {
    if ((row.state != TaskState::failed && row.state != TaskState::held) || row.dismissed != 0) return;
    row.dismissed = 1;
    const TaskState state = row.state;
    change(mutation::UpdateTask{state, AttemptId{}, std::move(row)});
    ++hidden;
  };
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    if (target.task && target.task->value != i) continue;
    Node& node = run.nodes[i];
    const TaskKey key{run.row.id, TaskIndex{i}, kWhole};
    const bool is_item = target.item && *target.item != kWhole;
    if (const MappedSnapshot* part = mapped_part(snapshot, TaskIndex{i})) {
      for (const TaskRow& row : part->final_items) {
        if (is_item && row.key.item != *target.item) continue;
        if (!node.mapped->works.contains(row.key.item.value)) dismiss(row);
      }
    }
    if (is_item || !node.work.has_row) continue;
    if (!node.work.is_dismissed) {
      TaskRow row = row_of(key, node.work);
      if (snapshot != nullptr) {
        for (const TaskRow& known : snapshot->tasks) {
          if (known.key == key) row.error = known.error;
        }
      }
      dismiss(std::move(row));
      node.work.is_dismissed = node.work.state == TaskState::failed || node.work.state == TaskState::held;
    }
  }
  if (hidden == 0) return {target, false, "has nothing failed or held that is not dismissed already"};
  return {target, true, std::to_string(hidden) + " dismissed"};
}

void Engine::State::on(const input::Dismiss& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (const Target& target : in.targets) {
    const RunSnapshot* snapshot = adopt(target.run, in.loaded);
    Run* run = find(target.run);
    if (run == nullptr) {
      reply.results.push_back({target, false, "its definition cannot be read"});
      continue;
    }
    reply.results.push_back(dismiss_one(*run, target, snapshot));
    if (reply.results.back().ok) record(in.actor, "dismiss", target, in.note);
  }
  forget_unopened(in.loaded);
  act(std::move(reply));
}

}  // namespace pawl
