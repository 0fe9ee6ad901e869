#include "scheduler/spec/task_reader.h"

#include <algorithm>
#include <set>

#include "scheduler/base/limits.h"
#include "scheduler/spec/connections.h"
#include "scheduler/spec/expression.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/structure.h"

namespace pawl {
namespace {

constexpr Duration kHookTimeout = std::chrono::minutes(5);

ReasonSet read_reasons(View list) {
  ReasonSet set;
  list.for_each_element([&](View word) {
    const auto reason = reason_from(word.string());
    if (reason && is_retryable_word(*reason)) set.add(*reason);
  });
  return set;
}

template <typename T>
void sort_unique(std::vector<T>& all) {
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

}  // namespace

TaskReader::TaskReader(const Document& document, const ParseOptions& options, const JobSpec& job,
                       const TaskIds& ids, Diagnostics& diagnostics)
    : doc_(document),
      options_(options),
      job_(job),
      ids_(ids),
      out_(diagnostics),
      references_(document, job, ids, diagnostics) {}

TaskSpec TaskReader::read_task(NodeId node, NodeId defaults, TaskIndex index) {
  return read({View(doc_, node, defaults), node, defaults, index, false});
}

TaskSpec TaskReader::read_hook(NodeId node) {
  return read({View(doc_, node), node, kNoNode, TaskIndex{}, true});
}

TaskSpec TaskReader::read(const Source& source) {
  TaskSpec task;
  const View& view = source.view;
  texts_.clear();
  task.id = view.own_member("id").string();
  if (out_.full() || is_too_large()) return task;
  read_dependencies(source, task);
  read_map(source, task);
  read_output(source, task);
  read_work(source, task);
  read_environment(source, task);
  task.trigger_rule = view.member("trigger_rule").word(TriggerRule::all_success, kTriggerRuleCount);
  const View when = view.member("when");
  if (when.is(NodeKind::string)) {
    task.when = when.string();
    if (!task.when.starts_with("{{")) texts_.push_back({when.node(), ExpressionPlace::when});
  }
  task.allow_failure = view.member("allow_failure").boolean(false);
  read_retry(source, task);
  read_limits(source, task);
  read_pools(source, task);
  check_texts(source, task);
  return task;
}

void TaskReader::read_dependencies(const Source& source, TaskSpec& task) {
  if (source.is_hook) return;
  const View list = source.view.own_member("depends_on");
  list.for_each_element([&](View entry) { read_dependency(source, entry, task); });
}

void TaskReader::read_dependency(const Source& source, View entry, TaskSpec& task) {
  const View name = entry.is(NodeKind::object) ? entry.member("task") : entry;
  if (!name.is(NodeKind::string)) return;
  const bool each = entry.is(NodeKind::object) && entry.member("each").boolean(false);
  const auto found = ids_.find(name.string());
  if (found == ids_.end()) {
    constexpr std::size_t kIdsSearchedMax = 2'000;
    std::string message = "there is no task " + quote(name.string());
    if (ids_.size() <= kIdsSearchedMax) {
      std::vector<std::string_view> known;
      for (const auto& [id, index] : ids_) known.push_back(id);
      std::sort(known.begin(), known.end());
      message += did_you_mean(name.string(), known);
      if (known.size() <= 12) message += "; tasks are " + list_words(known, "and");
    }
    out_.error(name.node(), std::move(message));
    return;
  }
  const TaskIndex upstream = found->second;
  if (upstream == source.index) {
    out_.error(name.node(), "the task " + quote(name.string()) + " depends on itself");
    return;
  }
  if (listed_by_.size() < ids_.size() + 1) listed_by_.assign(ids_.size() + 1, 0);
  if (listed_by_[upstream.value] != source.index.value + 1) {
    listed_by_[upstream.value] = source.index.value + 1;
    task.depends_on.push_back({upstream, each});
    if (each && !task.mapped_over) task.mapped_over = upstream;  // until the graph is known
    return;
  }
  const auto before = std::find_if(task.depends_on.begin(), task.depends_on.end(),
                                   [&](const Dependency& d) { return d.task == upstream; });
  if (before->each != each) {
    out_.error(name.node(),
               "the task " + quote(name.string()) + " is listed twice, with \"each\" and without");
  }
}

void TaskReader::read_map(const Source& source, TaskSpec& task) {
  const View map = source.is_hook ? View() : source.view.own_member("map");
  if (!map.is(NodeKind::object)) return;
  if (task.mapped_over) {
    out_.error_at_key(map.node(),
                      "this task runs over the items of its \"each\" dependency, so "
                      "it has no \"map\" of its own");
    return;
  }
  MapSpec spec;
  const View items = map.member("items");
  if (items.is(NodeKind::array)) {
    spec.items = doc_.to_json(items.node()).dump();
    if (spec.items.find("{{") != std::string::npos) {
      out_.warn(items.node(), "items of a list are data: `{{` is plain text in them");
    }
  } else if (items.is(NodeKind::string)) {
    spec.kind = MapSpec::Kind::expression;
    spec.items = items.string();
    const auto compiled = Template::compile(spec.items);
    const auto* parsed = std::get_if<Template>(&compiled);
    if (parsed != nullptr && !parsed->is_single()) {
      out_.error(items.node(), parsed->is_literal()
                                   ? "expected a list, a text \"{{ … }}\" that gives a list, or "
                                     "{\"file\": …}: for a file write {\"file\": " +
                                         quote(spec.items) + "}"
                                   : "only {{ … }} and nothing around it can give a list");
    }
    texts_.push_back({items.node(), ExpressionPlace::map_items});
  } else if (items.is(NodeKind::object)) {
    spec.kind = MapSpec::Kind::file;
    const View file = items.member("file");
    spec.items = file.string();
    const View format = items.member("format");
    spec.format = format.word(ItemFormat::jsonl, 4);
    for (const auto& [ending, word] :
         {std::pair(".csv", "csv"), std::pair(".json", "json"), std::pair(".txt", "lines")}) {
      if (format.present() || !spec.items.ends_with(ending)) continue;
      out_.warn(items.node(),
                "without \"format\" each line is read as JSON; for such a file say "
                "\"format\": \"" +
                    std::string(word) + "\"");
    }
    if (file.is(NodeKind::string)) texts_.push_back({file.node(), ExpressionPlace::map_items});
  }
  const View key = map.member("key");
  if (key.is(NodeKind::string)) {
    spec.key = key.string();
    texts_.push_back({key.node(), ExpressionPlace::map_key});
    if (spec.key.find("{{") == std::string::npos) {
      out_.error(key.node(),
                 "this gives every item the same name: expected a template such as "
                 "\"{{ item.id }}\"");
    }
  }
  spec.max_concurrent = map.member("max_concurrent").integer(0);
  spec.stop_after_failures = map.member("stop_after_failures").integer(0);
  const View tolerance = map.member("tolerated_failures");
  if (tolerance.is(NodeKind::string)) {
    spec.tolerated_failures = {true, parse_percent(tolerance.string()).value_or(0)};
  } else {
    spec.tolerated_failures = {false, tolerance.number(0)};
  }
  task.map = std::move(spec);
}

std::vector<int> TaskReader::exit_codes(View list) {
  std::vector<int> codes;
  list.for_each_element([&](View code) {
    const std::int64_t value = code.integer(0);
    if (value >= 1 && value <= 255) codes.push_back(static_cast<int>(value));
  });
  sort_unique(codes);
  return codes;
}

void TaskReader::read_retry(const Source& source, TaskSpec& task) {
  const View retry = source.view.member("retry");
  RetryPolicy& policy = task.retry;
  policy.max_attempts = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(retry.member("max_attempts").integer(1), 1, INT32_MAX));
  policy.delay = retry.member("delay").duration(policy.delay);
  policy.backoff = retry.member("backoff").word(policy.backoff, 3);
  policy.multiplier = retry.member("multiplier").number(policy.multiplier);
  const View max_delay = retry.member("max_delay");
  policy.max_delay = max_delay.duration(std::max(policy.max_delay, policy.delay));
  policy.jitter = retry.member("jitter").word(policy.jitter, 3);
  if (policy.max_delay < policy.delay) {
    out_.error(max_delay.node(), "\"max_delay\" " + quote(max_delay.string()) +
                                     " is shorter than the first \"delay\"");
  }
  const View on = retry.member("on");
  if (on.is(NodeKind::array)) policy.on = read_reasons(on);
  policy.on.bits &= ~read_reasons(retry.member("not_on")).bits;
  const View codes = retry.member("exit_codes");
  if (codes.is(NodeKind::array)) policy.exit_codes = exit_codes(codes);
  policy.not_exit_codes = exit_codes(retry.member("not_exit_codes"));
  if (policy.exit_codes && !policy.on.has(Reason::exit)) {
    out_.warn(codes.node(), "\"exit_codes\" has no effect: the reason \"exit\" is not retried");
  }
  // In the defaults it may be for other tasks.
  const View own = source.view.own_member("retry");
  if (own.is(NodeKind::object) && !retry.member("max_attempts").present()) {
    out_.warn(own.node(), "nothing is tried again: without \"max_attempts\" there is one attempt");
  }
  const View interrupt = source.view.member("on_interrupt");
  task.on_interrupt =
      interrupt.word(policy.max_attempts > 1 ? OnInterrupt::retry : OnInterrupt::hold, 3);
}

void TaskReader::read_limits(const Source& source, TaskSpec& task) {
  const View& view = source.view;
  task.timeout = view.member("timeout").duration(source.is_hook ? kHookTimeout : Duration{});
  task.total_timeout = view.member("total_timeout").duration({});
  task.queue_timeout = view.member("queue_timeout").duration({});
  task.stall_timeout = view.member("stall_timeout").duration({});
  task.kill_grace = view.member("kill_grace").duration(limits::kKillGraceDefault);
  task.priority = view.member("priority").integer(0);
  const View rate = view.member("rate_limit");
  if (rate.is(NodeKind::object)) {
    const View count = rate.member("count");
    const View per = rate.member("per");
    if (!count.present() || !per.present()) {
      out_.error(rate.node(), std::string("the key \"") + (count.present() ? "per" : "count") +
                                  "\" is missing: rate_limit needs it, such as {\"count\": 100, "
                                  "\"per\": \"1s\"}");
    }
    task.rate_limit = Rate{count.integer(1), per.duration(std::chrono::seconds(1))};
  }
  // Operators share a process, of which no part can be limited.
  const bool is_program = task.operator_name == "process";
  const View resources = is_program ? view.member("resources") : view.own_member("resources");
  if (!is_program && resources.is(NodeKind::object)) {
    out_.error_at_key(resources.node(),
                      "\"resources\" limits programs, and the operator " +
                          quote(task.operator_name) +
                          (task.calls_job() ? " starts none"
                                            : " runs in a process with others: use \"timeout\" and "
                                              "\"pool\", or run it as a \"command\""));
    return;
  }
  task.resources.memory_bytes = resources.member("memory").size(0);
  task.resources.cpu_time = resources.member("cpu_time").duration({});
  task.resources.pids = resources.member("pids").integer(0);
  const View nice = resources.member("nice");
  if (!nice.is(NodeKind::integer)) return;
  task.resources.nice = static_cast<int>(nice.integer(0));
  if (options_.may_have_nice && !options_.may_have_nice(*task.resources.nice)) {
    out_.error(nice.node(), "this user may not start programs with \"nice\" " +
                                std::to_string(*task.resources.nice) +
                                ": below the own one it needs a right (CAP_SYS_NICE, or "
                                "LimitNICE= of the unit)");
  }
}

void TaskReader::read_pools(const Source& source, TaskSpec& task) {
  if (task.calls_job()) return;
  const View pool = source.view.member("pool");
  if (pool.is(NodeKind::string)) {
    task.pools = {{std::string(pool.string()), 1}};
    check_pool(pool.node(), task.pools[0]);
  } else if (pool.is(NodeKind::object)) {
    task.pools.clear();
    pool.for_each_member([&](std::string_view name, View slots) {
      if (name == "$schema" || name.starts_with("x-") || !slots.is(NodeKind::integer)) return;
      task.pools.push_back({std::string(name), slots.integer(1)});
      check_pool(slots.node(), task.pools.back());
    });
    if (task.pools.empty()) out_.error(pool.node(), "this names no pool");
    std::sort(task.pools.begin(), task.pools.end(),
              [](const PoolUse& a, const PoolUse& b) { return a.pool < b.pool; });
  }
}

void TaskReader::too_wide(NodeId node, const PoolUse& use, std::int64_t slots) {
  out_.error(node, std::to_string(use.slots) + " slots are more than the pool " + quote(use.pool) +
                       " has, " + std::to_string(slots) + ": the task could never start");
}

void TaskReader::check_pool(NodeId node, const PoolUse& use) {
  const auto own = job_.pools.find(use.pool);
  if (own != job_.pools.end()) {
    if (use.slots > own->second.slots) too_wide(node, use, own->second.slots);
    return;
  }
  if (options_.any_pool || out_.full()) return;
  const auto shared = options_.known_pools.find(use.pool);
  if (shared != options_.known_pools.end()) {
    if (shared->second && use.slots > *shared->second) too_wide(node, use, *shared->second);
    return;
  }
  std::set<std::string_view> sorted;
  for (const auto& [name, slots] : options_.known_pools) sorted.insert(name);
  for (const auto& [name, spec] : job_.pools) sorted.insert(name);
  const std::vector<std::string_view> known(sorted.begin(), sorted.end());
  out_.error(node, "there is no pool " + quote(use.pool) + did_you_mean(use.pool, known) +
                       "; pools are " + list_words(known, "and"));
}

void TaskReader::read_output(const Source& source, TaskSpec& task) {
  const View output = source.view.own_member("output");
  if (output.is(NodeKind::object)) {
    task.output = output.member("format").word(OutputFormat::none, 4);
    task.output_from_file = output.member("from").string() == "file";
  } else {
    task.output = output.word(OutputFormat::none, 4);
  }
}

void TaskReader::check_texts(const Source& source, TaskSpec& task) {
  for (const Text& text : texts_) {
    references_.check(text.node, {text.place, source.node, source.index, source.is_hook}, task);
  }
  sort_unique(task.outputs_used);
  sort_unique(task.secrets);
  references_.check_variables();
}

}  // namespace pawl
