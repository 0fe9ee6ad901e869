#include "scheduler/spec/plan.h"

#include <algorithm>
#include <map>

#include "scheduler/base/bytes.h"
#include "scheduler/base/shell.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/expression.h"

namespace pawl {
namespace {

Json duration_or_null(Duration duration) {
  return duration.count() == 0 ? Json() : Json(format_duration(duration));
}

/// Seconds, whole where they are whole.
Json seconds(Duration duration) {
  if (duration.count() % 1000 == 0) return duration.count() / 1000;
  return static_cast<double>(duration.count()) / 1000.0;
}

std::optional<std::string> rendered(const std::string& text, const Context& context) {
  const auto compiled = Template::compile(text);
  const auto* parsed = std::get_if<Template>(&compiled);
  if (parsed == nullptr) return std::nullopt;
  const auto result = parsed->render_text(context, false);
  const auto* value = std::get_if<std::string>(&result);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

Json retry_json(const RetryPolicy& retry) {
  Json on = Json::array();
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (retry.on.has(static_cast<Reason>(i))) on.push_back(to_string(static_cast<Reason>(i)));
  }
  Json out = {{"max_attempts", retry.max_attempts},
              {"delay", format_duration(retry.delay)},
              {"backoff", to_string(retry.backoff)},
              {"multiplier", retry.multiplier},
              {"max_delay", format_duration(retry.max_delay)},
              {"jitter", to_string(retry.jitter)},
              {"on", std::move(on)}};
  if (retry.exit_codes) out["exit_codes"] = *retry.exit_codes;
  if (!retry.not_exit_codes.empty()) out["not_exit_codes"] = retry.not_exit_codes;
  return out;
}

Json map_json(const MapSpec& map) {
  Json out = Json::object();
  switch (map.kind) {
    case MapSpec::Kind::inline_array:
      out["items"] = Json::parse(map.items);
      out["count"] = out["items"].size();
      break;
    case MapSpec::Kind::expression: out["items"] = map.items; break;
    case MapSpec::Kind::file:
      out["items"] = {{"file", map.items}, {"format", to_string(map.format)}};
      break;
  }
  if (!map.key.empty()) out["key"] = map.key;
  out["max_concurrent"] = map.max_concurrent == 0 ? Json() : Json(map.max_concurrent);
  const Tolerance& tolerance = map.tolerated_failures;
  if (tolerance.is_percent) {
    const auto whole = static_cast<std::int64_t>(tolerance.value);
    const bool is_whole = static_cast<double>(whole) == tolerance.value;
    out["tolerated_failures"] = (is_whole ? Json(whole) : Json(tolerance.value)).dump() + "%";
  } else {
    out["tolerated_failures"] = static_cast<std::int64_t>(tolerance.value);
  }
  out["stop_after_failures"] =
      map.stop_after_failures == 0 ? Json() : Json(map.stop_after_failures);
  return out;
}

class Planner {
 public:
  Planner(const JobSpec& job, const Json& params, KernelLimits kept)
      : job_(job), params_(params), kept_(kept) {}

  Json task(const TaskSpec& task) const {
    Json out = {{"id", task.id},
                {"operator", task.operator_name},
                {"trigger_rule", to_string(task.trigger_rule)},
                {"allow_failure", task.allow_failure},
                {"when", task.when.empty() ? Json() : Json(task.when)},
                {"retry", retry_json(task.retry)},
                {"timeout", duration_or_null(task.timeout)},
                {"total_timeout", duration_or_null(task.total_timeout)},
                {"queue_timeout", duration_or_null(task.queue_timeout)},
                {"stall_timeout", duration_or_null(task.stall_timeout)},
                {"kill_grace", format_duration(task.kill_grace)},
                {"priority", task.priority},
                {"on_interrupt", to_string(task.on_interrupt)},
                {"output", to_string(task.output)},
                {"working_dir", task.working_dir.empty() ? Json() : Json(task.working_dir)},
                {"pass_env", task.pass_env},
                {"secrets", task.secrets}};
    out["depends_on"] = Json::array();
    for (const Dependency& d : task.depends_on) {
      out["depends_on"].push_back(job_.tasks[d.task.value].id);
      if (d.each) out["each"].push_back(job_.tasks[d.task.value].id);
    }
    out["retry_delays_seconds"] = Json::array();
    for (std::int32_t n = 1; n < task.retry.max_attempts; ++n) {
      out["retry_delays_seconds"].push_back(seconds(retry_delay(task.retry, n)));
    }
    out["pools"] = Json::object();
    for (const PoolUse& use : task.pools) out["pools"][use.pool] = use.slots;
    out["map"] = task.map ? map_json(*task.map) : Json();
    if (task.output_from_file) out["output_from"] = "file";
    add_limits(task, out);
    add_work(task, out);
    return out;
  }

 private:
  void add_limits(const TaskSpec& task, Json& out) const {
    if (task.rate_limit) {
      out["rate_limit"] = {{"count", task.rate_limit->count},
                           {"per", format_duration(task.rate_limit->per)}};
    }
    Json resources = resources_json(task.resources, kept_);
    if (resources.empty()) return;
    out["resources"] = std::move(resources);
  }

  void add_work(const TaskSpec& task, Json& out) const {
    Json names = {{"params", params_},
                  {"run", {{"job", job_.name}}},
                  {"task", {{"id", task.id}}},
                  {"secrets", Json::object()}};
    for (const std::string& secret : task.secrets) names["secrets"][secret] = "***";
    const JsonContext before(names);
    Json env = Json::object();
    Json known = Json::object();
    for (const auto& [name, value] : task.env) {
      const auto text = rendered(value, before);
      env[name] = text.value_or(value);
      if (text) known[name] = *text;
    }
    out["env"] = std::move(env);
    const Json with = Json::parse(task.with, nullptr, false);
    if (with.is_discarded()) return;
    if (task.operator_name != "process") {
      out["with"] = with;
      return;
    }
    if (with.contains("script")) {
      out["script"] = with["script"];
      out["shell"] = with["shell"];
      return;
    }
    names["env"] = std::move(known);
    names.erase("secrets");
    add_command(with["command"], JsonContext(std::move(names)), out);
  }

  /// `command` when every argument can be rendered now, else `command_template` as written.
  static void add_command(const Json& arguments, const Context& context, Json& out) {
    Json command = Json::array();
    for (const Json& argument : arguments) {
      const auto text = rendered(argument.get<std::string>(), context);
      if (!text) {
        out["command_template"] = arguments;
        return;
      }
      command.push_back(*text);
    }
    out["command"] = std::move(command);
  }

  const JobSpec& job_;
  const Json& params_;
  KernelLimits kept_;
};

void add_line(std::string& out, std::string_view name, const std::string& value) {
  constexpr std::size_t kWidth = 14;
  out += "    " + std::string(name) + std::string(kWidth - std::min(kWidth - 1, name.size()), ' ') +
         escape_for_terminal(value) + "\n";
}

/// Words that a shell reads back as they are.
std::string shell_words(const Json& arguments) {
  std::string out;
  for (const Json& argument : arguments) {
    if (!out.empty()) out += ' ';
    out += shell_word(argument.get<std::string>());
  }
  return out;
}

std::string joined(const Json& list) {
  constexpr std::size_t kShown = 12;
  std::string out;
  for (std::size_t i = 0; i < list.size() && i < kShown; ++i) {
    if (i > 0) out += ", ";
    out += list[i].is_string() ? list[i].get<std::string>() : list[i].dump();
  }
  return list.size() > kShown ? out + ", …" : out;
}

void add_task_text(const Json& task, std::string& out) {
  out += "  " + task["id"].get<std::string>();
  if (task.contains("level")) out += "  (level " + task["level"].dump() + ")";
  out += "\n";
  if (!task["depends_on"].empty()) {
    add_line(out, "after",
             joined(task["depends_on"]) + ", " + task["trigger_rule"].get<std::string>());
  }
  if (task.contains("command")) add_line(out, "command", shell_words(task["command"]));
  if (task.contains("command_template")) {
    add_line(out, "command", shell_words(task["command_template"]) + "   (rendered in the run)");
  }
  if (task.contains("script")) {
    const auto text = task["script"].get<std::string>();
    const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
    add_line(
        out, "script",
        std::to_string(lines) + (lines == 1 ? " line, " : " lines, ") + shell_words(task["shell"]));
  }
  if (task.contains("with")) {
    add_line(out, "operator", task["operator"].get<std::string>() + " " + task["with"].dump());
  }
  if (!task["when"].is_null()) add_line(out, "when", task["when"].get<std::string>());
  if (!task["map"].is_null()) {
    const Json& map = task["map"];
    add_line(out, "map",
             map.contains("count")      ? map["count"].dump() + " items"
             : map["items"].is_string() ? map["items"].get<std::string>()
                                        : map["items"].dump());
  }
  const Json& delays = task["retry_delays_seconds"];
  if (!delays.empty()) {
    add_line(out, "attempts",
             task["retry"]["max_attempts"].dump() + ", waits of " + joined(delays) +
                 " s before jitter (" + task["retry"]["jitter"].get<std::string>() + ")");
  }
  if (!task["timeout"].is_null()) add_line(out, "timeout", task["timeout"].get<std::string>());
  if (task.contains("resources")) add_line(out, "limits", resources_text(task["resources"]));
  if (!task["pools"].empty() && task["pools"] != Json({{"default", 1}}))
    add_line(out, "pool", task["pools"].dump());
  if (task["output"] != "none") add_line(out, "output", task["output"].get<std::string>());
}

}  // namespace

Json resources_json(const Resources& limits, KernelLimits kept) {
  Json out = Json::object();
  Json kept_by = Json::object();
  const auto keeper = [](bool by_kernel) { return by_kernel ? "control group" : "looks"; };
  if (limits.memory_bytes > 0) {
    out["memory_bytes"] = limits.memory_bytes;
    kept_by["memory"] = keeper(kept.memory);
  }
  if (limits.cpu_time.count() > 0) {
    out["cpu_time"] = format_duration(limits.cpu_time);
    kept_by["cpu_time"] = keeper(false);
  }
  if (limits.pids > 0) {
    out["pids"] = limits.pids;
    kept_by["pids"] = keeper(kept.pids);
  }
  if (limits.nice) {
    out["nice"] = *limits.nice;
    kept_by["nice"] = "system";
  }
  if (!kept_by.empty()) out["kept_by"] = std::move(kept_by);
  return out;
}

std::string resources_text(const Json& resources) {
  if (resources.empty()) return {};
  const Json& kept_by = resources["kept_by"];
  std::map<std::string, std::string> by_keeper;
  for (const char* limit : {"memory", "cpu_time", "pids"}) {
    if (!kept_by.contains(limit)) continue;
    std::string& text = by_keeper[kept_by[limit].get<std::string>()];
    if (!text.empty()) text += ", ";
    text += std::string(limit) + " ";
    if (std::string_view(limit) == "memory") {
      text += format_bytes(resources["memory_bytes"].get<std::uint64_t>());
    } else {
      text += resources[limit].is_string() ? resources[limit].get<std::string>()
                                           : resources[limit].dump();
    }
  }
  std::string out;
  for (const auto& [keeper, text] : by_keeper) {
    if (!out.empty()) out += "; ";
    out += text + (keeper == "looks" ? " (kept by looking at the processes)"
                                     : " (kept by the kernel, in a control group)");
  }
  if (resources.contains("nice")) {
    out += (out.empty() ? "" : "; ") + ("nice " + resources["nice"].dump());
  }
  return out;
}

Json plan_json(const JobSpec& job, std::string_view params, std::span<const Diagnostic> diagnostics,
               KernelLimits kept) {
  const Json values = Json::parse(params, nullptr, false);
  Json out = {{"job", job.name},
              {"params", values},
              {"timeout", duration_or_null(job.timeout)},
              {"tasks", Json::array()},
              {"hooks", Json::array()},
              {"warnings", Json::array()}};
  const Planner planner(job, values, kept);
  const std::vector<std::int32_t> level = levels(job);
  for (const TaskIndex index : topological_order(job)) {
    Json task = planner.task(job.tasks[index.value]);
    task["level"] = level[index.value];
    out["tasks"].push_back(std::move(task));
  }
  for (const HookSpec& hook : job.hooks) out["hooks"].push_back(planner.task(hook.task));
  for (const Diagnostic& diagnostic : diagnostics) {
    if (diagnostic.severity != Diagnostic::Severity::warning) continue;
    out["warnings"].push_back({{"line", diagnostic.line},
                               {"column", diagnostic.column},
                               {"pointer", diagnostic.pointer},
                               {"message", diagnostic.message}});
  }
  return out;
}

std::string plan_text(const Json& plan) {
  std::string out = plan["job"].get<std::string>() + ": " + std::to_string(plan["tasks"].size()) +
                    (plan["tasks"].size() == 1 ? " task" : " tasks");
  if (!plan["timeout"].is_null()) out += ", timeout " + plan["timeout"].get<std::string>();
  if (!plan["params"].empty()) out += ", params " + escape_for_terminal(plan["params"].dump());
  out += "\n";
  for (const Json& task : plan["tasks"]) add_task_text(task, out);
  for (const Json& hook : plan["hooks"]) add_task_text(hook, out);
  for (const Json& warning : plan["warnings"]) {
    out += "warning: " + escape_for_terminal(warning["message"].get<std::string>()) + " (at " +
           escape_for_terminal(warning["pointer"].get<std::string>()) + ")\n";
  }
  return out;
}

}  // namespace pawl
