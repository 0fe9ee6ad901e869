#include "scheduler/spec/reader.h"

#include <algorithm>
#include <array>
#include <span>
#include <variant>

#include "scheduler/base/limits.h"
#include "scheduler/spec/calendar.h"
#include "scheduler/spec/civil.h"
#include "scheduler/spec/cron.h"
#include "scheduler/spec/dag.h"
#include "scheduler/spec/references.h"
#include "scheduler/spec/structure.h"
#include "scheduler/spec/task_reader.h"
#include "scheduler/spec/value_schema.h"
#include "scheduler/spec/view.h"

namespace pawl {
namespace {

class JobReader {
 public:
  JobReader(const Document& document, const ParseOptions& options, Diagnostics& diagnostics)
      : doc_(document),
        options_(options),
        out_(diagnostics),
        root_(document, document.root()),
        tasks_(document, options, job_, ids_, diagnostics) {}

  JobSpec read() {
    read_scalars();
    read_schedules();
    read_params();
    read_secrets();
    read_pools();
    tasks_.set_job_keys(root_);
    check_defaults();
    collect_ids();
    read_tasks();
    read_hooks(HookKind::on_success);
    read_hooks(HookKind::on_failure);
    read_hooks(HookKind::on_exit);
    check_graph();
    warn();
    return std::move(job_);
  }

 private:
  /// Calls `f(name, View)` for the members of a map that mean something.
  template <typename F>
  void for_each_entry(std::string_view key, F f) {
    const Field* field = find_field(kJobShape, key);
    root_.member(key).for_each_member([&](std::string_view name, View value) {
      if (!is_ignored_map_key(name, *field->shape, value.is(NodeKind::string))) f(name, value);
    });
  }

  void read_scalars() {
    job_.name = root_.member("name").string();
    job_.description = root_.member("description").text();
    job_.folder = options_.folder;
    for_each_entry("labels", [&](std::string_view name, View value) {
      if (value.is(NodeKind::string)) job_.labels.emplace(name, value.string());
    });
    const View catchup = root_.member("catchup");
    job_.catchup.policy = catchup.member("policy").word(CatchupPolicy::latest, 3);
    job_.catchup.limit = catchup.member("limit").integer(job_.catchup.limit);
    job_.catchup.window = catchup.member("window").duration(job_.catchup.window);
    job_.overlap = root_.member("overlap").word(Overlap::queue, 4);
    job_.queue_limit = root_.member("queue_limit").integer(job_.queue_limit);
    job_.max_active_runs = root_.member("max_active_runs").integer(job_.max_active_runs);
    job_.pause_after_failures = root_.member("pause_after_failures").integer(0);
    job_.timeout = root_.member("timeout").duration({});
    job_.fail_fast = root_.member("fail_fast").boolean(false);
    const View retention = root_.member("retention");
    if (retention.member("runs").present()) {
      job_.retention_runs = retention.member("runs").integer(0);
    }
    if (retention.member("days").present()) {
      job_.retention_days = retention.member("days").integer(0);
    }
  }

  void read_schedules() {
    const View schedule = root_.member("schedule");
    if (schedule.is(NodeKind::object)) read_schedule(schedule);
    schedule.for_each_element([&](View one) {
      if (one.is(NodeKind::object)) read_schedule(one);
    });
  }

  void read_schedule(View view) {
    ScheduleSpec spec;
    const std::array<View, 3> kinds = {view.member("cron"), view.member("every"),
                                       view.member("at")};
    const auto present =
        std::count_if(kinds.begin(), kinds.end(), [](const View& v) { return v.present(); });
    if (present > 1) {
      out_.error(view.node(),
                 "\"cron\", \"every\" and \"at\" exclude each other: write a list of "
                 "schedules");
    } else if (present == 0 && !names_reserved_kind(view)) {
      out_.error(view.node(), "a schedule needs one of \"cron\", \"every\" or \"at\"");
    }
    if (kinds[1].present()) spec.kind = ScheduleSpec::Kind::every;
    if (kinds[2].present()) spec.kind = ScheduleSpec::Kind::at;
    spec.cron = kinds[0].string();
    spec.every = kinds[1].duration({});
    spec.at = kinds[2].string();
    const View zone = view.member("timezone");
    if (zone.is(NodeKind::string)) spec.timezone = zone.string();
    spec.start = view.member("start").string();
    spec.end = view.member("end").string();
    spec.jitter = view.member("jitter").duration({});
    const View except = view.member("except");
    except.for_each_element([&](View date) { spec.except_dates.emplace_back(date.string()); });
    spec.except_file = except.member("file").string();
    check_schedule(view, spec);
    job_.schedules.push_back(std::move(spec));
  }

  /// A key that the structural check has called reserved stands for the kind.
  static bool names_reserved_kind(View view) {
    return view.member("file").present() || view.member("job").present() ||
           view.member("webhook").present();
  }

  void check_schedule(View view, const ScheduleSpec& spec) {
    const auto start = parse_civil(spec.start);
    const auto end = parse_civil(spec.end);
    if (start && end && start->offset_minutes.has_value() == end->offset_minutes.has_value() &&
        start->count_ms() >= end->count_ms()) {
      out_.error(view.member("end").node(), "\"end\" " + quote(spec.end) +
                                                " is not after \"start\" " + quote(spec.start) +
                                                ": this can never fire");
      return;
    }
    if (spec.kind == ScheduleSpec::Kind::every && spec.every.count() > 0 &&
        spec.jitter >= spec.every) {
      out_.error(view.member("jitter").node(),
                 "\"jitter\" must be shorter than \"every\", or fires overtake each other");
    }
    check_fires(view, spec);
  }

  /// A schedule that is right in each of its keys may still have no time left.
  void check_fires(View view, const ScheduleSpec& spec) {
    const bool is_readable = (spec.kind != ScheduleSpec::Kind::cron ||
                              std::holds_alternative<Cron>(parse_cron(spec.cron))) &&
                             (spec.kind != ScheduleSpec::Kind::every || spec.every.count() > 0) &&
                             (spec.kind != ScheduleSpec::Kind::at || parse_civil(spec.at)) &&
                             is_time_or_empty(spec.start) && is_time_or_empty(spec.end);
    // A file of dates is not at hand here; whoever loads the job reads it.
    if (!options_.zone || !is_readable || !spec.except_file.empty()) return;
    const auto calendar = Calendar::compile(std::span(&spec, 1), {options_.zone, {}});
    if (!calendar || calendar->next(kCalendarBegin - Duration(1))) return;
    out_.error(view.node(),
               "this can never fire: \"start\", \"end\" and \"except\" leave none of its times, or "
               "they lie behind the calendar's end (the year 2389)");
  }

  static bool is_time_or_empty(std::string_view written) {
    return written.empty() || parse_civil(written);
  }

  void read_params() {
    const bool scheduled = !job_.schedules.empty();
    for_each_entry("params", [&](std::string_view name, View value) {
      if (value.is(NodeKind::object)) read_param(name, value, scheduled);
    });
  }

  void read_param(std::string_view name, View value, bool scheduled) {
    ParamSpec spec;
    const Json schema = doc_.to_json(value.node());
    for (const SchemaError& error : check_param_schema(schema)) {
      const NodeId at = doc_.deepest(value.node(), error.pointer);
      out_.error(at, "parameter " + quote(name) + ": " + error.message);
    }
    spec.schema = schema.dump();
    const NodeId fallback = doc_.member(value.node(), "default");
    if (fallback != kNoNode) {
      spec.default_value = doc_.to_json(fallback).dump();
    } else if (scheduled) {
      out_.error_at_key(value.node(), "the parameter " + quote(name) +
                                          " needs a \"default\": the job has a schedule, and "
                                          "nobody gives values then");
    }
    job_.params.emplace(name, std::move(spec));
  }

  void read_secrets() {
    for_each_entry("secrets", [&](std::string_view name, View value) {
      const View variable = value.member("env");
      const View file = value.member("file");
      if (value.is(NodeKind::object) && variable.present() == file.present()) {
        out_.error(value.node(),
                   "a secret comes from one place: {\"env\": \"NAME\"} or "
                   "{\"file\": \"path\"}");
      }
      SecretSource source;
      source.from_file = file.present();
      source.name = source.from_file ? file.string() : variable.string();
      job_.secrets.emplace(name, std::move(source));
    });
  }

  void read_pools() {
    for_each_entry("pools", [&](std::string_view name, View value) {
      if (name == "default") {
        out_.error_at_key(value.node(),
                          "the pool \"default\" exists everywhere and belongs to the "
                          "settings: give the job's own pool another name");
      }
      job_.pools.emplace(name, read_pool_spec(value));
    });
  }

  void check_defaults() {
    const View defaults = root_.member("defaults");
    const View with = defaults.member("with");
    if (with.present() && !defaults.member("operator").present()) {
      out_.error_at_key(with.node(),
                        "\"with\" in defaults needs the \"operator\" beside it whose "
                        "parameters these are");
    }
  }

  void collect_ids() {
    const View tasks = root_.member("tasks");
    if (!tasks.is(NodeKind::array)) return;
    ids_.reserve(doc_.child_count(tasks.node()));
    tasks.for_each_element([&](View task) {
      if (!task.is(NodeKind::object)) return;
      const TaskIndex index(static_cast<std::uint32_t>(task_nodes_.size()));
      task_nodes_.push_back(task.node());
      const View id = task.member("id");
      if (!id.is(NodeKind::string)) return;
      const auto [found, fresh] = ids_.emplace(id.string(), index);
      if (!fresh) {
        const NodeId first = doc_.member(task_nodes_[found->second.value], "id");
        out_.error(id.node(), "the task id " + quote(id.string()) + " is taken: line " +
                                  std::to_string(doc_.place(doc_.offset(first)).line) + " has it");
      }
    });
  }

  void read_tasks() {
    const View defaults = root_.member("defaults");
    const NodeId defaults_node = defaults.is(NodeKind::object) ? defaults.node() : kNoNode;
    if (task_nodes_.size() > limits::kTasksPerJobMax) return;  // reported by the structure
    std::vector<TaskSpec> specs;
    specs.reserve(task_nodes_.size());
    for (std::uint32_t i = 0; i < task_nodes_.size(); ++i) {
      specs.push_back(tasks_.read_task(task_nodes_[i], defaults_node, TaskIndex(i)));
    }
    job_.tasks = std::move(specs);
  }

  void read_hooks(HookKind kind) {
    std::int32_t place = 0;
    root_.member(to_string(kind)).for_each_element([&](View hook) {
      if (!hook.is(NodeKind::object)) return;
      HookSpec spec;
      spec.kind = kind;
      spec.place = place++;
      spec.task = tasks_.read_hook(hook.node());
      spec.task.id = "hook:" + std::string(to_string(kind)) + ":" + std::to_string(spec.place);
      job_.hooks.push_back(std::move(spec));
    });
  }

  void check_graph() {
    if (job_.tasks.size() != task_nodes_.size()) return;
    const std::vector<TaskIndex> order = partial_topological_order(job_);
    if (order.size() < job_.tasks.size()) {
      for (const std::vector<TaskIndex>& cycle : find_cycles(job_)) report_cycle(cycle);
      std::vector<bool> ordered(job_.tasks.size(), false);
      for (const TaskIndex task : order) ordered[task.value] = true;
      tasks_.references().keep_only(ordered);
    }
    resolve_each(order);
    tasks_.references().check_ancestors();
    for (const auto& [task, upstream] : tasks_.references().check_pairs())
      job_.tasks[task.value].pairs_used.push_back(upstream);
    tasks_.references().check_outputs();
  }

  void report_cycle(const std::vector<TaskIndex>& cycle) {
    constexpr std::size_t kShown = 10;
    std::string path;
    for (std::size_t i = 0; i < cycle.size() && i < kShown; ++i) {
      path += job_.tasks[cycle[i].value].id + " → ";
    }
    if (cycle.size() > kShown) path += "… → ";
    path += job_.tasks[cycle[0].value].id;
    const NodeId list = doc_.member(task_nodes_[cycle[0].value], "depends_on");
    out_.error(list, "the tasks wait for each other in a cycle: " + path +
                         (cycle.size() > kShown ? " (" + std::to_string(cycle.size()) + " tasks)"
                                                : std::string()));
  }

  /// Follows `each` dependencies to the task whose items they are.
  void resolve_each(const std::vector<TaskIndex>& order) {
    for (const TaskIndex index : order) {
      TaskSpec& task = job_.tasks[index.value];
      if (!task.mapped_over) continue;
      std::optional<TaskIndex> root;
      for (const Dependency& d : task.depends_on) {
        if (!d.each) continue;
        const TaskSpec& upstream = job_.tasks[d.task.value];
        const NodeId list = doc_.member(task_nodes_[index.value], "depends_on");
        if (!upstream.is_mapped()) {
          out_.error(list,
                     "\"each\" pairs items, but the task " + quote(upstream.id) + " is not mapped");
          continue;
        }
        const TaskIndex items = upstream.mapped_over.value_or(d.task);
        if (root && *root != items) {
          out_.error(list, "\"each\" pairs the same items: " + quote(upstream.id) +
                               " has those of " + quote(job_.tasks[items.value].id) +
                               ", another dependency those of " +
                               quote(job_.tasks[root->value].id));
        }
        root = root.value_or(items);
      }
      if (root) task.mapped_over = root;
    }
  }

  void warn() {
    const View schedule = root_.member("schedule");
    if (!job_.schedules.empty() && !root_.member("timeout").present()) {
      out_.warn(schedule.node(),
                "the job has a schedule and no \"timeout\": a run that hangs holds up the next "
                "ones");
    }
    if (job_.max_active_runs > 1 && job_.overlap != Overlap::allow) {
      warn_of_key("max_active_runs", "it is for \"overlap\": \"allow\", else one run is active");
    }
    if (schedule.present()) return;
    for (const char* key : {"catchup", "queue_limit", "pause_after_failures"})
      warn_of_key(key, "the job has no schedule");
  }

  void warn_of_key(const char* key, const char* why) {
    const View value = root_.member(key);
    if (value.present()) out_.warn(value.node(), quote(key) + " has no effect: " + why);
  }

  const Document& doc_;
  const ParseOptions& options_;
  Diagnostics& out_;
  View root_;
  JobSpec job_;
  TaskIds ids_;
  std::vector<NodeId> task_nodes_;
  TaskReader tasks_;
};

}  // namespace

PoolSpec read_pool_spec(View pool) {
  PoolSpec spec;
  spec.slots = pool.is(NodeKind::object) ? pool.member("slots").integer(1) : pool.integer(1);
  const View rate = pool.member("rate");
  if (rate.is(NodeKind::object)) {
    spec.rate =
        Rate{rate.member("count").integer(1), rate.member("per").duration(std::chrono::seconds(1))};
  }
  return spec;
}

JobSpec read_job(const Document& document, const ParseOptions& options, Diagnostics& diagnostics) {
  return JobReader(document, options, diagnostics).read();
}

}  // namespace pawl
