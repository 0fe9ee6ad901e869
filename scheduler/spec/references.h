#pragma once

// What expressions and templates name, against what there is: parameters, ancestors, secrets.

#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/spec/dag.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/expression.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// Ids of tasks and their places.
using TaskIds = std::unordered_map<std::string_view, TaskIndex>;

/// Where an expression stands; decides what it may name.
enum class ExpressionPlace : std::uint8_t {
  command,
  stdin_text,
  working_dir,
  env,
  with,
  when,
  map_items,
  map_key,
};

/// The task around an expression.
struct ExpressionScope {
  ExpressionPlace place = ExpressionPlace::command;
  NodeId task_node = kNoNode;
  TaskIndex task;  ///< meaningless in a hook
  bool is_hook = false;
};

class ReferenceChecker {
 public:
  /// `job` has its params and secrets; its tasks' ids are `ids`.
  ReferenceChecker(const Document& document, const JobSpec& job, const TaskIds& ids,
                   Diagnostics& diagnostics);

  /// Checks the template, or for `when` the expression, at a string. What cannot be decided yet
  /// (ancestors) is kept; `task` gets the secrets and outputs it uses.
  void check(NodeId node, const ExpressionScope& scope, TaskSpec& task);

  /// Checks what the texts of one task, all of which have been checked, say of its variables: none
  /// is made of itself, and one that holds a secret is not named.
  void check_variables();

  /// Leaves out what is kept of tasks whose upstreams nobody can tell: those of a cycle, or behind
  /// one. `ordered`: all others.
  void keep_only(const std::vector<bool>& ordered);

  /// Checks what was kept.
  void check_ancestors();

  /// Checks what tasks name of those that they are paired with (`each`), near or far, but for those
  /// that they wait for as a whole. Gives these, as (task, upstream), ascending.
  std::vector<std::pair<TaskIndex, TaskIndex>> check_pairs();

  /// Tells of outputs that are named and that nobody keeps. All tasks are read.
  void check_outputs();

 private:
  const std::vector<Reference>& references_of(NodeId node, const ExpressionScope& scope);
  void check_reference(const Reference& reference, NodeId node, const ExpressionScope& scope,
                       TaskSpec& task);
  void check_param(const Reference& reference, NodeId node);
  void check_run(const Reference& reference, NodeId node, const ExpressionScope& scope);
  void check_task_name(const Reference& reference, NodeId node, const ExpressionScope& scope,
                       const TaskSpec& task);
  void check_item(const Reference& reference, NodeId node, const ExpressionScope& scope,
                  const TaskSpec& task);
  void check_upstream(const Reference& reference, NodeId node, const ExpressionScope& scope,
                      TaskSpec& task);
  void check_secret(const Reference& reference, NodeId node, const ExpressionScope& scope,
                    TaskSpec& task);
  void check_variable(const Reference& reference, NodeId node, const ExpressionScope& scope,
                      const TaskSpec& task);
  /// That a text names a variable of its task.
  struct VariableUse {
    std::string name;
    std::string from;  ///< the variable whose text that is; empty: another one
    NodeId node = kNoNode;
    std::size_t index_in_string = 0;
  };
  void check_circles();
  void tell_circle(const VariableUse& use);
  /// That a paired task names another one.
  struct PairUse {
    TaskIndex task;
    TaskIndex upstream;
    NodeId node = kNoNode;
    std::size_t index_in_string = 0;
    bool in_when = false;
    std::string field;
  };
  /// That a task names the output of another one.
  struct OutputUse {
    TaskIndex upstream;
    NodeId node = kNoNode;
    std::size_t index_in_string = 0;
    bool gives_items = false;
  };
  void fail(const Reference& reference, NodeId node, std::string message);

  const Document& document_;
  const JobSpec& job_;
  const TaskIds& ids_;
  Diagnostics& out_;
  std::vector<AncestorQuery> queries_;
  std::vector<PairUse> pair_uses_;
  std::vector<OutputUse> output_uses_;
  std::vector<VariableUse> variable_uses_;                     ///< of the task at hand
  std::set<std::string> secret_variables_;                     ///< the same
  std::unordered_map<NodeId, std::vector<Reference>> shared_;  ///< of defaults and the job's env
  std::vector<Reference> own_;
  int suggestions_ = 0;
};

}  // namespace pawl
