// Resume: the same run goes on. What failed runs again, and what was decided because of it is
// decided anew; what succeeded stays.

#include <algorithm>
#include <set>
#include <utility>

#include "scheduler/core/engine_commands.h"

namespace pawl {

void Engine::State::on(const input::Resume& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  const Snapshots loaded = index_of(in.loaded);
  for (const auto& [id, targets] : by_run(in.targets)) {
    const RunSnapshot* snapshot = adopt(id, loaded);
    Run* run = find(id);
    if (run == nullptr) {
      for (const Target& t : targets) reply.results.push_back({t, false, kGone});
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

/// What an ended run's row forgets when it goes on.
void Engine::State::open_row(Run& run) {
  run.stopping = Reason::none;
  run.is_stopped = false;
  run.row.cancel_requested = false;
  run.row.dismissed = false;
  run.row.ended_at.reset();
  ++run.row.resumes;
}

/// An ended run is open again. `hooks_only`: what its tasks came to stays, and no more than hooks
/// runs again.
void Engine::State::reopen(Run& run, bool hooks_only) {
  const bool was_dismissed = run.row.dismissed;
  open_row(run);
  if (hooks_only) {
    run.row.dismissed = was_dismissed;
    run.row.outcome = run.row.state;
    run.row.outcome_reason = run.row.reason;
  } else {
    reset_hooks(run);
  }
  move_run(run, RunEvent::reopen, standing_reason(run));
  call_opened(run);
  count_hooks(run);
}

void Engine::State::apply_resume(Run& run, const ResumeParts& parts, const RunSnapshot* snapshot) {
  wake(run);
  const bool hooks_only =
      !parts.empty() && std::all_of(parts.begin(), parts.end(),
                                    [&](const ResumePart& part) { return run.is_hook(part.task); });
  if (is_final(run.row.state)) reopen(run, hooks_only);
  for (const ResumePart& part : parts) {
    const bool opens =
        part.kind != ResumePart::Kind::stale && is_final(run.node(part.task).work.state);
    switch (part.kind) {
      case ResumePart::Kind::failed_items:
      case ResumePart::Kind::following_items: reset_items(run, part, snapshot); break;
      case ResumePart::Kind::all: reset_node(run, part.task, snapshot); break;
      case ResumePart::Kind::stale: break;
    }
    if (opens) call_back_followers(run, part.task);
  }
  for (RunId called : awaited_by(run)) go_on(at(called), "");
  if (run.row.state == RunState::paused) move_run(run, RunEvent::unpause, Reason::none);
  if (run.row.state == RunState::running) {
    look_at_all(run);
    finish_run_if_done(run);
  } else if (run.is_admitted) {
    start_run(run);
  } else {
    admit(run);
  }
}

/// What waits for a slot because of what is something else now is decided anew.
void Engine::State::call_back_followers(Run& run, TaskIndex task) {
  for (TaskIndex follower : run.version->graph.paired(task)) call_back_waiting(run, follower);
  for (TaskIndex follower : run.version->graph.followers(task)) {
    Node& node = run.node(follower);
    if (node.work.state == TaskState::waiting) {
      stop_preparing(run, follower);
    } else if (node.work.state == TaskState::queued && node.work.counted == 0) {
      const TaskKey key{run.row.id, follower, kWhole};
      move(run, key, node.work, TaskEvent::cancel, {Reason::cancelled, 0, {}, {}});
      move(run, key, node.work, TaskEvent::reset, {});
    } else {
      continue;
    }
    look_at(run.row.id, follower);
  }
}

void Engine::State::call_back_waiting(Run& run, TaskIndex task) {
  if (run.node(task).work.state != TaskState::waiting) return;
  stop_preparing(run, task);
  look_at(run.row.id, task);
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
    mapped.queued = 0;
    mapped.blank = mapped.released = mapped.rest = 0;
    if (mapped.is_paired) {
      std::fill(mapped.states.begin(), mapped.states.end(),
                static_cast<std::uint8_t>(TaskState::waiting));
    } else {
      change(mutation::DeleteItems{run.row.id, task});
    }
    begin_repeat(run, task, Repeat::all, mapped_part(snapshot, task));
  }
  move(run, key, node.work, TaskEvent::reset, {});
}

/// The items that failed, were held or cancelled again, and those that never started. An ended
/// whole waits first, as any task does: for what runs again before it, and for its rule.
void Engine::State::reset_items(Run& run, const ResumePart& part, const RunSnapshot* snapshot) {
  Node& node = run.node(part.task);
  Mapped& mapped = *node.mapped;
  if (is_final(node.work.state)) {
    const std::int32_t work = node.work.work;
    move(run, {run.row.id, part.task, kWhole}, node.work, TaskEvent::reset, {});
    node.work.work = work;
    look_at(run.row.id, part.task);
  }
  if (mapped.is_paired) {
    const bool may_open = part.kind == ResumePart::Kind::failed_items ||
                          mapped.rest_state == TaskState::upstream_failed ||
                          mapped.rest_state == TaskState::skipped;
    if (part.items.empty() && may_open) unsettle_rest(run, part.task);
    if (node.work.state == TaskState::running) {
      grow_paired(run, part.task);
      start_sweep(run, part.task, 0);
    }
  } else if (part.items.empty() && mapped.rest_state != TaskState::queued) {
    const std::int64_t rest = mapped.fresh();
    for (Counts* counts : {&mapped.counts, &run.row.counts}) {
      (*counts)[static_cast<std::size_t>(mapped.rest_state)] -= rest;
      (*counts)[static_cast<std::size_t>(TaskState::queued)] += rest;
    }
    mapped.rest_state = TaskState::queued;
    mapped.rest_reason = Reason::none;
    mapped.read_error.clear();
  }
  const MappedSnapshot* loaded = mapped_part(snapshot, part.task);
  const Repeat repeat =
      part.kind == ResumePart::Kind::following_items ? Repeat::following : Repeat::failed;
  if (part.items.empty()) {
    begin_repeat(run, part.task, repeat, loaded);
  } else {
    const std::set<std::int64_t> wanted(part.items.begin(), part.items.end());
    for (std::size_t i = 0; loaded != nullptr && i < loaded->final_items.size(); ++i) {
      const TaskRow& row = loaded->final_items[i];
      // One that is named runs again whatever came of it.
      const bool is_meant = repeat == Repeat::failed || repeats(repeat, row);
      if (is_meant && wanted.contains(row.key.item.value)) repeat_failed(run, row);
    }
  }
  counts_changed(run);
  mapped_changed(run, part.task);
}

/// An item is something else now: what was decided because of it is decided anew.
void Engine::State::repeat_pairs(Run& run, TaskIndex task, std::int64_t item,
                                 const RunSnapshot* snapshot) {
  std::vector<TaskIndex> todo{task};
  while (!todo.empty()) {
    const TaskIndex at = todo.back();
    todo.pop_back();
    for (TaskIndex follower : run.version->graph.paired(at)) {
      const TaskRow* row = final_item(snapshot, follower, item);
      const Mapped* mapped = run.node(follower).mapped.get();
      if (row == nullptr || mapped == nullptr || !follows_upstream(*row) ||
          !is_current(*mapped, *row))
        continue;
      reset_items(run, {follower, ResumePart::Kind::following_items, {item}}, snapshot);
      todo.push_back(follower);
    }
  }
}

}  // namespace pawl
