// What a resume does to the tasks of a run: chosen from what the user names, before anything moves,
// and told as a plan.

#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/core/engine_commands.h"

namespace pawl {
namespace {

// A full repeat of a mapped task puts each of its items into memory; beyond this a new run does
// the same in bounded memory.
constexpr std::int64_t kRepeatItemsMax = 2'000'000;

Error refuse(std::string why) { return {ErrorKind::refused, std::move(why)}; }

/// Of its own attempts; an item that another task failed is not among them.
bool has_failed_items(const Node& node) { return node.mapped && node.mapped->own_failures() > 0; }

}  // namespace

/// Chooses the parts of one run.
class Engine::State::ResumeSelector {
 public:
  /// The snapshot has the final items of those tasks of which items run again.
  ResumeSelector(const Run& run, const input::Resume& in, const RunSnapshot* snapshot)
      : run_(run), in_(in), snapshot_(snapshot), parts_(run.nodes.size()) {}

  /// Errors: `refused`, with what would work.
  Result<ResumeParts> select(const std::vector<Target>& targets) {
    if (run_.runs_hooks())
      return refuse("its hooks are running: ask again when it has ended, or cancel them");
    // What was told to end will end, and decide of what follows it.
    if (!is_final(run_.row.state) && run_.stopping != Reason::none)
      return refuse("it is being stopped; resume it when it has ended");
    for (const Target& target : targets) {
      if (auto added = add(target); !added) return std::move(added).error();
    }
    const bool goes_on = run_.row.state == RunState::paused || run_.is_dormant;
    if (named_.empty() && !goes_on) return nothing_to_do();
    if (!in_.only) {
      add_pairs();
      add_downstream();
      if (auto added = add_whole_pairs(); !added) return std::move(added).error();
    }
    return chosen();
  }

 private:
  using Kind = ResumePart::Kind;

  Result<void> add(const Target& target) {
    if (!is_sound(run_, target)) return refuse("there is no such task");
    if (!target.task) {
      add_failed();
      return {};
    }
    return names_an_item(target) ? add_item(*target.task, target.item->value)
                                 : add_task(*target.task);
  }

  void add_failed() {
    for (std::uint32_t i = 0; i < run_.nodes.size(); ++i) {
      const Node& node = run_.nodes[i];
      const bool is_under_way = !is_final(node.work.state);
      if (has_failed(node.work.state) || (is_under_way && has_failed_items(node)))
        add_part(TaskIndex{i}, kind_of(node), std::nullopt);
    }
  }

  Result<void> add_item(TaskIndex task, std::int64_t item) {
    const Mapped* mapped = run_.node(task).mapped.get();
    const std::string& id = run_.spec(task).id;
    const std::string name = id + ":" + std::to_string(item);
    const bool has_started = mapped != nullptr && item >= 0 && item < mapped->next_fresh &&
                             static_cast<std::size_t>(item) < mapped->states.size() &&
                             !mapped->is_rest(item);
    if (!has_started)
      return refuse(name + " has not failed: it never started or there is no such item");
    if (mapped->is_open(item)) return refuse(name + " has not failed: it is open");
    // Of items that succeeded a snapshot may have no rows.
    const TaskRow* row = final_item(snapshot_, task, item);
    const bool takes_all = in_.from || in_.only;
    if (row == nullptr || (row->state == TaskState::succeeded && !takes_all))
      return refuse(name + " has not failed; `--only " + id + "` runs all of " + id + " again");
    if (!is_current(*mapped, *row)) return refuse(name + " " + kChanged);
    add_part(task, Kind::failed_items, item);
    return {};
  }

  Result<void> add_task(TaskIndex task) {
    const Node& node = run_.node(task);
    const TaskState state = node.work.state;
    const std::string& id = run_.spec(task).id;
    const std::string is = id + " is " + std::string(to_string(state));
    if (in_.from || in_.only) {
      if (!is_final(state)) return refuse(is + "; cancel it first");
      if (in_.only && !run_.version->graph.paired(task).empty())
        return refuse("other tasks go item by item after " + id + "; `--from " + id +
                      "` runs them again too");
      add_part(task, Kind::all, std::nullopt);
    } else if (has_failed(state) || has_failed_items(node)) {
      add_part(task, kind_of(node), std::nullopt);
    } else if (!is_final(state)) {
      return refuse(is + ", not failed: ask again when it has ended, or cancel it first");
    } else if (state == TaskState::upstream_failed) {
      return refuse(id + " never ran: what it depends on failed. Resume that, or `mark` it");
    } else {
      return refuse(is + ", not failed; `--from " + id +
                    "` runs it again with all that follows it, `--only " + id + "` it alone");
    }
    return {};
  }

  void add_part(TaskIndex task, Kind kind, std::optional<std::int64_t> item) {
    std::optional<ResumePart>& part = parts_[task.value];
    if (!part) {
      part = ResumePart{task, kind, {}};
      if (item) part->items.push_back(*item);
      named_.push_back(task);
      return;
    }
    if (kind == Kind::all) part->kind = kind;
    // Named as a whole and by an item, it is the whole.
    if (!item) {
      part->items.clear();
    } else if (!part->items.empty()) {
      part->items.push_back(*item);
    }
  }

  /// A mapped task of which no item ran is judged and read anew; else its items are what they were.
  static Kind kind_of(const Node& node) {
    if (!node.mapped) return Kind::all;
    const Mapped& mapped = *node.mapped;
    const bool is_unread = mapped.rest_reason == Reason::items && mapped.next_fresh == 0;
    return mapped.has_begun() && !is_unread ? Kind::failed_items : Kind::all;
  }

  Error nothing_to_do() const {
    return refuse(is_final(run_.row.state)
                      ? "nothing of it failed, was held or cancelled; `pawl rerun` makes a new run"
                      : "nothing of it has failed so far, and it goes on");
  }

  /// What is paired with what runs again: what was decided because of that, or all of it where the
  /// user asked for all that follows.
  void add_pairs() {
    for (TaskIndex task : topological_order(run_.version->job)) {
      for (const Dependency& d : run_.spec(task).depends_on) {
        const std::optional<ResumePart>& up = parts_[d.task.value];
        // Of one of which all runs again the items are others: see add_whole_pairs.
        if (d.each && up && up->kind != Kind::all) add_pair(task, *up);
      }
    }
  }

  void add_pair(TaskIndex task, const ResumePart& up) {
    const Node& node = run_.node(task);
    const bool has_items = node.mapped && node.mapped->items > 0;
    std::optional<ResumePart>& part = parts_[task.value];
    if (!has_items || (part && !part->is_of_items())) return;
    if (!part) {
      const bool is_named = (in_.from || in_.downstream) && !up.items.empty();
      part = ResumePart{task, is_named ? Kind::failed_items : Kind::following_items, up.items};
    } else if (up.items.empty()) {
      part->items.clear();
    } else if (!part->items.empty()) {
      part->items.insert(part->items.end(), up.items.begin(), up.items.end());
    }
  }

  void add_downstream() {
    const std::vector<bool> downstream = run_.version->graph.downstream_of(named_);
    for (std::uint32_t i = 0; i < run_.nodes.size(); ++i) {
      const Piece& work = run_.nodes[i].work;
      if (!downstream[i] || parts_[i] || !is_final(work.state)) continue;
      if (in_.from || in_.downstream) {
        parts_[i] = ResumePart{TaskIndex{i}, Kind::all, {}};
      } else if (follows_upstream(work)) {
        parts_[i] = ResumePart{TaskIndex{i}, kind_of(run_.nodes[i]), {}};
      } else if (work.state == TaskState::succeeded) {
        parts_[i] = ResumePart{TaskIndex{i}, Kind::stale, {}};
      }
    }
  }

  /// What goes over the items of a task of which all runs again, or is paired with one, runs again
  /// as a whole: its items are others.
  Result<void> add_whole_pairs() {
    const auto is_anew = [&](TaskIndex task) {
      return parts_[task.value] && parts_[task.value]->kind == Kind::all;
    };
    for (TaskIndex task : topological_order(run_.version->job)) {
      const TaskSpec& spec = run_.spec(task);
      const bool has_other_items =
          (spec.mapped_over && is_anew(*spec.mapped_over)) ||
          std::any_of(spec.depends_on.begin(), spec.depends_on.end(),
                      [&](const Dependency& d) { return d.each && is_anew(d.task); });
      if (!has_other_items) continue;
      const TaskState state = run_.node(task).work.state;
      const Mapped* mapped = run_.node(task).mapped.get();
      // One that waits to go on has items of its own already.
      const bool has_begun =
          state != TaskState::waiting || (mapped != nullptr && mapped->has_begun());
      if (is_final(state)) {
        parts_[task.value] = ResumePart{task, Kind::all, {}};
      } else if (has_begun) {
        return refuse(spec.id + " is " + std::string(to_string(state)) + "; cancel it first");
      }
    }
    return {};
  }

  Result<ResumeParts> chosen() {
    // With a task to run again the run ends anew, and all of its hooks with it.
    const bool has_tasks = std::any_of(named_.begin(), named_.end(),
                                       [&](TaskIndex task) { return !run_.is_hook(task); });
    ResumeParts out;
    for (auto& part : parts_) {
      if (!part || (has_tasks && run_.is_hook(part->task))) continue;
      const Node& node = run_.node(part->task);
      const std::string& id = run_.spec(part->task).id;
      if (part->kind == Kind::all && node.mapped && node.mapped->next_fresh > kRepeatItemsMax) {
        return refuse(id + " has " + std::to_string(node.mapped->next_fresh) +
                      " items that ran; to repeat all of them use `pawl rerun`");
      }
      if (is_outdated(*part)) return refuse("the items of " + id + " " + kChanged);
      out.push_back(std::move(*part));
    }
    return out;
  }

  /// Whether the snapshot does not hold what is to run again as it is now.
  bool is_outdated(const ResumePart& part) const {
    const Node& node = run_.node(part.task);
    if (!node.mapped || part.kind == Kind::stale || !part.items.empty()) return false;
    return rows_found(*node.mapped, part) != rows_wanted(*node.mapped, part);
  }

  static std::int64_t rows_wanted(const Mapped& mapped, const ResumePart& part) {
    if (part.kind == Kind::all && !mapped.is_paired) return mapped.next_fresh;
    if (part.kind == Kind::all) {
      std::int64_t ran = 0;
      for (std::int64_t i = 0; i < mapped.next_fresh; ++i) ran += mapped.is_blank(i) ? 0 : 1;
      return ran;
    }
    // Of what never started there is no row.
    const auto rows_of = [&mapped](TaskState state) {
      const std::int64_t rest = mapped.is_paired ? mapped.rest : mapped.fresh();
      return mapped.count(state) - (mapped.rest_state == state ? rest : 0);
    };
    const std::int64_t followed = rows_of(TaskState::upstream_failed);
    if (part.kind == Kind::following_items) return followed;
    return followed + rows_of(TaskState::failed) + rows_of(TaskState::held) +
           rows_of(TaskState::cancelled);
  }

  std::int64_t rows_found(const Mapped& mapped, const ResumePart& part) const {
    const MappedSnapshot* loaded = mapped_part(snapshot_, part.task);
    if (loaded == nullptr) return 0;
    return std::count_if(
        loaded->final_items.begin(), loaded->final_items.end(), [&](const TaskRow& row) {
          const bool is_lost = row.state == TaskState::upstream_failed ||
                               (part.kind != Kind::following_items && has_failed(row.state));
          const bool counts =
              part.kind == Kind::all || (is_lost && row.key.item.value < mapped.items);
          return counts && is_current(mapped, row);
        });
  }

  const Run& run_;
  const input::Resume& in_;
  const RunSnapshot* snapshot_;
  std::vector<std::optional<ResumePart>> parts_;  ///< by task
  std::vector<TaskIndex> named_;  ///< by the user, or failed in a run that was named
};

Result<Engine::State::ResumeParts> Engine::State::select_resume(const Run& run,
                                                                const std::vector<Target>& targets,
                                                                const input::Resume& in,
                                                                const RunSnapshot* snapshot) {
  return ResumeSelector(run, in, snapshot).select(targets);
}

namespace {

/// Items of the task that run again; -1 of one that is not mapped, or whose items are not known.
std::int64_t items_again(const Node& node, bool is_of_items,
                         const std::vector<std::int64_t>& named) {
  if (!node.mapped) return -1;
  if (!is_of_items) return node.mapped->complete ? node.mapped->items : -1;
  if (!named.empty()) return static_cast<std::int64_t>(named.size());
  // Which of the skipped ones its rule has skipped is in their rows.
  if (node.work.state == TaskState::skipped) return -1;
  return node.mapped->failures() + node.mapped->count(TaskState::cancelled);
}

}  // namespace

std::vector<PlanLine> Engine::State::lines_of(const Run& run, const ResumeParts& parts) {
  std::vector<bool> runs_again(run.nodes.size(), false);
  for (const ResumePart& part : parts)
    runs_again[part.task.value] = part.kind != ResumePart::Kind::stale;
  std::vector<PlanLine> lines;
  for (const ResumePart& part : parts) {
    const auto& depends_on = run.spec(part.task).depends_on;
    const bool is_open = run.node(part.task).work.state == TaskState::running;
    const bool waits = std::any_of(depends_on.begin(), depends_on.end(), [&](const Dependency& d) {
      const bool is_to_come = runs_again[d.task.value] || !is_final(run.node(d.task).work.state);
      return d.each ? runs_again[d.task.value] : is_to_come && !is_open;
    });
    PlanLine& line = lines.emplace_back();
    line.run = run.row.id;
    line.task = part.task;
    line.items = items_again(run.node(part.task), part.is_of_items(), part.items);
    line.action = part.kind == ResumePart::Kind::stale ? "stale" : waits ? "wait" : "run";
  }
  return lines;
}

Result<std::vector<PlanLine>> Engine::State::plan_resume(const input::Resume& in) const {
  // Planned on a copy of the state that only this command sees.
  State scratch(counters_, step_max_);
  scratch.now_ = now_;
  std::vector<PlanLine> lines;
  const Snapshots loaded = index_of(in.loaded);
  for (const auto& [id, targets] : by_run(in.targets)) {
    const Run* run = find(id);
    const auto found = loaded.find(id);
    const RunSnapshot* snapshot = found == loaded.end() ? nullptr : found->second;
    if (run == nullptr && snapshot != nullptr) {
      auto version = versions_.find(snapshot->run.version);
      if (version == versions_.end()) return refuse(kGone);
      if (!scratch.versions_.contains(version->first)) {
        scratch.versions_.emplace(version->first,
                                  std::make_unique<Version>(version->second->shared));
      }
      run = &scratch.restore(*snapshot);
    }
    if (run == nullptr) return Error{ErrorKind::not_found, "there is no such run"};
    auto parts = select_resume(*run, targets, in, snapshot);
    if (!parts) return std::move(parts).error();
    const std::vector<PlanLine> of_run = lines_of(*run, *parts);
    lines.insert(lines.end(), of_run.begin(), of_run.end());
  }
  return lines;
}

}  // namespace pawl
