// Hooks: what runs when all tasks of a run are final and before the run is. They have rows and
// attempts like tasks, and nothing that they do changes what the tasks came to.

#include <algorithm>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

bool follows(HookKind kind, RunState outcome) {
  switch (kind) {
    case HookKind::on_success: return outcome == RunState::succeeded;
    case HookKind::on_failure: return outcome == RunState::failed;
    case HookKind::on_exit: return true;
  }
  return false;
}

}  // namespace

bool Engine::State::is_due(const Run& run, TaskIndex hook) {
  const JobSpec& job = run.version->job;
  return run.runs_hooks() &&
         follows(job.hooks[hook.value - job.tasks.size()].kind, *run.row.outcome);
}

bool Engine::State::has_hooks_for(const Run& run, RunState outcome) {
  const auto& hooks = run.version->job.hooks;
  return std::any_of(hooks.begin(), hooks.end(),
                     [&](const HookSpec& hook) { return follows(hook.kind, outcome); });
}

void Engine::State::count_hooks(Run& run) {
  run.open_hooks = 0;
  for (TaskIndex hook : hooks_of(run)) {
    if (is_due(run, hook) && !is_final(run.node(hook).work.state)) ++run.open_hooks;
  }
}

/// All tasks are final: the hooks' turn. What the tasks came to is kept from here on.
void Engine::State::begin_hooks(Run& run, RunState outcome, Reason reason) {
  if (run.row.state == RunState::paused) {
    // It was told to end, and its hooks are a part of that.
    move_run(run, RunEvent::start, run.stopping);
  }
  run.row.outcome = outcome;
  run.row.outcome_reason = reason;
  run.row.reason = Reason::hooks;
  write_run(run);
  count_hooks(run);
  look_at_hooks(run);
}

void Engine::State::look_at_hooks(Run& run) {
  for (TaskIndex hook : hooks_of(run)) look_at(run.row.id, hook);
}

/// Looks at one hook: one that waits may start, a final one may have been the last.
void Engine::State::evaluate_hook(Run& run, TaskIndex hook) {
  const Node& node = run.node(hook);
  if (is_final(node.work.state)) {
    finish_run_if_done(run);
    return;
  }
  if (node.work.state != TaskState::waiting || node.is_preparing || !is_due(run, hook)) return;
  if (run.is_dormant || run.row.state == RunState::queued || is_final(run.row.state)) return;
  // Paused before its turn had come.
  if (run.row.state == RunState::paused && !run.is_admitted) return;
  if (run.spec(hook).when.empty()) {
    queue_node(run, hook);
  } else {
    prepare(run, hook);
  }
}

void Engine::State::cancel_hooks(Run& run, bool force) {
  for (TaskIndex hook : hooks_of(run)) {
    if (is_due(run, hook) && !is_final(run.node(hook).work.state))
      cancel_node(run, hook, Reason::cancelled, force);
  }
}

/// The run goes on, and ends another time: another piece of work for each hook.
void Engine::State::reset_hooks(Run& run) {
  for (TaskIndex hook : hooks_of(run)) {
    Piece& work = run.node(hook).work;
    if (!is_final(work.state)) continue;
    if (work.state != TaskState::succeeded) ++work.work;
    change(mutation::ClearOutputs{run.row.id, hook});
    move(run, {run.row.id, hook, kWhole}, work, TaskEvent::reset, {});
  }
}

/// The run ends. Hooks that an earlier end of it had run wait again, for ends that this one is not.
void Engine::State::settle_hooks(Run& run) {
  for (TaskIndex hook : hooks_of(run)) {
    Piece& work = run.node(hook).work;
    if (work.has_row && work.state == TaskState::waiting)
      move(run, {run.row.id, hook, kWhole}, work, TaskEvent::skip, {Reason::rule, 0, {}, {}});
  }
}

std::vector<TaskIndex> Engine::State::hooks_of(const Run& run) {
  std::vector<TaskIndex> hooks;
  const JobSpec& job = run.version->job;
  for (std::size_t i = job.tasks.size(); i < job.node_count(); ++i)
    hooks.push_back(TaskIndex{static_cast<std::uint32_t>(i)});
  return hooks;
}

}  // namespace pawl
