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

/// What the defaults multiply with the tasks to; a file of 16 MiB could ask for terabytes.
constexpr std::size_t kResolvedBytesMax = std::size_t{256} << 20;
constexpr std::size_t kEntryBytes = 96;  ///< of a small string in a map
constexpr Duration kHookTimeout = std::chrono::minutes(5);

std::vector<int> read_codes(View list) {
  std::vector<int> codes;
  list.for_each_element([&](View code) {
    const std::int64_t value = code.integer(0);
    if (value >= 1 && value <= 255) codes.push_back(static_cast<int>(value));
  });
  std::sort(codes.begin(), codes.end());
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  return codes;
}

ReasonSet read_reasons(View list) {
  ReasonSet set;
  list.for_each_element([&](View word) {
    const auto reason = reason_from(word.string());
    if (reason && is_retryable_word(*reason)) set.add(*reason);
  });
  return set;
}

std::vector<std::string> read_words(View list) {
  std::vector<std::string> words;
  list.for_each_element([&](View word) {
    if (std::find(words.begin(), words.end(), word.string()) == words.end()) {
      words.emplace_back(word.string());
    }
  });
  return words;
}

/// A shell and its options: a list, or one text cut at blanks.
Json read_shell(View shell) {
  Json out = Json::array();
  if (shell.is(NodeKind::array)) {
    shell.for_each_element([&](View word) { out.push_back(std::string(word.string())); });
  } else if (shell.is(NodeKind::string)) {
    const std::string_view text = shell.string();
    for (std::size_t at = text.find_first_not_of(' '); at != std::string_view::npos;
         at = text.find_first_not_of(' ', at)) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      out.push_back(std::string(text.substr(at, end - at)));
      at = end;
    }
  }
  if (out.empty()) out = {"/bin/bash", "-eo", "pipefail"};
  return out;
}

/// Pointers of the texts that name a secret in a template.
std::vector<std::string> texts_with_secrets(const Json& value) {
  std::vector<std::string> out;
  const Json flat = value.flatten();
  for (const auto& [pointer, text] : flat.items()) {
    if (!text.is_string()) continue;
    auto compiled = Template::compile(text.get_ref<const std::string&>());
    const auto* made = std::get_if<Template>(&compiled);
    if (made == nullptr) continue;
    for (const Reference& reference : made->references()) {
      if (reference.path.empty() || reference.path.front() != "secrets") continue;
      out.push_back(pointer);
      break;
    }
  }
  return out;
}

}  // namespace

void overlay_variables(Variables& variables, const Document& document, NodeId env) {
  if (!document.is(env, NodeKind::object)) return;
  for (NodeId m = document.first_child(env); m != kNoNode; m = document.next(m)) {
    const std::string_view name = document.key(m);
    if (name == "$schema" || name.starts_with("x-")) continue;
    if (document.kind(m) == NodeKind::null) {
      variables.erase(name);
    } else if (document.kind(m) == NodeKind::string) {
      variables[name] = m;
    }
  }
}

TaskReader::TaskReader(const Document& document, const ParseOptions& options, const JobSpec& job,
                       const TaskIds& ids, Diagnostics& diagnostics)
    : doc_(document),
      options_(options),
      job_(job),
      ids_(ids),
      out_(diagnostics),
      references_(document, job, ids, diagnostics) {}

void TaskReader::set_job_keys(View job) {
  const View env = job.member("env");
  if (env.present()) overlay_variables(job_variables_, doc_, env.node());
  job_pass_env_ = read_words(job.member("pass_env"));
  job_working_dir_ = job.member("working_dir");
}

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
  if (out_.full() || bytes_ > kResolvedBytesMax) return task;  // the file is refused anyway
  read_dependencies(source, task);
  read_map(source, task);
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
  read_output(source, task);
  check_texts(source, task);
  return task;
}

void TaskReader::read_work(const Source& source, TaskSpec& task) {
  const View command = source.view.own_member("command");
  const View script = source.view.own_member("script");
  const View own_operator = source.view.own_member("operator");
  if (command.present() && script.present()) {
    out_.error_at_key(std::max(command.node(), script.node()),
                      "\"command\" and \"script\" exclude each other: a task does one thing");
  }
  const View program = command.present() ? command : script;
  if (program.present() && own_operator.present()) {
    out_.error_at_key(own_operator.node(), "\"operator\" stands beside " +
                                               quote(doc_.key(program.node())) +
                                               ": a task does one thing");
  }
  if (program.present()) {
    read_program(source, command, script, task);
  } else {
    read_operator(source, task);
  }
}

void TaskReader::read_program(const Source& source, View command, View script, TaskSpec& task) {
  const View& view = source.view;
  Json with = Json::object();
  if (command.present()) {
    Json arguments = Json::array();
    command.for_each_element([&](View argument) {
      arguments.push_back(std::string(argument.string()));
      if (argument.is(NodeKind::string)) {
        texts_.push_back({argument.node(), ExpressionPlace::command});
      }
    });
    if (!arguments.empty() && arguments[0].get_ref<const std::string&>().empty()) {
      out_.error(doc_.first_child(command.node()), "the program's name is empty");
    }
    with["command"] = std::move(arguments);
    if (const View shell = view.own_member("shell"); shell.present()) {
      out_.warn(shell.node(), "\"shell\" runs a script; a command has none");
    }
  } else {
    std::string text = script.text();
    if (text.find("{{") != std::string::npos) {
      out_.warn(script.node(),
                "`{{` is plain text in a script: hand data over in \"env\", such as "
                "\"env\": {\"REGION\": \"{{ params.region }}\"} and $REGION");
    }
    spend(script.node(), text.size());
    with["script"] = std::move(text);
    with["shell"] = read_shell(view.member("shell"));
  }
  if (const View input = view.own_member("stdin"); input.present()) {
    with["stdin"] = input.text();
    if (input.is(NodeKind::string)) texts_.push_back({input.node(), ExpressionPlace::stdin_text});
    input.for_each_element([&](View line) {
      if (line.is(NodeKind::string)) texts_.push_back({line.node(), ExpressionPlace::stdin_text});
    });
  }
  const std::vector<int> skip = read_codes(view.member("skip_exit_codes"));
  if (!skip.empty()) with["skip_exit_codes"] = skip;
  if (const View own = view.own_member("with"); own.present()) {
    out_.error_at_key(own.node(),
                      "\"with\" holds the parameters of an \"operator\"; this task "
                      "runs a program");
  }
  task.with = with.dump();
}

void TaskReader::read_operator(const Source& source, TaskSpec& task) {
  const View& view = source.view;
  const View name = view.member("operator");
  if (!name.present()) {
    out_.error(source.node, std::string(source.is_hook ? "a hook" : "a task") +
                                " needs one of \"command\", \"script\" or \"operator\"");
    return;
  }
  task.operator_name = name.string();
  for (const std::string_view key : {"stdin", "shell", "skip_exit_codes"}) {
    if (const View own = view.own_member(key); own.present()) {
      out_.error_at_key(own.node(), quote(key) +
                                        " belongs to \"command\" and \"script\"; this "
                                        "task has the operator " +
                                        quote(task.operator_name));
    }
  }
  const bool same_operator =
      doc_.is(source.defaults, NodeKind::object) &&
      View(doc_, source.defaults).member("operator").string() == task.operator_name;
  const View with = same_operator ? view.member("with") : view.own_member("with");
  if (with.is(NodeKind::object)) {
    task.with = merged_json(with).dump();
    if (with.merged() || !doc_.contains(source.node, with.node())) {
      spend(with.node(), task.with.size());
    }
  } else {
    task.with = "{}";
  }
  if (options_.operators != nullptr) check_operator(name, with, task);
  if (task.calls_job()) check_call(source, with, task);
}

/// A task that calls a job has no process: what is said of one belongs to the tasks of that job.
void TaskReader::check_call(const Source& source, View with, TaskSpec& task) {
  for (const std::string_view key :
       {"pool", "working_dir", "pass_env", "output", "stall_timeout", "kill_grace"}) {
    if (const View own = source.view.own_member(key); own.present()) {
      out_.error_at_key(own.node(), "the operator \"job\" starts no process and takes no slot: " +
                                        quote(key) + " belongs to the tasks of the job it calls");
    }
  }
  task.pools.clear();
  task.output = OutputFormat::json;
  task.output_from_file = false;
  const View job = with.is(NodeKind::object) ? with.member("job") : with;
  if (job.is(NodeKind::string) && job.string() == job_.name)
    out_.error(job.node(), "job " + quote(job_.name) + " would start itself");
}

void TaskReader::check_operator(View name, View with, const TaskSpec& task) {
  if (!name.present() || task.operator_name == "process") return;
  const OperatorInfo* info = options_.operators->find(task.operator_name);
  if (info == nullptr) {
    const std::vector<std::string> names = options_.operators->names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    out_.error(name.node(), "there is no operator " + quote(task.operator_name) +
                                did_you_mean(task.operator_name, known) + "; there are " +
                                list_words(known, "and") + " (pawl operators)");
    return;
  }
  // What comes from the defaults stands elsewhere: then the last one on the way that the file has.
  const NodeId place = with.present() ? with.node() : name.node();
  std::string whole = task.with;
  if (options_.connections) {
    auto connected = with_connection(task.with, task.operator_name, *options_.connections);
    if (!connected) {
      out_.error(doc_.deepest(place, "/connection"), connected.error().message);
      return;
    }
    whole = *std::move(connected);
  } else if (names_connection(task.with)) {
    return;  // of a machine whose settings are not known here
  }
  const Json parameters = Json::parse(whole, nullptr, false);
  for (const ParameterError& wrong : check_parameters(info->schema, parameters)) {
    out_.error(doc_.deepest(place, wrong.pointer),
               "operator " + quote(task.operator_name) + ": " + wrong.message);
  }
  for (const std::string& pointer : texts_with_secrets(parameters)) {
    if (may_use_secrets(info->schema, Json::json_pointer(pointer))) continue;
    out_.error(doc_.deepest(place, pointer),
               "operator " + quote(task.operator_name) + " takes no secrets here: it may show");
  }
}

Json TaskReader::merged_json(View view) {
  if (view.is(NodeKind::object)) {
    Json object = Json::object();
    // Without defaults underneath a null is a value like any other.
    if (!view.merged()) {
      for (NodeId m = doc_.first_child(view.node()); m != kNoNode; m = doc_.next(m)) {
        object[std::string(doc_.key(m))] = merged_json(View(doc_, m));
      }
    } else {
      view.for_each_member(
          [&](std::string_view key, View value) { object[std::string(key)] = merged_json(value); });
    }
    return object;
  }
  if (view.is(NodeKind::array)) {
    Json list = Json::array();
    view.for_each_element([&](View element) { list.push_back(merged_json(element)); });
    return list;
  }
  if (view.is(NodeKind::string)) texts_.push_back({view.node(), ExpressionPlace::with});
  return doc_.to_json(view.node());
}

void TaskReader::read_environment(const Source& source, TaskSpec& task) {
  Variables variables = job_variables_;
  if (source.defaults != kNoNode) {
    overlay_variables(variables, doc_, doc_.member(source.defaults, "env"));
  }
  overlay_variables(variables, doc_, source.view.own_member("env").node());
  for (const auto& [name, node] : variables) {
    const std::string_view value = doc_.string(node);
    task.env.emplace(name, value);
    texts_.push_back({node, ExpressionPlace::env});
    spend(node, name.size() + value.size() + kEntryBytes);
    if (sounds_secret(name) && !value.empty() && value.find("{{") == std::string_view::npos) {
      out_.warn(node, "the variable " + quote(name) +
                          " holds a literal: keep it out of the file, "
                          "with \"secrets\" and {{ secrets.NAME }}");
    }
    if (name.starts_with("PAWL_")) {
      out_.warn(node, "the variable " + quote(name) + " may be set by pawl, which then wins");
    }
  }
  const View pass = source.view.member("pass_env");
  task.pass_env = pass.is(NodeKind::array) ? read_words(pass) : job_pass_env_;
  spend(source.node, task.pass_env.size() * kEntryBytes);
  View folder = source.view.member("working_dir");
  if (!folder.present()) folder = job_working_dir_;
  if (folder.is(NodeKind::string)) {
    task.working_dir = folder.string();
    texts_.push_back({folder.node(), ExpressionPlace::working_dir});
    spend(folder.node(), task.working_dir.size());
  }
}

void TaskReader::spend(NodeId node, std::size_t bytes) {
  const bool within = bytes_ <= kResolvedBytesMax;
  bytes_ += bytes;
  if (within && bytes_ > kResolvedBytesMax) {
    out_.error(node, "what the job and its defaults set for every task comes to more than " +
                         std::to_string(kResolvedBytesMax >> 20) +
                         " MiB over all tasks: move it into a file that the tasks read");
  }
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
  if (codes.is(NodeKind::array)) policy.exit_codes = read_codes(codes);
  policy.not_exit_codes = read_codes(retry.member("not_exit_codes"));
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
  if (options_.any_pool) return;
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
  if (task.calls_job()) return;
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
}

}  // namespace pawl
