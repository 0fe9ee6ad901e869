// Resume: the same run goes on. What failed runs again, and what was decided because of it is
// decided anew; what succeeded stays.

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "scheduler/core/engine_commands.h"

namespace pawl {
namespace {

// A full repeat of a mapped task puts each of its items into memory; beyond this a new run does
// the same in bounded memory.
constexpr std::int64_t kRepeatItemsMax = 2'000'000;

}  // namespace

Result<Engine::State::ResumeParts> Engine::State::select_resume(const Run& run,
                                                                const std::vector<Target>& targets,
                                                                const input::Resume& in,
                                                                const RunSnapshot* snapshot) const {
  auto refuse = [](std::string why) { return Error{ErrorKind::refused, std::move(why)}; };
  std::vector<std::optional<ResumePart>> parts(run.nodes.size());
  std::vector<TaskIndex> seeds;
  auto add = [&](TaskIndex task, ResumePart::Kind kind, std::optional<std::int64_t> item) {
    std::optional<ResumePart>& part = parts[task.value];
    if (!part) {
      part = ResumePart{task, kind, {}};
      if (item) part->items.push_back(*item);
      seeds.push_back(task);
      return;
    }
    if (kind == ResumePart::Kind::all) part->kind = kind;
    // Named as a whole and by an item, it is the whole.
    if (!item) {
      part->items.clear();
    } else if (!part->items.empty()) {
      part->items.push_back(*item);
    }
  };

  // A mapped task of which no item ran is judged and read anew; else its items are what they were.
  auto kind_of = [](const Node& node) {
    const bool has_items = node.mapped && (node.mapped->items > 0 || node.mapped->complete);
    const bool is_unread =
        node.mapped && node.mapped->rest_reason == Reason::items && node.mapped->next_fresh == 0;
    return has_items && !is_unread ? ResumePart::Kind::failed_items : ResumePart::Kind::all;
  };
  if (run.runs_hooks())
    return refuse("its hooks are running: ask again when it has ended, or cancel them");
  for (const Target& target : targets) {
    if (!is_sound(run, target)) return refuse("there is no such task");
    if (!target.task) {
      for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
        const Node& node = run.nodes[i];
        const bool has_failed_items =
            node.mapped && !is_final(node.work.state) && node.mapped->own_failures() > 0;
        if (has_failed(node.work.state) || has_failed_items)
          add(TaskIndex{i}, kind_of(node), std::nullopt);
      }
      continue;
    }
    const TaskIndex task = *target.task;
    const Node& node = run.node(task);
    const std::string& id = run.spec(task).id;
    if (names_an_item(target)) {
      const std::int64_t item = target.item->value;
      const bool is_open = node.mapped && node.mapped->is_open(item) && !node.mapped->is_rest(item);
      const TaskRow* row =
          node.mapped && item < node.mapped->items ? final_item(snapshot, task, item) : nullptr;
      if (row == nullptr || is_open) {
        return refuse(id + ":" + std::to_string(item) + " has not failed: " +
                      (is_open ? "it is open" : "it never started or there is no such item"));
      }
      if (!is_current(*node.mapped, *row))
        return refuse(id + ":" + std::to_string(item) + " " + kChanged);
      if (row->state == TaskState::succeeded && !in.from && !in.only) {
        return refuse(id + ":" + std::to_string(item) + " succeeded; `--only " + id +
                      "` runs it again");
      }
      add(task, ResumePart::Kind::failed_items, item);
      continue;
    }
    if (in.from || in.only) {
      if (!is_final(node.work.state))
        return refuse(id + " is " + std::string(to_string(node.work.state)) + "; cancel it first");
      if (in.only && !run.version->graph.paired(task).empty())
        return refuse("other tasks go item by item after " + id + "; `--from " + id +
                      "` runs them again too");
      add(task, ResumePart::Kind::all, std::nullopt);
    } else if (has_failed(node.work.state) || (node.mapped && node.mapped->own_failures() > 0)) {
      add(task, kind_of(node), std::nullopt);
    } else if (node.work.state == TaskState::upstream_failed) {
      return refuse(id + " never ran: what it depends on failed. Resume that, or `mark` it");
    } else {
      return refuse(id + " is " + std::string(to_string(node.work.state)) +
                    ", not failed; `--from " + id +
                    "` runs it again with all that follows it, `--only " + id + "` it alone");
    }
  }
  if (seeds.empty() && run.row.state != RunState::paused && !run.is_dormant) {
    return refuse(is_final(run.row.state)
                      ? "nothing of it failed, was held or cancelled; `pawl rerun` makes a new run"
                  : run.stopping != Reason::none
                      ? "it is being stopped; resume it when it has ended"
                      : "nothing of it has failed so far, and it goes on");
  }

  if (!in.only) {
    const bool all_of_them = in.from || in.downstream;
    if (auto error = select_pairs(run, all_of_them, parts)) return *std::move(error);
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
  if (!in.only) {
    if (auto error = select_whole_pairs(run, parts)) return *std::move(error);
  }
  // With a task to run again the run ends anew, and all of its hooks with it.
  const bool has_tasks =
      std::any_of(seeds.begin(), seeds.end(), [&](TaskIndex seed) { return !run.is_hook(seed); });
  ResumeParts out;
  for (auto& part : parts) {
    if (!part || (has_tasks && run.is_hook(part->task))) continue;
    const Node& node = run.node(part->task);
    if (part->kind == ResumePart::Kind::all && node.mapped &&
        node.mapped->next_fresh > kRepeatItemsMax) {
      return refuse(run.spec(part->task).id + " has " + std::to_string(node.mapped->next_fresh) +
                    " items that ran; to repeat all of them use `pawl rerun`");
    }
    if (auto error = is_outdated(run, *part, snapshot)) return *std::move(error);
    out.push_back(std::move(*part));
  }
  return out;
}

/// An error when the snapshot does not hold what is to run again as it is now.
std::optional<Error> Engine::State::is_outdated(const Run& run, const ResumePart& part,
                                                const RunSnapshot* snapshot) const {
  const Node& node = run.node(part.task);
  if (!node.mapped || part.kind == ResumePart::Kind::stale || !part.items.empty())
    return std::nullopt;
  const Mapped& mapped = *node.mapped;
  const bool is_all = part.kind == ResumePart::Kind::all;
  const bool is_following = part.kind == ResumePart::Kind::following_items;
  // Of what never started there is no row.
  const auto rows_of = [&mapped](TaskState state) {
    const std::int64_t rest = mapped.is_paired ? mapped.rest : mapped.fresh();
    return mapped.count(state) - (mapped.rest_state == state ? rest : 0);
  };
  std::int64_t wanted = rows_of(TaskState::upstream_failed);
  if (is_all && mapped.is_paired) {
    wanted = 0;
    for (std::int64_t i = 0; i < mapped.next_fresh; ++i) wanted += !mapped.is_blank(i);
  } else if (is_all) {
    wanted = mapped.next_fresh;
  } else if (!is_following) {
    wanted += rows_of(TaskState::failed) + rows_of(TaskState::held) + rows_of(TaskState::cancelled);
  }
  const MappedSnapshot* loaded = mapped_part(snapshot, part.task);
  std::int64_t found = 0;
  for (std::size_t i = 0; loaded != nullptr && i < loaded->final_items.size(); ++i) {
    const TaskRow& row = loaded->final_items[i];
    const bool is_lost =
        row.state == TaskState::upstream_failed || (!is_following && has_failed(row.state));
    const bool counts = is_all || (is_lost && row.key.item.value < mapped.items);
    found += counts && is_current(mapped, row) ? 1 : 0;
  }
  if (found == wanted) return std::nullopt;
  return Error{ErrorKind::refused, "the items of " + run.spec(part.task).id + " " + kChanged};
}

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
  run.row.ended_at.reset();
  ++run.row.resumes;
}

/// `hooks_only`: what its tasks came to stays, and no more than hooks runs again.
void Engine::State::reopen(Run& run, bool hooks_only) {
  const bool was_stopping = run.stopping != Reason::none;
  run.stopping = Reason::none;
  run.is_stopped = false;
  run.row.cancel_requested = false;
  if (is_final(run.row.state)) {
    open_row(run);
    if (hooks_only) {
      run.row.outcome = run.row.state;
      run.row.outcome_reason = run.row.reason;
    } else {
      reset_hooks(run);
    }
    move_run(run, RunEvent::reopen, standing_reason(run));
    call_opened(run);
    count_hooks(run);
  } else if (was_stopping) {
    run.row.reason = Reason::none;
    write_run(run);
    if (run.timeout_due.ms != 0) {
      run.timeout_due = MonoTime{};
      arm_run_timers(run);
    }
  }
}

void Engine::State::apply_resume(Run& run, const ResumeParts& parts, const RunSnapshot* snapshot) {
  wake(run);
  const bool hooks_only =
      !parts.empty() && std::all_of(parts.begin(), parts.end(),
                                    [&](const ResumePart& part) { return run.is_hook(part.task); });
  reopen(run, hooks_only);
  for (const ResumePart& part : parts) {
    const bool opens =
        part.kind != ResumePart::Kind::stale && is_final(run.node(part.task).work.state);
    switch (part.kind) {
      case ResumePart::Kind::failed_items:
      case ResumePart::Kind::following_items:
        reset_items(run, part, snapshot);
        // With nothing to run again it is what its items say (a person had marked it).
        finish_mapped_if_done(run, part.task);
        break;
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

/// The items that failed, were held or cancelled again, and those that never started.
void Engine::State::reset_items(Run& run, const ResumePart& part, const RunSnapshot* snapshot) {
  Node& node = run.node(part.task);
  Mapped& mapped = *node.mapped;
  const TaskKey whole{run.row.id, part.task, kWhole};
  if (is_final(node.work.state)) {
    const std::int32_t work = node.work.work;
    move(run, whole, node.work, TaskEvent::reset, {});
    node.work.work = work;
    node.work.queued_at = now_.wall;
    move(run, whole, node.work, TaskEvent::open, {});
    if (!mapped.is_paired) arm_queue_timer(run, whole, node.work);
  }
  if (mapped.is_paired) {
    const bool may_open = part.kind == ResumePart::Kind::failed_items ||
                          mapped.rest_state == TaskState::upstream_failed ||
                          mapped.rest_state == TaskState::skipped;
    if (part.items.empty() && may_open) unsettle_rest(run, part.task);
    if (node.work.state == TaskState::running) grow_paired(run, part.task);
    start_sweep(run, part.task, 0);
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
      const bool is_meant = repeat == Repeat::failed || repeats(repeat, mapped, row);
      if (is_meant && wanted.contains(row.key.item.value)) repeat_failed(run, row);
    }
  }
  counts_changed(run);
  mapped_changed(run, part.task);
}

// A command may be about millions of items. What it asks for is durable with its first step, in the
// row of the whole, for a resume with a cursor; the items follow in steps of their own, after a
// restart too.

void Engine::State::begin_repeat(Run& run, TaskIndex task, Repeat repeat,
                                 const MappedSnapshot* snapshot) {
  Mapped& mapped = *run.node(task).mapped;
  end_repeat(run, task);
  mapped_changed(run, task);
  for (std::size_t i = 0; snapshot != nullptr && i < snapshot->final_items.size(); ++i) {
    const TaskRow& row = snapshot->final_items[i];
    if (repeats(repeat, mapped, row)) mapped.to_repeat.push_back(row);
  }
  if (mapped.to_repeat.empty()) return;
  mapped.repeat = repeat;
  repeats_.push_back({run.row.id, task});
}

/// Of its open items those that do not run are to end.
void Engine::State::begin_cancel(Run& run, TaskIndex task, Reason reason) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.repeat != Repeat::none) mapped_changed(run, task);
  end_repeat(run, task);
  for (const auto& [item, work] : mapped.works) {
    if (item < mapped.items && work.state != TaskState::running)
      mapped.to_cancel_awake.push_back(item);
  }
  std::sort(mapped.to_cancel_awake.begin(), mapped.to_cancel_awake.end(), std::greater<>());
  mapped.to_cancel = mapped.sleepers.take_all();
  mapped.wake_due = MonoTime{};
  mapped.ready.clear();
  if (mapped.to_cancel_awake.empty() && mapped.to_cancel.empty()) return;
  mapped_changed(run, task);
  mapped.repeat = Repeat::cancel;
  mapped.cancel_reason = reason;
  repeats_.push_back({run.row.id, task});
}

/// What was not reached stays as it is: open after a cancel, final after a resume.
void Engine::State::end_repeat(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  mapped.repeat = Repeat::none;
  mapped.repeat_next = 0;
  mapped.to_repeat.clear();
  for (const std::int64_t item : std::exchange(mapped.to_cancel_awake, {})) {
    const auto it = mapped.works.find(item);
    if (it != mapped.works.end() && it->second.state == TaskState::queued)
      mapped.ready.push_front(item);
  }
  if (mapped.to_cancel.empty()) return;
  for (const Sleeper& sleeper : std::exchange(mapped.to_cancel, {})) mapped.sleepers.add(sleeper);
  arm_sleepers(run, task);
}

/// As many as the step has room for.
void Engine::State::repeat_some(const Place& place_of) {
  const Place place = place_of;
  Run* run = find(place.run);
  const Mapped* mapped = run == nullptr ? nullptr : run->node(place.task).mapped.get();
  if (mapped == nullptr || mapped->repeat == Repeat::none) {
    repeats_.pop_front();
  } else if (mapped->repeat == Repeat::cancel) {
    cancel_some(*run, place.task);
  } else {
    repeat_rows(*run, place.task);
  }
}

void Engine::State::repeat_rows(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  while (!mapped.to_repeat.empty() && !is_full()) {
    ++looked_at_;
    const TaskRow row = std::move(mapped.to_repeat.front());
    mapped.to_repeat.pop_front();
    mapped.repeat_next = row.key.item.value + 1;
    mapped.repeat == Repeat::all ? repeat_any(run, row) : repeat_failed(run, row);
  }
  mapped_changed(run, task);
  make_ready(run, task);
  if (!mapped.to_repeat.empty()) return;
  repeats_.pop_front();
  const bool was_all = mapped.repeat == Repeat::all;
  end_repeat(run, task);
  if (was_all) {
    look_at(run.row.id, task);
  } else {
    item_ended(run, task);
  }
}

/// Ascending, as their rows lie.
void Engine::State::cancel_some(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  auto& asleep = mapped.to_cancel;
  auto& awake = mapped.to_cancel_awake;
  const Reason reason = mapped.cancel_reason;
  while (!is_full() && !(asleep.empty() && awake.empty())) {
    ++looked_at_;
    if (awake.empty() || (!asleep.empty() && asleep.back().item < awake.back())) {
      const TaskKey key{run.row.id, task, ItemIndex{asleep.back().item}};
      Piece& work = become_piece(run, key, asleep.back());
      asleep.pop_back();
      move(run, key, work, TaskEvent::cancel, {reason, 0, {}, {}});
    } else {
      const TaskKey key{run.row.id, task, ItemIndex{awake.back()}};
      awake.pop_back();
      const auto it = mapped.works.find(key.item.value);
      if (it == mapped.works.end() || it->second.state == TaskState::running) continue;
      move(run, key, it->second, TaskEvent::cancel, {reason, 0, {}, {}});
    }
  }
  if (!asleep.empty() || !awake.empty()) return;
  repeats_.pop_front();
  end_repeat(run, task);
  mapped_changed(run, task);
  item_ended(run, task);
}

/// An item that failed, was held or cancelled waits for a slot again.
void Engine::State::repeat_failed(Run& run, const TaskRow& row) {
  Mapped& mapped = *run.node(row.key.task).mapped;
  const std::int64_t item = row.key.item.value;
  if (item >= mapped.items || !is_current(mapped, row)) return;
  Piece& work = mapped.works.emplace(item, work_of(row)).first->second;
  move(run, row.key, work, TaskEvent::reset, {});
  call_back_pairs(run, row.key.task, item);
  if (mapped.is_paired) {
    pairs_.push_back({run.row.id, row.key.task, item});
    return;
  }
  move(run, row.key, work, TaskEvent::queue, {});
  arm_queue_timer(run, row.key, work);
}

/// What a bulk word said of the items that never started is taken back.
void Engine::State::unsettle_rest(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.rest_state == TaskState::queued) return;
  for (std::int64_t i = mapped.low_water; i < mapped.items; ++i) {
    if (!mapped.is_blank(i)) continue;
    mapped.states[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(TaskState::waiting);
    call_back_pairs(run, task, i);
  }
  for (Counts* counts : {&mapped.counts, &run.row.counts}) {
    (*counts)[static_cast<std::size_t>(mapped.rest_state)] -= mapped.rest;
    (*counts)[static_cast<std::size_t>(TaskState::waiting)] += mapped.rest;
  }
  mapped.blank = std::exchange(mapped.rest, 0);
  mapped.rest_state = TaskState::queued;
  mapped.rest_reason = Reason::none;
  counts_changed(run);
  mapped_changed(run, task);
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

/// Adds to `parts` what is paired with what runs again: what was decided because of that, or, with
/// `all_of_them`, also what succeeded.
std::optional<Error> Engine::State::select_pairs(
    const Run& run, bool all_of_them, std::vector<std::optional<ResumePart>>& parts) const {
  for (TaskIndex task : topological_order(run.version->job)) {
    const Node& node = run.node(task);
    for (const Dependency& d : run.spec(task).depends_on) {
      const std::optional<ResumePart>& up = parts[d.task.value];
      if (!d.each || !up) continue;
      if (up->kind == ResumePart::Kind::all) continue;  // see select_whole_pairs
      const bool has_items = node.mapped && node.mapped->items > 0;
      std::optional<ResumePart>& part = parts[task.value];
      if (!has_items || (part && !part->is_of_items())) {
        continue;
      } else if (!part) {
        const bool is_named = all_of_them && !up->items.empty();
        part = ResumePart{
            task, is_named ? ResumePart::Kind::failed_items : ResumePart::Kind::following_items,
            up->items};
      } else if (up->items.empty()) {
        part->items.clear();
      } else if (!part->items.empty()) {
        part->items.insert(part->items.end(), up->items.begin(), up->items.end());
      }
    }
  }
  return std::nullopt;
}

/// What goes over the items of a task of which all runs again, or is paired with one, runs again as
/// a whole: its items are others.
std::optional<Error> Engine::State::select_whole_pairs(
    const Run& run, std::vector<std::optional<ResumePart>>& parts) const {
  const auto is_anew = [&](TaskIndex task) {
    return parts[task.value] && parts[task.value]->kind == ResumePart::Kind::all;
  };
  for (TaskIndex task : topological_order(run.version->job)) {
    const TaskSpec& spec = run.spec(task);
    const bool has_other_items =
        (spec.mapped_over && is_anew(*spec.mapped_over)) ||
        std::any_of(spec.depends_on.begin(), spec.depends_on.end(),
                    [&](const Dependency& d) { return d.each && is_anew(d.task); });
    if (!has_other_items) continue;
    const TaskState state = run.node(task).work.state;
    if (is_final(state)) {
      parts[task.value] = ResumePart{task, ResumePart::Kind::all, {}};
    } else if (state != TaskState::waiting) {
      return Error{ErrorKind::refused,
                   spec.id + " is " + std::string(to_string(state)) + "; cancel it first"};
    }
  }
  return std::nullopt;
}

/// The row of an item whose whole is repeated: it waits until it is read again.
void Engine::State::repeat_any(Run& run, const TaskRow& row) {
  Mapped& mapped = *run.node(row.key.task).mapped;
  const std::int64_t item = row.key.item.value;
  if (item >= mapped.next_fresh || mapped.works.contains(item)) return;
  // One that is paired waits for its pair; any other one until it is read again.
  const TaskState again = mapped.is_paired ? TaskState::waiting : TaskState::queued;
  Piece work = work_of(row);
  const TaskState from = work.state;
  if (from == TaskState::succeeded) ++work.work;
  work.state = again;
  work.reason = Reason::none;
  work.detail = work.counted = 0;
  work.started_at = work.ended_at = WallTime{};
  work.interrupted_at = work.interrupted_before = WallTime{};
  work.queued_at = now_.wall;
  mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(again);
  mapped.tries[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(work.attempts);
  write(run, row.key, work, from, AttemptId{}, {});
  mapped.works.emplace(item, work);
}

Result<std::vector<PlanLine>> Engine::State::plan_resume(const input::Resume& in) const {
  // Planned on a copy of the state that only this command sees.
  State scratch(counters_);
  scratch.now_ = now_;
  std::vector<PlanLine> lines;
  const Snapshots loaded = index_of(in.loaded);
  for (const auto& [id, targets] : by_run(in.targets)) {
    const Run* run = find(id);
    const auto found = loaded.find(id);
    const RunSnapshot* snapshot = found == loaded.end() ? nullptr : found->second;
    if (run == nullptr && snapshot != nullptr) {
      auto version = versions_.find(snapshot->run.version);
      if (version == versions_.end()) return Error{ErrorKind::refused, kGone};
      if (!scratch.versions_.contains(version->first)) {
        scratch.versions_.emplace(version->first, std::make_unique<Version>(version->second->job));
      }
      run = &scratch.restore(*snapshot);
    }
    if (run == nullptr) return Error{ErrorKind::not_found, "there is no such run"};
    auto parts = select_resume(*run, targets, in, snapshot);
    if (!parts) return std::move(parts).error();
    std::vector<bool> runs_again(run->nodes.size(), false);
    for (const ResumePart& part : *parts)
      runs_again[part.task.value] = part.kind != ResumePart::Kind::stale;
    for (const ResumePart& part : *parts) {
      PlanLine line;
      line.run = id;
      line.task = part.task;
      const Node& node = run->node(part.task);
      if (part.is_of_items()) {
        const auto& c = node.mapped->counts;
        line.items = !part.items.empty() ? static_cast<std::int64_t>(part.items.size())
                                         : node.mapped->failures() +
                                               c[static_cast<std::size_t>(TaskState::cancelled)];
      } else if (node.mapped) {
        line.items = node.mapped->items;
      }
      const auto& depends_on = run->spec(part.task).depends_on;
      const bool waits = std::any_of(depends_on.begin(), depends_on.end(),
                                     [&](const Dependency& d) { return runs_again[d.task.value]; });
      line.action = part.kind == ResumePart::Kind::stale ? "stale" : waits ? "wait" : "run";
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace pawl
