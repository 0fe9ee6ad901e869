#include "plugins/worker/rendering.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "plugins/worker/operator_backend.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

Error invalid(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

/// What no template is to blame for.
Error refused(std::string message) { return {ErrorKind::refused, std::move(message)}; }

Error wrong_template(std::string_view where, const ExpressionError& error) {
  return invalid(std::string(where) + ": " + error.message);
}

bool names(const Template& text, std::string_view root) {
  return std::any_of(text.references().begin(), text.references().end(),
                     [&](const Reference& r) { return !r.path.empty() && r.path.front() == root; });
}

/// For templates that name nothing.
class NoNames final : public Context {
 public:
  const Json* find(std::string_view) const override { return nullptr; }
  std::vector<std::string_view> names() const override { return {}; }
};

std::string text_of(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Whether a text of so many bytes may be an argument or a variable with its name.
bool fits(std::string_view text, std::size_t bytes) {
  return bytes < limits::kArgumentBytesMax && text.find('\0') == std::string_view::npos;
}

/// The same for a variable.
bool fits(std::string_view name, std::string_view value) {
  return fits(value, name.size() + 1 + value.size());
}

/// What the kernel would refuse or cut: told here, with the place.
Result<void> check_text(std::string_view where, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return invalid(std::string(where) + " holds a NUL byte");
  }
  if (text.size() >= limits::kArgumentBytesMax) {
    return invalid(
        std::string(where) + " has " + std::to_string(text.size()) +
        " bytes, the system takes at most 128 KiB: put it into a file or standard input");
  }
  return {};
}

}  // namespace

/// The names that templates of one attempt may use. What is costly is made when first asked for.
class CompiledDefinition::AttemptContext final : public Context {
 public:
  AttemptContext(const CompiledDefinition& definition, const frame::AttemptStart& start,
                 const AttemptSurroundings& around)
      : definition_(definition), start_(start), around_(around) {}

  const Json* find(std::string_view name) const override {
    if (name == "params") return &definition_.params_;
    if (name == "run") return &definition_.run_;
    if (name == "tasks") return tasks();
    if (name == "env") return &env_;
    if (name == "task") return task();
    if (name == "secrets") return secrets();
    if (start_.item == kWhole) return nullptr;
    if (name == "item") return item();
    if (name == "index") return index();
    return nullptr;
  }

  std::vector<std::string_view> names() const override {
    std::vector<std::string_view> all = {"params", "run", "task", "tasks", "env", "secrets"};
    if (start_.item != kWhole) all.insert(all.end(), {"item", "index"});
    return all;
  }

  std::string_view why_left_out(const Json& object, std::string_view key) const override {
    return why_output_is_left_out(definition_.outputs_left_out_, *tasks(), object, key);
  }

  /// The item as JSON; null pointer when it is none.
  const Json* item() const {
    if (!item_) item_ = Json::parse(start_.payload, nullptr, false);
    return item_->is_discarded() ? nullptr : &*item_;
  }

  void set_env(const std::string& name, std::string value) { env_[name] = std::move(value); }

 private:
  const Json* task() const {
    if (!task_) {
      task_ = Json{{"id", definition_.definition_.task}, {"attempt", start_.number}};
      (*task_)["index"] = start_.item == kWhole ? Json() : Json(start_.item.value);
      (*task_)["key"] = start_.key.empty() ? Json() : Json(start_.key);
    }
    return &*task_;
  }
  const Json* tasks() const {
    if (start_.tasks.empty()) return &definition_.tasks_;
    if (!tasks_) {
      tasks_ = definition_.tasks_;
      const Json pairs = Json::parse(start_.tasks, nullptr, false);
      if (pairs.is_object()) tasks_->update(pairs);
    }
    return &*tasks_;
  }
  const Json* secrets() const {
    if (!secrets_) secrets_ = Json(around_.secrets);
    return &*secrets_;
  }
  const Json* index() const {
    if (!index_) index_ = Json(start_.item.value);
    return &*index_;
  }

  const CompiledDefinition& definition_;
  const frame::AttemptStart& start_;
  const AttemptSurroundings& around_;
  Json env_ = Json::object();
  mutable std::optional<Json> item_;
  mutable std::optional<Json> task_;
  mutable std::optional<Json> tasks_;
  mutable std::optional<Json> secrets_;
  mutable std::optional<Json> index_;
};

// Compiling --------------------------------------------------------------------------------------

CompiledDefinition::~CompiledDefinition() = default;

Result<std::unique_ptr<const CompiledDefinition>> CompiledDefinition::compile(
    TaskDefinition definition, const std::map<std::string, std::string>& login_defaults) {
  std::unique_ptr<CompiledDefinition> made(new CompiledDefinition(std::move(definition)));
  if (auto done = made->compile_with(); !done) return done.error();
  if (auto done = made->make_base_env(login_defaults); !done) return done.error();
  if (auto done = made->compile_env(); !done) return done.error();
  if (made->names_something_) {
    if (auto done = made->compile_context(); !done) return done.error();
  }
  return std::unique_ptr<const CompiledDefinition>(std::move(made));
}

Result<Template> CompiledDefinition::compile_template(std::string_view text,
                                                      std::string_view where) {
  auto compiled = Template::compile(text);
  if (auto* error = std::get_if<ExpressionError>(&compiled)) return wrong_template(where, *error);
  auto& result = std::get<Template>(compiled);
  needs_env_context_ = needs_env_context_ || names(result, "env");
  names_something_ = names_something_ || !result.references().empty();
  return std::move(result);
}

Result<void> CompiledDefinition::compile_context() {
  Json context = Json::parse(definition_.context, nullptr, false);
  if (!context.is_object()) return refused("context: not a JSON object");
  auto take = [&](const char* name) {
    auto at = context.find(name);
    return at == context.end() ? Json::object() : std::move(*at);
  };
  params_ = take("params");
  run_ = take("run");
  tasks_ = take("tasks");
  outputs_left_out_ = take(kOutputsLeftOut);
  return {};
}

Result<void> CompiledDefinition::compile_with() {
  Json with = Json::parse(definition_.with, nullptr, false);
  if (!with.is_object()) return refused("with: not a JSON object");
  if (!definition_.working_dir.empty()) {
    auto folder = compile_template(definition_.working_dir, "working_dir");
    if (!folder) return folder.error();
    working_dir_ = std::move(*folder);
  }
  return definition_.operator_name == "process" ? compile_program(with)
                                                : compile_parameters(std::move(with));
}

Result<void> CompiledDefinition::compile_parameters(Json with) {
  auto compiled = JsonTemplate::compile(std::move(with));
  if (auto* error = std::get_if<ExpressionError>(&compiled)) return wrong_template("with", *error);
  auto& parameters = std::get<JsonTemplate>(compiled);
  if (parameters.is_verbatim()) return {};
  if (parameters.is_literal()) {
    const auto rendered = parameters.render(NoNames());
    if (const auto* error = std::get_if<ExpressionError>(&rendered))
      return wrong_template("with", *error);
    definition_.with = text_of(std::get<Json>(rendered));
    return {};
  }
  names_something_ = true;
  for (const Reference& r : parameters.references()) {
    needs_env_context_ = needs_env_context_ || (!r.path.empty() && r.path.front() == "env");
  }
  with_ = std::move(parameters);
  return {};
}

Result<void> CompiledDefinition::compile_program(const Json& with) {
  auto text_list = [&](const char* name) {
    std::vector<std::string> list;
    if (!with.contains(name) || !with[name].is_array()) return list;
    for (const Json& v : with[name])
      list.push_back(v.is_string() ? v.get<std::string>() : v.dump());
    return list;
  };
  std::size_t place = 0;
  for (const std::string& text : text_list("command")) {
    auto argument = compile_template(text, "command[" + std::to_string(place++) + "]");
    if (!argument) return argument.error();
    command_.push_back(std::move(*argument));
  }
  if (with.contains("script") && with["script"].is_string()) script_ = with["script"];
  shell_ = text_list("shell");
  if (script_ && shell_.empty()) shell_ = {"/bin/bash", "-eo", "pipefail"};
  if (!script_ && command_.empty()) return refused("neither command nor script is set");
  if (with.contains("stdin") && with["stdin"].is_string()) {
    auto input = compile_template(with["stdin"].get<std::string>(), "stdin");
    if (!input) return input.error();
    stdin_ = std::move(*input);
  }
  if (with.contains("skip_exit_codes") && with["skip_exit_codes"].is_array()) {
    for (const Json& code : with["skip_exit_codes"]) {
      if (code.is_number_integer()) skip_exit_codes_.push_back(code.get<int>());
    }
    std::sort(skip_exit_codes_.begin(), skip_exit_codes_.end());
  }
  return {};
}

Result<void> CompiledDefinition::compile_env() {
  std::map<std::string_view, EnvEntry> entries;
  for (const auto& [name, text] : definition_.env) {
    auto value = compile_template(text, "env." + name);
    if (!value) return value.error();
    bool uses_secrets = names(*value, "secrets");
    entries.emplace(name, EnvEntry{name, std::move(*value), uses_secrets});
  }
  // Each after those that it names. A circle is an error of the job file; of one that came here
  // nevertheless a template fails.
  struct Step {
    std::string_view name;
    std::size_t next = 0;  ///< the first reference that was not followed yet
  };
  std::vector<Step> way;
  std::set<std::string_view> begun;
  for (const auto& [first, unused] : definition_.env) {
    if (begun.insert(first).second) way.push_back({first});
    while (!way.empty()) {
      Step& here = way.back();
      const auto at = entries.find(here.name);
      const auto& references = at->second.value.references();
      if (here.next == references.size()) {
        env_.push_back(std::move(at->second));
        entries.erase(at);
        way.pop_back();
        continue;
      }
      const Reference& reference = references[here.next++];
      if (reference.path.size() < 2 || reference.path.front() != "env") continue;
      const auto needed = entries.find(reference.path[1]);
      if (needed != entries.end() && begun.insert(needed->first).second)
        way.push_back({needed->first});
    }
  }
  return {};
}

Result<void> CompiledDefinition::make_base_env(
    const std::map<std::string, std::string>& login_defaults) {
  const auto& given = definition_.scheduler_env;
  const auto add = [&](const std::string& name, const std::string& value) -> Result<void> {
    std::string entry = name + "=" + value;
    if (auto fine = check_text("env." + name, entry); !fine) return fine;
    base_env_.push_back({name, std::move(entry)});
    return {};
  };
  const auto is_taken = [&](const std::string& name) {
    return std::find(std::begin(kLoginVariables), std::end(kLoginVariables), name) !=
               std::end(kLoginVariables) ||
           std::find(definition_.pass_env.begin(), definition_.pass_env.end(), name) !=
               definition_.pass_env.end();
  };
  // What the scheduler has, and where it has none the login's: both in order of name.
  auto fallback = login_defaults.begin();
  for (const auto& [name, value] : given) {
    for (; fallback != login_defaults.end() && fallback->first <= name; ++fallback) {
      if (fallback->first == name) continue;
      if (auto added = add(fallback->first, fallback->second); !added) return added;
    }
    if (!is_taken(name)) continue;
    if (auto added = add(name, value); !added) return added;
  }
  for (; fallback != login_defaults.end(); ++fallback) {
    if (auto added = add(fallback->first, fallback->second); !added) return added;
  }
  const std::pair<std::string_view, const std::string&> own[] = {
      {"PAWL_HOME", definition_.home},
      {"PAWL_JOB", definition_.job},
      {"PAWL_RUN_ID", definition_.run},
      {"PAWL_TASK_ID", definition_.task},
      {"PAWL_LOGICAL_TIME", definition_.logical_time},
      {"PAWL_DATE", definition_.date}};
  for (const auto& [name, value] : own) {
    if (!value.empty()) run_env_.emplace_back(name, value);
  }
  return {};
}

// Rendering --------------------------------------------------------------------------------------

Result<void> CompiledDefinition::render_env(AttemptContext& context, Variables& variables) const {
  for (const EnvEntry& entry : env_) {
    auto value = entry.value.render_text(context, true);
    if (auto* error = std::get_if<ExpressionError>(&value)) {
      return wrong_template("env." + entry.name, *error);
    }
    auto& text = std::get<std::string>(value);
    // A secret must not get into `command` by way of `env`: it would show in `ps`.
    if (needs_env_context_) context.set_env(entry.name, entry.uses_secrets ? "***" : text);
    variables.emplace_back(entry.name, std::move(text));
  }
  return {};
}

Result<void> CompiledDefinition::render_argv(const AttemptContext& context,
                                             const std::string& script_file,
                                             std::vector<std::string>& argv) const {
  if (script_) {
    argv = shell_;
    argv.push_back(script_file);
    return {};
  }
  for (std::size_t i = 0; i < command_.size(); ++i) {
    std::string where = "command[" + std::to_string(i) + "]";
    auto text = command_[i].render_text(context, false);
    if (auto* error = std::get_if<ExpressionError>(&text)) return wrong_template(where, *error);
    argv.push_back(std::move(std::get<std::string>(text)));
    if (auto fine = check_text(where, argv.back()); !fine) return fine;
  }
  if (argv.front().empty()) return invalid("command[0] is empty, it names the program");
  return {};
}

namespace {

/// PAWL_* of one attempt; what does not apply is not set. `has_item_elsewhere`: an item that does
/// not fit into a variable is left out, as the program or operator gets it another way.
Result<void> add_attempt_variables(const frame::AttemptStart& start,
                                   const AttemptSurroundings& around, const Json* item,
                                   bool has_item_elsewhere, const std::optional<WallTime>& deadline,
                                   Variables& variables) {
  variables.emplace_back("PAWL_ATTEMPT", std::to_string(start.number));
  variables.emplace_back("PAWL_ATTEMPT_ID", std::to_string(start.attempt.value));
  variables.emplace_back("PAWL_IDEMPOTENCY_KEY", start.idempotency_key);
  variables.emplace_back("PAWL_SLOT", std::to_string(start.slot));
  variables.emplace_back("PAWL_SCRATCH", around.scratch);
  if (!around.output_file.empty()) variables.emplace_back("PAWL_OUTPUT", around.output_file);
  if (deadline) variables.emplace_back("PAWL_DEADLINE", format_utc(*deadline));
  if (start.previous_reason != Reason::none) {
    variables.emplace_back("PAWL_PREVIOUS_REASON", to_string(start.previous_reason));
  }
  if (start.item == kWhole) return {};
  variables.emplace_back("PAWL_MAP_INDEX", std::to_string(start.item.value));
  if (!start.key.empty()) variables.emplace_back("PAWL_MAP_KEY", start.key);
  if (item == nullptr) return invalid("the item is not JSON");
  constexpr std::string_view kItem = "PAWL_ITEM";
  std::string text = item->is_string() ? item->get<std::string>() : start.payload;
  if (fits(kItem, text)) {
    variables.emplace_back(kItem, std::move(text));
  } else if (!has_item_elsewhere) {
    return invalid(
        "the item cannot be the variable PAWL_ITEM, for it " +
        (text.find('\0') == std::string::npos
             ? "has " + std::to_string(text.size()) + " bytes and the system takes at most 128 KiB"
             : std::string("holds a NUL byte")) +
        ": hand it over with \"stdin\": \"{{ item }}\"");
  }
  return {};
}

/// All variables as the kernel takes them, in order of name; of two of one name the attempt's, and
/// of two of those the later. `base` has each name once, in order, and is checked.
Result<void> merge(const std::vector<BaseVariable>& base, Variables own,
                   std::vector<std::string>& env) {
  std::stable_sort(own.begin(), own.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  env.reserve(base.size() + own.size());
  auto next_base = base.begin();
  for (std::size_t i = 0; i < own.size(); ++i) {
    const auto& [name, value] = own[i];
    if (i + 1 < own.size() && own[i + 1].first == name) continue;
    for (; next_base != base.end() && next_base->name < name; ++next_base) {
      env.push_back(next_base->entry);
    }
    if (next_base != base.end() && next_base->name == name) ++next_base;
    std::string entry;
    entry.reserve(name.size() + 1 + value.size());
    entry.append(name).append(1, '=').append(value);
    if (auto fine = check_text("env." + std::string(name), entry); !fine) return fine;
    env.push_back(std::move(entry));
  }
  for (; next_base != base.end(); ++next_base) env.push_back(next_base->entry);
  return {};
}

/// The earliest of what ends the attempt.
std::optional<WallTime> deadline_of(const TaskDefinition& definition,
                                    const frame::AttemptStart& start, WallTime now) {
  Duration left{};
  for (const Duration limit : {definition.timeout, start.total_remaining, start.run_remaining}) {
    if (limit > Duration(0) && (left == Duration(0) || limit < left)) left = limit;
  }
  if (left == Duration(0)) return std::nullopt;
  return now + left;
}

}  // namespace

Result<std::string> CompiledDefinition::render_working_dir(const AttemptContext& context) const {
  if (!working_dir_) return definition_.folder;
  auto text = working_dir_->render_text(context, false);
  if (auto* error = std::get_if<ExpressionError>(&text)) {
    return wrong_template("working_dir", *error);
  }
  std::string& folder = std::get<std::string>(text);
  if (auto fine = check_text("working_dir", folder); !fine) return fine.error();
  if (folder.starts_with('/')) return std::move(folder);
  return folder.empty() ? definition_.folder : definition_.folder + "/" + folder;
}

Result<OperatorRequest> CompiledDefinition::render_request(
    const frame::AttemptStart& start, const AttemptSurroundings& around) const {
  AttemptContext context(*this, start, around);
  OperatorRequest request;
  if (auto done = render_env(context, request.variables); !done) return done.error();
  if (with_) {
    auto with = with_->render(context);
    if (auto* error = std::get_if<ExpressionError>(&with)) return wrong_template("with", *error);
    request.parameters = text_of(std::get<Json>(with));
  } else {
    request.parameters = definition_.with;
  }
  auto folder = render_working_dir(context);
  if (!folder) return folder.error();
  request.working_dir = std::move(*folder);
  request.attempt = start.attempt;
  request.job = definition_.job;
  request.run = definition_.run;
  request.task = definition_.task;
  request.item = start.payload;
  request.key = start.key;
  request.index = start.item;
  request.number = start.number;
  request.idempotency_key = start.idempotency_key;
  request.deadline = deadline_of(definition_, start, around.now.wall);
  request.output = definition_.output;
  request.scratch = around.scratch;
  request.handle = start.handle;
  request.state = start.state;
  request.secrets = around.secrets;
  request.slot = start.slot;
  request.previous_reason = start.previous_reason;
  return request;
}

std::vector<std::string> CompiledDefinition::environment(const OperatorRequest& request) const {
  frame::AttemptStart start;
  start.attempt = request.attempt;
  start.number = request.number;
  start.item = request.index;
  start.key = request.key;
  start.payload = request.item;
  start.slot = request.slot;
  start.previous_reason = request.previous_reason;
  start.idempotency_key = request.idempotency_key;
  AttemptSurroundings around;
  around.scratch = request.scratch;
  Variables variables = request.variables;
  for (const auto& [name, value] : run_env_) variables.emplace_back(name, value);
  Json item;
  if (start.item != kWhole) item = Json::parse(start.payload, nullptr, false);
  std::vector<std::string> entries;
  // What does not fit into an environment is no error here: an operator has the item anyway.
  (void)add_attempt_variables(start, around, item.is_discarded() ? nullptr : &item, true,
                              request.deadline, variables);
  std::erase_if(variables, [](const auto& v) { return !fits(v.first, v.second); });
  (void)merge(base_env_, std::move(variables), entries);
  return entries;
}

std::optional<std::string_view> CompiledDefinition::variable(const OperatorRequest& request,
                                                             std::string_view name) const {
  const Variables& own = request.variables;
  for (auto v = own.rbegin(); v != own.rend(); ++v) {
    if (v->first == name && fits(v->first, v->second)) return v->second;
  }
  const auto base =
      std::lower_bound(base_env_.begin(), base_env_.end(), name,
                       [](const BaseVariable& v, std::string_view n) { return v.name < n; });
  if (base == base_env_.end() || base->name != name) return std::nullopt;
  return std::string_view(base->entry).substr(name.size() + 1);
}

Result<Launch> CompiledDefinition::render(const frame::AttemptStart& start,
                                          const AttemptSurroundings& around,
                                          const std::string& script_file) const {
  AttemptContext context(*this, start, around);
  Launch launch;
  launch.deadline = deadline_of(definition_, start, around.now.wall);
  Variables variables;
  if (auto done = render_env(context, variables); !done) return done.error();
  if (auto done = render_argv(context, script_file, launch.argv); !done) return done.error();
  // Names of pawl's own come last, so that nobody can take them.
  for (const auto& [name, value] : run_env_) variables.emplace_back(name, value);
  const Json* item = start.item == kWhole ? nullptr : context.item();
  const bool has_item_elsewhere = stdin_ && names(*stdin_, "item");
  if (auto done = add_attempt_variables(start, around, item, has_item_elsewhere, launch.deadline,
                                        variables);
      !done) {
    return done.error();
  }
  if (stdin_) {
    auto text = stdin_->render_text(context, true);
    if (auto* error = std::get_if<ExpressionError>(&text)) return wrong_template("stdin", *error);
    launch.input = std::move(std::get<std::string>(text));
  }
  auto folder = render_working_dir(context);
  if (!folder) return folder.error();
  launch.working_dir = std::move(*folder);
  if (auto merged = merge(base_env_, std::move(variables), launch.env); !merged) {
    return merged.error();
  }
  return launch;
}

}  // namespace pawl
