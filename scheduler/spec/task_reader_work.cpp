// What a task does: the program, the script or the operator, and the environment it runs in.

#include <algorithm>
#include <unordered_set>

#include "scheduler/base/limits.h"
#include "scheduler/spec/connections.h"
#include "scheduler/spec/expression.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/task_reader.h"

namespace pawl {
namespace {

/// What the defaults multiply with the tasks to; a file of 16 MiB could ask for terabytes.
constexpr std::size_t kResolvedBytesMax = std::size_t{256} << 20;
constexpr std::size_t kEntryBytes = 96;  ///< of a small string in a map

std::vector<std::string> read_words(View list) {
  std::vector<std::string> words;
  std::unordered_set<std::string_view> seen;
  list.for_each_element([&](View word) {
    if (seen.insert(word.string()).second) words.emplace_back(word.string());
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

/// False when a text is the same for all items of a task: what it names is the run's.
bool may_differ_by_item(const std::string& text) {
  auto compiled = Template::compile(text);
  const auto* made = std::get_if<Template>(&compiled);
  if (made == nullptr) return true;
  return std::any_of(made->references().begin(), made->references().end(), [](const auto& one) {
    const std::string& root = one.path.front();
    return root != "params" && root != "run" && root != "secrets";
  });
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

void TaskReader::set_job_keys(View job) {
  const View env = job.member("env");
  if (env.present()) overlay_variables(job_variables_, doc_, env.node());
  job_pass_env_ = read_words(job.member("pass_env"));
  job_working_dir_ = job.member("working_dir");
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
  const std::vector<int> skip = exit_codes(view.member("skip_exit_codes"));
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
  if (!name.is(NodeKind::string) || !may_name_operator(name.string())) return;
  task.operator_name = name.string();
  for (const std::string_view key : {"stdin", "shell", "skip_exit_codes"}) {
    if (const View own = view.own_member(key); own.present()) {
      out_.error_at_key(own.node(), quote(key) +
                                        " belongs to \"command\" and \"script\"; this "
                                        "task has the operator " +
                                        quote(task.operator_name));
    }
  }
  if (const View from = view.own_member("output").own_member("from");
      from.string() == "file" && task.operator_name != "process") {
    out_.error(from.node(),
               "\"file\" belongs to \"command\" and \"script\", which write "
               "$PAWL_OUTPUT; the output of an operator is what it gives back: leave "
               "\"from\" out");
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
  if (options_.operators != nullptr) check_operator(source, name, with, task);
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

void TaskReader::check_operator(const Source& source, View name, View with, const TaskSpec& task) {
  const OperatorInfo* info = options_.operators->find(task.operator_name);
  if (info == nullptr) {
    const std::vector<std::string> names = options_.operators->names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string& renewal = options_.operators->renewal();
    out_.error(name.node(), "there is no operator " + quote(task.operator_name) +
                                did_you_mean(task.operator_name, known) + "; there are " +
                                list_words(known, "and") + " (pawl operators)" +
                                (renewal.empty() ? "" : ". " + renewal));
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
  for (const ParameterError& wrong : parameters_.check(info->schema, parameters)) {
    out_.error(doc_.deepest(place, wrong.pointer),
               "operator " + quote(task.operator_name) + ": " + wrong.message);
  }
  for (const std::string& pointer : texts_with_secrets(parameters)) {
    if (may_use_secrets(info->schema, Json::json_pointer(pointer))) continue;
    out_.error(doc_.deepest(place, pointer),
               "operator " + quote(task.operator_name) + " takes no secrets here: it may show");
  }
  check_output(source, info->schema, parameters, task);
  check_files(source, View(doc_, place), info->schema, parameters, task);
  // Who gives up by itself sleeps between two looks, and the time asleep is none of an attempt.
  const View timeout = source.view.own_member("timeout");
  const bool gives_up =
      info->schema.contains(Json::json_pointer("/properties/timeout")) && parameters.is_object();
  const bool is_bounded =
      !gives_up || parameters.contains("timeout") || source.view.member("total_timeout").present();
  if (timeout.present() && !is_bounded) {
    out_.warn(timeout.node(), "the time that " + quote(task.operator_name) +
                                  " sleeps between two looks does not count: it gives up after "
                                  "\"timeout\" in \"with\", or \"total_timeout\"");
  }
}

/// `x-pawl-output` of a schema: false where no output comes, or the parameter without which none
/// does. Nothing is no JSON.
void TaskReader::check_output(const Source& source, const Json& schema, const Json& with,
                              const TaskSpec& task) {
  const auto gives = schema.find("x-pawl-output");
  if (gives == schema.end() || task.output != OutputFormat::json) return;
  const std::string name = gives->is_string() ? gives->get<std::string>() : "";
  if (!name.empty() && with.contains(name)) return;
  out_.error(source.view.own_member("output").node(),
             "operator " + quote(task.operator_name) + " gives no output" +
                 (name.empty() ? "" : " without its parameter " + quote(name)) +
                 ", which is no JSON: " +
                 (name.empty() ? "" : "give it " + quote(name) + " in \"with\", or ") +
                 "leave \"output\" out");
}

/// Files that the operator writes (`x-pawl-writes`): items of one task must not share one.
void TaskReader::check_files(const Source& source, View place, const Json& schema, const Json& with,
                             const TaskSpec& task) {
  if (!task.is_mapped()) return;
  View folder = source.view.member("working_dir");
  if (!folder.present()) folder = job_working_dir_;
  const auto properties = schema.find("properties");
  if (properties == schema.end()) return;
  for (const auto& [name, property] : properties->items()) {
    const auto path = with.find(name);
    if (!property.is_object() || !property.value("x-pawl-writes", false) || path == with.end() ||
        !path->is_string()) {
      continue;
    }
    const std::string& text = path->get_ref<const std::string&>();
    if (may_differ_by_item(text) ||
        (!text.starts_with('/') && may_differ_by_item(std::string(folder.string())))) {
      continue;
    }
    out_.error(doc_.deepest(place.node(), "/" + name),
               "all items of this task write the same file: name the item in it, such as " +
                   quote("{{ index }}-" + text.substr(text.rfind('/') + 1)));
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
  const bool has_removed = doc_.is(doc_.member(source.node, "env"), NodeKind::null);
  if (source.defaults != kNoNode && !has_removed) {
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

bool TaskReader::is_too_large() const { return bytes_ > kResolvedBytesMax; }

void TaskReader::spend(NodeId node, std::size_t bytes) {
  const bool was_too_large = is_too_large();
  bytes_ += bytes;
  if (is_too_large() && !was_too_large) {
    out_.error(node, "what the job and its defaults set for every task comes to more than " +
                         std::to_string(kResolvedBytesMax >> 20) +
                         " MiB over all tasks: move it into a file that the tasks read");
  }
}

}  // namespace pawl
