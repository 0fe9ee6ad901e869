#pragma once

// One task or hook of a job file.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/references.h"
#include "scheduler/spec/view.h"

namespace pawl {

/// The variables of an `env` and where each stands, over those of an outer one.
using Variables = std::map<std::string_view, NodeId>;

/// Puts the variables of an `env` over what is in `variables`; null removes one.
void overlay_variables(Variables& variables, const Document& document, NodeId env);

class TaskReader {
 public:
  /// `job` has everything but its tasks and hooks; it must outlive the reader.
  TaskReader(const Document& document, const ParseOptions& options, const JobSpec& job,
             const TaskIds& ids, Diagnostics& diagnostics);

  /// What the job says for all of its tasks.
  void set_job_keys(View job);

  TaskSpec read_task(NodeId node, NodeId defaults, TaskIndex index);
  TaskSpec read_hook(NodeId node);

  ReferenceChecker& references() { return references_; }

 private:
  struct Source {
    View view;  ///< merged
    NodeId node;
    NodeId defaults;
    TaskIndex index;
    bool is_hook;
  };
  struct Text {
    NodeId node;
    ExpressionPlace place;
  };

  TaskSpec read(const Source& source);
  void read_work(const Source& source, TaskSpec& task);
  void read_program(const Source& source, View command, View script, TaskSpec& task);
  void check_operator(const Source& source, View name, View with, const TaskSpec& task);
  void check_output(const Source& source, const Json& schema, const Json& with,
                    const TaskSpec& task);
  void check_files(const Source& source, View place, const Json& schema, const Json& with,
                   const TaskSpec& task);
  void check_call(const Source& source, View with, TaskSpec& task);
  void read_operator(const Source& source, TaskSpec& task);
  void read_environment(const Source& source, TaskSpec& task);
  void read_dependencies(const Source& source, TaskSpec& task);
  void read_dependency(const Source& source, View entry, TaskSpec& task);
  void read_map(const Source& source, TaskSpec& task);
  void read_retry(const Source& source, TaskSpec& task);
  void read_limits(const Source& source, TaskSpec& task);
  void read_pools(const Source& source, TaskSpec& task);
  void read_output(const Source& source, TaskSpec& task);
  void check_pool(NodeId node, const PoolUse& use);
  void too_wide(NodeId node, const PoolUse& use, std::int64_t slots);
  void check_texts(const Source& source, TaskSpec& task);
  Json merged_json(View view);
  static std::vector<int> exit_codes(View list);
  void spend(NodeId node, std::size_t bytes);
  bool is_too_large() const;  ///< the tasks with their defaults: the file is refused anyway

  const Document& doc_;
  const ParseOptions& options_;
  const JobSpec& job_;
  const TaskIds& ids_;
  Diagnostics& out_;
  ReferenceChecker references_;
  Variables job_variables_;
  std::vector<std::string> job_pass_env_;
  View job_working_dir_;
  ParameterCheck parameters_;
  std::vector<Text> texts_;               ///< of the task at hand
  std::vector<std::uint32_t> listed_by_;  ///< task that listed a dependency last, plus one
  std::size_t bytes_ = 0;                 ///< spent
};

}  // namespace pawl
