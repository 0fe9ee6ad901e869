#include "tests/sim/model_store.h"

#include <algorithm>
#include <utility>

#include "scheduler/core/states.h"

namespace pawl::sim {
namespace {

template <typename State, typename Table>
bool has_edge(const Table& table, State from, State to, bool by_person) {
  return std::any_of(table.begin(), table.end(), [&](const auto& t) {
    return t.from == from && t.to == to && (by_person || !is_by_person(t.on));
  });
}

/// Whether the table leads from one state to the other; a step may write a row once for two
/// changes of state.
template <typename State, typename Table>
bool is_legal(const Table& table, std::size_t states, State from, State to, bool by_person) {
  if (from == to || has_edge(table, from, to, by_person)) return true;
  for (std::size_t s = 0; s < states; ++s) {
    const auto between = static_cast<State>(s);
    if (has_edge(table, from, between, by_person) && has_edge(table, between, to, by_person))
      return true;
  }
  return false;
}

template <typename State>
std::string change_text(State from, State to) {
  return std::string(to_string(from)) + " to " + std::string(to_string(to));
}

/// Failed or held, and not dismissed.
bool is_unresolved(const TaskRow& row) {
  return (row.state == TaskState::failed || row.state == TaskState::held) && row.dismissed == 0;
}

}  // namespace

std::string ModelStore::apply(const Mutations& batch, bool by_person) {
  for (const Mutation& change : batch) {
    if (std::string wrong = one(change, by_person); !wrong.empty()) return wrong;
  }
  return {};
}

std::string ModelStore::one(const Mutation& change, bool by_person) {
  namespace m = mutation;
  struct Visitor {
    ModelStore& store;
    bool by_person;
    std::string operator()(const m::InsertVersion& c) const { return store.on(c); }
    std::string operator()(const m::InsertRun& c) const { return store.on(c); }
    std::string operator()(const m::UpdateRun& c) const { return store.on(c, by_person); }
    std::string operator()(const m::SetRunCounts& c) const {
      auto it = store.runs.find(c.run);
      if (it == store.runs.end()) return "counts of an unknown run";
      it->second.counts = c.counts;
      return {};
    }
    std::string operator()(const m::InsertTask& c) const { return store.on(c); }
    std::string operator()(const m::UpdateTask& c) const { return store.on(c, by_person); }
    std::string operator()(const m::DismissItems& c) const {
      for (std::int64_t i = c.first; i < c.end; ++i) {
        const auto it = store.tasks.find({c.run, c.task, ItemIndex{i}});
        if (it != store.tasks.end() && is_unresolved(it->second)) it->second.dismissed = 1;
      }
      return {};
    }
    std::string operator()(const m::SetMapped& c) const {
      store.mapped[{c.row.run, c.row.task}] = c.row;
      return {};
    }
    std::string operator()(const m::InsertItems& c) const { return store.on(c); }
    std::string operator()(const m::DeleteItems& c) const {
      store.chunks.erase({c.run, c.task});
      return {};
    }
    std::string operator()(const m::InsertAttempt& c) const { return store.on(c); }
    std::string operator()(const m::UpdateAttempt& c) const { return store.on(c); }
    std::string operator()(const m::MoveAttempt& c) const { return store.on(c); }
    std::string operator()(const m::SetHandle& c) const { return store.on(c); }
    std::string operator()(const m::DeleteAttempt& c) const { return store.on(c); }
    std::string operator()(const m::SetOutput& c) const {
      store.outputs[c.row.key] = c.row;
      return {};
    }
    std::string operator()(const m::ClearOutputs& c) const {
      auto& outputs = store.outputs;
      std::erase_if(outputs, [&](const auto& entry) {
        return entry.first.run == c.run && entry.first.task == c.task;
      });
      return {};
    }
    std::string operator()(const m::SetTimer& c) const {
      store.timers[{c.row.key, c.row.kind}] = c.row;
      store.timer_boots_[{c.row.key, c.row.kind}] = store.boot;
      return {};
    }
    std::string operator()(const m::ClearTimer& c) const {
      store.timers.erase({c.key, c.kind});
      return {};
    }
    std::string operator()(const m::SetRate& c) const {
      if (c.row.starts.empty()) {
        store.rates.erase(c.row.key);
      } else {
        store.rates[c.row.key] = c.row;
        store.rate_boots_[c.row.key] = store.boot;
      }
      return {};
    }
    std::string operator()(const m::SetJob&) const { return {}; }
    std::string operator()(const m::PauseJob& c) const { return store.on(c); }
    std::string operator()(const m::SetSchedule& c) const { return store.on(c); }
    std::string operator()(const m::DropFires& c) const {
      store.dropped.push_back(c.row);
      return {};
    }
    std::string operator()(const m::AddEvent& c) const {
      store.events.push_back(c.row);
      return {};
    }
  };
  return std::visit(Visitor{*this, by_person}, change);
}

std::string ModelStore::on(const mutation::InsertVersion& m) {
  return versions.emplace(m.row.id, m.row).second ? "" : "a version twice";
}

std::string ModelStore::on(const mutation::InsertRun& m) {
  if (m.row.id.value != last_run().value + 1) return "run numbers have a gap";
  for (const auto& [id, row] : runs) {
    if (row.name == m.row.name) return "two runs of one name";
    if (!row.request_id.empty() && row.request_id == m.row.request_id) return "a request id twice";
    if (row.scheduled_for && row.job == m.row.job && row.scheduled_for == m.row.scheduled_for)
      return "a fire has two runs";
  }
  if (m.row.caller) {
    const Caller& caller = *m.row.caller;
    const auto task = tasks.find(caller.key);
    if (task == tasks.end() || task->second.attempts != caller.attempt ||
        !live.contains(caller.key))
      return "a run is made for an attempt that is not live";
    for (const auto& [id, row] : runs) {
      if (row.caller && row.caller->key == caller.key && row.caller->attempt == caller.attempt)
        return "an attempt makes two runs";
    }
  }
  runs.emplace(m.row.id, m.row);
  return {};
}

std::string ModelStore::broken_call(const AttemptRow& end) const {
  bool has_succeeded = false;
  for (const auto& [id, run] : runs) {
    if (!run.caller || run.caller->key != end.key) continue;
    if (!is_final(run.state) && run.name == end.handle) return "an attempt ends before its run";
    has_succeeded |= run.state == RunState::succeeded;
  }
  if (end.state == AttemptState::succeeded && !has_succeeded)
    return "an attempt succeeds and its run has not";
  return {};
}

std::string ModelStore::on(const mutation::UpdateRun& m, bool by_person) {
  auto it = runs.find(m.row.id);
  if (it == runs.end()) return "an unknown run changes";
  RunRow& row = it->second;
  if (compares && row.state != m.expected) return "a run is not in the state expected";
  if (!is_legal(kRunTransitions, 6, row.state, m.row.state, by_person)) {
    return "the table has no way for a run from " + change_text(row.state, m.row.state);
  }
  const Counts counts = row.counts;
  row = m.row;
  row.counts = counts;
  return {};
}

std::string ModelStore::on(const mutation::PauseJob& m) {
  JobRow& row = jobs[m.job];
  row.paused = m.paused;
  row.pause_note = m.note;
  row.paused_by = m.actor;
  row.next_fire_at.reset();
  if (m.paused) return {};
  row.failures = 0;
  if (!row.decided_through || *row.decided_through >= m.at) return {};
  paused_spans.push_back({m.job, *row.decided_through, m.at});
  row.decided_through = m.at;
  return {};
}

std::string ModelStore::on(const mutation::SetSchedule& m) {
  JobRow& row = jobs[m.job];
  if (compares && row.decided_through != m.expected) return "a schedule is not where expected";
  if (row.decided_through && m.decided_through < row.decided_through) return "a schedule goes back";
  if (!row.decided_through && m.decided_through) first_places[m.job] = *m.decided_through;
  row.decided_through = m.decided_through;
  row.next_fire_at = m.next_fire_at;
  row.failures = m.failures;
  return {};
}

std::string ModelStore::on(const mutation::InsertTask& m) {
  if (!runs.contains(m.row.key.run)) return "a task of an unknown run";
  if (!tasks.emplace(m.row.key, m.row).second)
    return "a second row for task " + task_text(m.row.key);
  if (!is_legal(kTaskTransitions, kTaskStateCount, TaskState::waiting, m.row.state, false) &&
      !is_legal(kTaskTransitions, kTaskStateCount, TaskState::waiting, m.row.state, true)) {
    return "task " + task_text(m.row.key) + " is born " + std::string(to_string(m.row.state));
  }
  return {};
}

std::string ModelStore::on(const mutation::UpdateTask& m, bool by_person) {
  auto it = tasks.find(m.row.key);
  if (it == tasks.end()) return "an unknown task changes: " + task_text(m.row.key);
  TaskRow& row = it->second;
  if (compares && (row.state != m.expected || row.live_attempt != m.expected_attempt)) {
    return "task " + task_text(m.row.key) + " is " + std::string(to_string(row.state)) +
           " with attempt " + std::to_string(row.live_attempt.value) + ", expected was " +
           std::string(to_string(m.expected)) + " with " + std::to_string(m.expected_attempt.value);
  }
  // A resume that is under way goes on in steps of its own.
  const auto whole = mapped.find({m.row.key.run, m.row.key.task});
  const bool is_repeated = m.row.key.item != kWhole && whole != mapped.end() &&
                           is_resume(whole->second.repeat) &&
                           m.row.key.item.value >= whole->second.repeat_next;
  if (!is_legal(kTaskTransitions, kTaskStateCount, row.state, m.row.state,
                by_person || is_repeated)) {
    return "the table has no way for task " + task_text(m.row.key) + " from " +
           change_text(row.state, m.row.state);
  }
  row = m.row;
  return {};
}

std::string ModelStore::on(const mutation::InsertItems& m) {
  auto& known = chunks[{m.row.run, m.row.task}];
  const std::int64_t end = known.empty() ? 0 : known.rbegin()->first + known.rbegin()->second;
  if (m.row.first != end) return "items have a gap or overlap";
  known[m.row.first] = m.row.count;
  return {};
}

std::string ModelStore::on(const mutation::InsertAttempt& m) {
  if (m.row.id <= last_attempt) return "an attempt's id is not new";
  if (m.row.number != numbers[m.row.key] + 1)
    return "attempt numbers of " + task_text(m.row.key) + " have a gap";
  if (live.contains(m.row.key)) return "two live attempts of " + task_text(m.row.key);
  auto task = tasks.find(m.row.key);
  if (task == tasks.end() || task->second.live_attempt != m.row.id)
    return "an attempt that its task does not name";
  AttemptRow& row = attempts.emplace(m.row.id, m.row).first->second;
  if (m.inherits_handle) {
    for (const auto& [id, before] : attempts) {
      const bool has_no_proof =
          before.state == AttemptState::lost || before.state == AttemptState::interrupted;
      if (before.key == row.key && before.number == row.number - 1 && has_no_proof)
        row.handle = before.handle;
    }
  }
  numbers[m.row.key] = m.row.number;
  live[m.row.key] = m.row.id;
  last_attempt = m.row.id;
  return {};
}

std::string ModelStore::on(const mutation::UpdateAttempt& m) {
  auto it = attempts.find(m.row.id);
  if (it == attempts.end()) return "an unknown attempt changes";
  AttemptRow& row = it->second;
  if (compares && row.state != m.expected) return "an attempt is not in the state expected";
  if (row.number != m.row.number || row.key != m.row.key) return "an attempt changes its identity";
  if (!is_legal(kAttemptTransitions, kAttemptStateCount, row.state, m.row.state, false)) {
    return "the table has no way for an attempt from " + change_text(row.state, m.row.state);
  }
  if (is_final(m.row.state) && row.worker == WorkerId{}) {
    AttemptRow end = m.row;
    end.handle = row.handle;
    if (std::string wrong = broken_call(end); !wrong.empty()) return wrong;
  }
  const AttemptRow before = row;
  row = m.row;
  row.handle = before.handle;
  if (row.started_at.ms == 0) row.started_at = before.started_at;
  row.cpu_us += before.cpu_us;
  row.stays += before.stays;
  row.peak_memory_bytes = std::max(row.peak_memory_bytes, before.peak_memory_bytes);
  row.memory_bound_bytes = std::max(row.memory_bound_bytes, before.memory_bound_bytes);
  row.log_bytes = std::max(row.log_bytes, before.log_bytes);
  if (row.state != AttemptState::deferred) row.state_text = before.state_text;
  if (is_final(row.state)) row.state_text.clear();
  if (is_final(row.state)) live.erase(row.key);
  return {};
}

std::string ModelStore::on(const mutation::MoveAttempt& m) {
  auto it = attempts.find(m.id);
  if (it == attempts.end()) return "an unknown attempt moves";
  AttemptRow& row = it->second;
  if (row.key != m.key) return "an attempt moves under another key";
  if (compares && row.state != m.expected) return "an attempt that moves is not where expected";
  if (!is_legal(kAttemptTransitions, kAttemptStateCount, row.state, m.state, false)) {
    return "the table has no way for an attempt from " + change_text(row.state, m.state);
  }
  row.state = m.state;
  row.reason = m.reason;
  if (m.worker.value != 0) row.worker = m.worker;
  row.slot = m.slot;
  row.ended_at = m.ended_at;
  if (is_final(row.state)) row.state_text.clear();
  if (is_final(row.state)) live.erase(row.key);
  return {};
}

std::string ModelStore::on(const mutation::SetHandle& m) {
  auto it = attempts.find(m.id);
  if (it == attempts.end() || is_final(it->second.state)) return "a handle of no open attempt";
  it->second.handle = m.handle;
  return {};
}

std::string ModelStore::on(const mutation::DeleteAttempt& m) {
  auto it = attempts.find(m.row.id);
  if (it == attempts.end()) return "an unknown attempt is taken back";
  if (is_final(it->second.state)) return "an attempt that ended is taken back";
  if (numbers[m.row.key] != it->second.number) return "an attempt in the middle is taken back";
  --numbers[m.row.key];
  live.erase(m.row.key);
  attempts.erase(it);
  return {};
}

std::vector<RateRow> ModelStore::rate_rows() const {
  std::vector<RateRow> rows;
  for (const auto& [key, row] : rates) {
    rows.push_back(row);
    rows.back().same_boot = rate_boots_.at(key) == boot;
  }
  return rows;
}

RunId ModelStore::last_run() const { return runs.empty() ? RunId{} : runs.rbegin()->first; }

std::vector<RunId> ModelStore::open_runs() const {
  std::vector<RunId> ids;
  for (const auto& [id, row] : runs) {
    if (!is_final(row.state)) ids.push_back(id);
  }
  return ids;
}

RunSnapshot ModelStore::snapshot(RunId run, bool with_final) const {
  RunSnapshot out;
  out.run = runs.at(run);
  const auto begin = tasks.lower_bound({run, TaskIndex{}, kWhole});
  const auto end = tasks.lower_bound({RunId{run.value + 1}, TaskIndex{}, kWhole});
  for (auto it = mapped.lower_bound({run, TaskIndex{}});
       it != mapped.end() && it->first.first == run; ++it) {
    MappedSnapshot part;
    part.row = it->second;
    const bool repeats = is_resume(part.row.repeat);
    const std::int64_t first = with_final ? 0
                               : repeats  ? std::min(part.row.low_water, part.row.repeat_next)
                                          : part.row.low_water;
    part.states.resize(
        static_cast<std::size_t>(std::max<std::int64_t>(0, part.row.next_fresh - first)));
    out.mapped.push_back(std::move(part));
  }
  auto part_of = [&out](TaskIndex task) {
    return std::find_if(out.mapped.begin(), out.mapped.end(),
                        [&](const auto& m) { return m.row.task == task; });
  };
  for (auto it = begin; it != end; ++it) {
    const TaskRow& row = it->second;
    if (row.key.item == kWhole) {
      out.tasks.push_back(row);
      continue;
    }
    MappedSnapshot& part = *part_of(row.key.task);
    const std::int64_t first = part.row.next_fresh - static_cast<std::int64_t>(part.states.size());
    if (row.key.item.value >= first) {
      part.states[static_cast<std::size_t>(row.key.item.value - first)] =
          static_cast<std::uint8_t>(row.state);
    }
    part.to_dismiss += is_unresolved(row) ? 1 : 0;
    if (!is_final(row.state)) {
      part.open_items.push_back(row);
    } else if (with_final || is_resume(part.row.repeat)) {
      part.final_items.push_back(row);
    }
  }
  for (const auto& [key, id] : live) {
    const bool is_asleep = attempts.at(id).state == AttemptState::deferred;
    if (key.run == run && !is_asleep) out.live_attempts.push_back(attempts.at(id));
  }
  for (auto it = timers.lower_bound({TaskKey{run, TaskIndex{}, kWhole}, TimerKind{}});
       it != timers.end() && it->first.first.run == run; ++it) {
    out.timers.push_back(it->second);
    out.timers.back().same_boot = timer_boots_.at(it->first) == boot;
  }
  return out;
}

std::string task_text(TaskKey key) {
  std::string text = std::to_string(key.run.value) + "/" + std::to_string(key.task.value);
  if (key.item != kWhole) text += ":" + std::to_string(key.item.value);
  return text;
}

std::string reason_text(Reason reason, std::int32_t detail) {
  if (reason == Reason::none) return {};
  std::string text = ":" + std::string(to_string(reason));
  if (reason == Reason::exit || reason == Reason::signal) text += ":" + std::to_string(detail);
  return text;
}

}  // namespace pawl::sim
