#include "scheduler/spec/references.h"

#include <algorithm>
#include <array>
#include <map>

#include "scheduler/spec/job_operator.h"

namespace pawl {
namespace {

constexpr std::array<std::string_view, 8> kNames = {"params", "run",   "task", "item",
                                                    "index",  "tasks", "env",  "secrets"};
constexpr std::array<std::string_view, 7> kRunNames = {
    "id", "job", "logical_time", "date", "interval", "trigger", "scheduled_for"};
constexpr std::array<std::string_view, 10> kHookRunNames = {
    "id",      "job",           "logical_time", "date",   "interval",
    "trigger", "scheduled_for", "state",        "reason", "failed"};
constexpr std::array<std::string_view, 2> kIntervalNames = {"start", "end"};
constexpr std::array<std::string_view, 4> kTaskNames = {"id", "attempt", "index", "key"};
constexpr std::array<std::string_view, 4> kUpstreamNames = {"state", "output", "output_file",
                                                            "counts"};

bool has_word(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Asked before there is an attempt, in the scheduler; all others by the worker, for each attempt.
bool is_before_attempts(ExpressionPlace place) {
  return place == ExpressionPlace::when || place == ExpressionPlace::map_items ||
         place == ExpressionPlace::map_key;
}

const Dependency* dependency_on(const TaskSpec& task, TaskIndex upstream) {
  const auto found = std::find_if(task.depends_on.begin(), task.depends_on.end(),
                                  [&](const Dependency& d) { return d.task == upstream; });
  return found == task.depends_on.end() ? nullptr : &*found;
}

}  // namespace

ReferenceChecker::ReferenceChecker(const Document& document, const JobSpec& job, const TaskIds& ids,
                                   Diagnostics& diagnostics)
    : document_(document), job_(job), ids_(ids), out_(diagnostics) {}

void ReferenceChecker::fail(const Reference& reference, NodeId node, std::string message) {
  out_.error_in_string(node, reference.offset, std::move(message));
}

const std::vector<Reference>& ReferenceChecker::references_of(NodeId node,
                                                              const ExpressionScope& scope) {
  const bool is_own = document_.contains(scope.task_node, node);
  if (!is_own) {
    const auto found = shared_.find(node);
    if (found != shared_.end()) return found->second;
  }
  own_.clear();
  const std::string_view text = document_.string(node);
  if (scope.place == ExpressionPlace::when) {
    const auto compiled = Expression::compile(text);
    if (const auto* error = std::get_if<ExpressionError>(&compiled)) {
      out_.error_in_string(node, error->offset, "in this expression: " + error->message);
    } else {
      own_ = std::get<Expression>(compiled).references();
    }
  } else if (text.find("{{") != std::string_view::npos) {
    const auto compiled = Template::compile(text);
    if (const auto* error = std::get_if<ExpressionError>(&compiled)) {
      out_.error_in_string(node, error->offset, "in this template: " + error->message);
    } else {
      own_ = std::get<Template>(compiled).references();
    }
  }
  if (is_own) return own_;
  return shared_.emplace(node, own_).first->second;
}

void ReferenceChecker::check(NodeId node, const ExpressionScope& scope, TaskSpec& task) {
  if (out_.full()) return;  // what is wrong is looked up in all there is
  for (const Reference& reference : references_of(node, scope)) {
    check_reference(reference, node, scope, task);
  }
}

void ReferenceChecker::check_reference(const Reference& reference, NodeId node,
                                       const ExpressionScope& scope, TaskSpec& task) {
  const std::string_view name = reference.path[0];
  if (name == "params") {
    check_param(reference, node);
  } else if (name == "run") {
    check_run(reference, node, scope);
  } else if (name == "task") {
    check_task_name(reference, node, scope, task);
  } else if (name == "item" || name == "index") {
    check_item(reference, node, scope, task);
  } else if (name == "tasks") {
    check_upstream(reference, node, scope, task);
  } else if (name == "secrets") {
    check_secret(reference, node, scope, task);
  } else if (name == "env") {
    check_variable(reference, node, scope, task);
  } else {
    const bool is_task = ids_.contains(name);
    fail(reference, node,
         "there is no name " + quote(name) +
             (is_task ? ": the task is tasks." + std::string(name)
              : job_.params.contains(std::string(name))
                  ? ": the parameter is params." + std::string(name)
                  : did_you_mean(name, kNames)) +
             "; names are " + list_words(kNames, "and"));
  }
}

void ReferenceChecker::check_param(const Reference& reference, NodeId node) {
  if (reference.path.size() < 2 || job_.params.contains(reference.path[1])) return;
  std::vector<std::string_view> known;
  for (const auto& [name, spec] : job_.params) known.push_back(name);
  fail(reference, node,
       "the parameter " + quote(reference.path[1]) + " is not declared in \"params\"" +
           did_you_mean(reference.path[1], known) +
           (known.empty() ? "" : "; declared are " + list_words(known, "and")));
}

void ReferenceChecker::check_run(const Reference& reference, NodeId node,
                                 const ExpressionScope& scope) {
  if (reference.path.size() < 2) return;
  const std::string& field = reference.path[1];
  const std::span<const std::string_view> known =
      scope.is_hook ? std::span<const std::string_view>(kHookRunNames) : kRunNames;
  if (!has_word(known, field)) {
    const bool hook_only = has_word(kHookRunNames, field);
    fail(reference, node,
         hook_only ? "run." + field + " is known to hooks only: the run has not ended yet"
                   : "run has no " + quote(field) + did_you_mean(field, known) + "; it has " +
                         list_words(known, "and"));
  } else if (field == "interval" && reference.path.size() > 2 &&
             !has_word(kIntervalNames, reference.path[2])) {
    fail(reference, node,
         "run.interval has no " + quote(reference.path[2]) + "; it has \"start\" and \"end\"");
  }
}

void ReferenceChecker::check_task_name(const Reference& reference, NodeId node,
                                       const ExpressionScope& scope, const TaskSpec& task) {
  if (reference.path.size() < 2) return;
  const std::string& field = reference.path[1];
  if (!has_word(kTaskNames, field)) {
    fail(reference, node,
         "task has no " + quote(field) +
             (ids_.contains(field) ? ": another task is tasks." + field
                                   : did_you_mean(field, kTaskNames)) +
             "; it has " + list_words(kTaskNames, "and"));
    return;
  }
  const bool of_item = field == "index" || field == "key";
  if (of_item && !task.is_mapped()) {
    fail(reference, node, "task." + field + " is known in mapped tasks only");
  } else if (is_before_attempts(scope.place)) {
    fail(reference, node, "task." + field + " is not known here: no attempt has started");
  }
}

void ReferenceChecker::check_item(const Reference& reference, NodeId node,
                                  const ExpressionScope& scope, const TaskSpec& task) {
  const std::string& name = reference.path[0];
  if (scope.place == ExpressionPlace::when) {
    fail(reference, node, "`when` is judged once for the whole task, so it cannot name " + name);
  } else if (scope.place == ExpressionPlace::map_items) {
    fail(reference, node, "\"items\" gives the items, so it cannot name " + name);
  } else if (!task.is_mapped()) {
    fail(reference, node, name + " is known in mapped tasks only; this task has no \"map\"");
  }
}

void ReferenceChecker::check_upstream(const Reference& reference, NodeId node,
                                      const ExpressionScope& scope, TaskSpec& task) {
  if (reference.path.size() < 2) {
    fail(reference, node, "say which task: tasks.ID, or tasks['ID'] for an id with a dash");
    return;
  }
  const std::string& id = reference.path[1];
  const auto found = ids_.find(id);
  if (found == ids_.end()) {
    constexpr int kSuggestionsMax = 3;  // each looks at all ids
    std::string message = "there is no task " + quote(id);
    if (suggestions_++ < kSuggestionsMax) {
      std::vector<std::string_view> known;
      for (const auto& [known_id, index] : ids_) known.push_back(known_id);
      std::sort(known.begin(), known.end());
      message += did_you_mean(id, known);
    }
    fail(reference, node, std::move(message));
    return;
  }
  if (reference.path.size() > 2 && !has_word(kUpstreamNames, reference.path[2])) {
    fail(reference, node,
         "tasks." + id + " has no " + quote(reference.path[2]) +
             did_you_mean(reference.path[2], kUpstreamNames) + "; it has " +
             list_words(kUpstreamNames, "and"));
    return;
  }
  task.outputs_used.push_back(found->second);
  if (reference.path.size() > 2 && reference.path[2].starts_with("output")) {
    output_uses_.push_back(
        {found->second, node, reference.offset, scope.place == ExpressionPlace::map_items});
  }
  if (scope.is_hook) return;
  if (task.mapped_over) {
    pair_uses_.push_back({scope.task, found->second, node, reference.offset,
                          scope.place == ExpressionPlace::when,
                          reference.path.size() > 2 ? reference.path[2] : ""});
  }
  if (dependency_on(task, found->second) == nullptr) {
    queries_.push_back({scope.task, found->second, node, reference.offset, false});
  }
}

void ReferenceChecker::check_secret(const Reference& reference, NodeId node,
                                    const ExpressionScope& scope, TaskSpec& task) {
  if (scope.place == ExpressionPlace::command) {
    fail(reference, node, "a secret in a command would show in ps: hand it over in \"env\"");
    return;
  }
  if (scope.place != ExpressionPlace::env && scope.place != ExpressionPlace::with) {
    fail(reference, node, "secrets may stand in \"env\" and \"with\" only");
    return;
  }
  if (reference.path.size() < 2) {
    fail(reference, node, "say which secret: secrets.NAME");
    return;
  }
  const std::string& name = reference.path[1];
  if (!job_.secrets.contains(name)) {
    std::vector<std::string_view> known;
    for (const auto& [known_name, source] : job_.secrets) known.push_back(known_name);
    fail(reference, node,
         "the secret " + quote(name) + " is not declared in \"secrets\" of the job" +
             did_you_mean(name, known) +
             (known.empty() ? "" : "; declared are " + list_words(known, "and")));
    return;
  }
  task.secrets.push_back(name);
  if (scope.place == ExpressionPlace::env) {
    secret_variables_.insert(std::string(document_.key(node)));
  }
}

void ReferenceChecker::check_variable(const Reference& reference, NodeId node,
                                      const ExpressionScope& scope, const TaskSpec& task) {
  if (is_before_attempts(scope.place)) {
    fail(reference, node, "env is not known here: no attempt has started");
    return;
  }
  if (reference.path.size() < 2) return;
  if (task.env.contains(reference.path[1])) {
    const bool is_variable = scope.place == ExpressionPlace::env;
    variable_uses_.push_back({reference.path[1],
                              is_variable ? std::string(document_.key(node)) : std::string(), node,
                              reference.offset});
    return;
  }
  std::vector<std::string_view> known;
  for (const auto& [name, value] : task.env) known.push_back(name);
  fail(reference, node,
       "the variable " + quote(reference.path[1]) + " is not in \"env\" of the task or the job" +
           did_you_mean(reference.path[1], known));
}

void ReferenceChecker::check_variables() {
  for (const VariableUse& use : variable_uses_) {
    if (!secret_variables_.contains(use.name)) continue;
    out_.error_in_string(use.node, use.index_in_string,
                         "the variable " + quote(use.name) +
                             " holds a secret, which only the program sees: it reads it from its "
                             "environment. Elsewhere name the secret itself, where it may stand");
  }
  check_circles();
  variable_uses_.clear();
  secret_variables_.clear();
}

/// Goes from each variable to those that it names, each once; who comes to one that it is still on
/// its way from has found a circle.
void ReferenceChecker::check_circles() {
  struct Variable {
    std::vector<const VariableUse*> uses;
    std::size_t next = 0;  ///< the first use that was not followed yet
    bool is_under_way = false;
  };
  std::map<std::string_view, Variable> variables;
  for (const VariableUse& use : variable_uses_) {
    if (!use.from.empty()) variables[use.from].uses.push_back(&use);
  }
  for (auto& [first, unused] : variables) {
    std::vector<Variable*> way = {&variables[first]};
    while (!way.empty()) {
      Variable& here = *way.back();
      here.is_under_way = here.next < here.uses.size();
      if (!here.is_under_way) {
        way.pop_back();
        continue;
      }
      const auto found = variables.find(here.uses[here.next++]->name);
      if (found == variables.end()) continue;
      Variable& there = found->second;
      if (there.is_under_way) {
        tell_circle(*there.uses[there.next - 1]);
      } else {
        way.push_back(&there);
      }
    }
  }
}

void ReferenceChecker::tell_circle(const VariableUse& use) {
  out_.error_in_string(
      use.node, use.index_in_string,
      use.name == use.from
          ? "the variable " + quote(use.name) +
                " cannot be made of itself: that of a task takes the place of the job's"
          : "the variables " + quote(use.from) + " and " + quote(use.name) +
                " are made of one another");
}

void ReferenceChecker::keep_only(const std::vector<bool>& ordered) {
  const auto is_left_out = [&](const auto& kept) { return !ordered[kept.task.value]; };
  std::erase_if(queries_, is_left_out);
  std::erase_if(pair_uses_, is_left_out);
}

std::vector<std::pair<TaskIndex, TaskIndex>> ReferenceChecker::check_pairs() {
  std::vector<AncestorQuery> queries;
  for (const PairUse& use : pair_uses_) {
    const Dependency* direct = dependency_on(job_.tasks[use.task.value], use.upstream);
    if (direct == nullptr || direct->each) queries.push_back({use.task, use.upstream});
  }
  answer_ancestor_queries(job_, queries, Edges::each);
  std::vector<std::pair<TaskIndex, TaskIndex>> pairs;
  for (const AncestorQuery& query : queries) {
    if (query.holds) pairs.emplace_back(query.task, query.upstream);
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  for (const PairUse& use : pair_uses_) {
    if (!std::binary_search(pairs.begin(), pairs.end(), std::pair(use.task, use.upstream)))
      continue;
    const std::string name = "tasks." + job_.tasks[use.upstream.value].id;
    if (use.in_when) {
      out_.error_in_string(use.node, use.index_in_string,
                           "`when` is judged once for the whole task, and " + name +
                               " is the item that each item of this task is paired with");
    } else if (use.field == "counts") {
      out_.error_in_string(use.node, use.index_in_string,
                           name + " is the item that this one is paired with, and has no counts");
    }
  }
  return pairs;
}

void ReferenceChecker::check_outputs() {
  for (const OutputUse& use : output_uses_) {
    const TaskSpec& upstream = job_.tasks[use.upstream.value];
    // What a call of a job gives is kept in any case.
    if (upstream.output != OutputFormat::none || upstream.operator_name == kJobOperator) continue;
    const std::string message = "the task " + quote(upstream.id) + " keeps no output: give it ";
    if (use.gives_items) {
      out_.error_in_string(use.node, use.index_in_string,
                           message + "\"output\": \"json\" or \"jsonl\"");
    } else {
      out_.warn(use.node, message + "\"output\": \"text\", \"json\" or \"jsonl\"");
    }
  }
  output_uses_.clear();
}

void ReferenceChecker::check_ancestors() {
  answer_ancestor_queries(job_, queries_);
  for (const AncestorQuery& query : queries_) {
    if (query.holds) continue;
    const std::string& id = job_.tasks[query.upstream.value].id;
    out_.error_in_string(query.node, query.index_in_string,
                         query.task == query.upstream
                             ? "a task cannot use its own result"
                             : "the task " + quote(id) + " is not known to be final here: add " +
                                   quote(id) + " to \"depends_on\" of " +
                                   quote(job_.tasks[query.task.value].id));
  }
  queries_.clear();
}

}  // namespace pawl
