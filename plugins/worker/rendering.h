#pragma once

// From a definition and one START to what is handed to the kernel: argv, environment, input. Pure:
// files, clocks and the environment are read by whoever calls.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/worker/definition.h"
#include "plugins/worker/frames.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/expression.h"

namespace pawl {

/// What of one attempt the definition does not say and the START does not either.
struct AttemptSurroundings {
  Now now;
  std::string scratch;                         ///< PAWL_SCRATCH, absolute
  std::string output_file;                     ///< PAWL_OUTPUT, absolute; empty: not declared
  std::map<std::string, std::string> secrets;  ///< values of all that the definition names
};

/// A program, ready to be started.
struct Launch {
  std::vector<std::string> argv;     ///< of a script, the script file's place is already the last
  std::vector<std::string> env;      ///< `NAME=value`, each name once
  std::string working_dir;           ///< absolute
  std::optional<std::string> input;  ///< standard input; nothing: empty
  std::optional<WallTime> deadline;  ///< PAWL_DEADLINE
};

/// Names are of the definition or constants, so they outlive the rendering.
using Variables = std::vector<std::pair<std::string_view, std::string>>;

/// A variable that all attempts of a task have.
struct BaseVariable {
  std::string name;
  std::string entry;  ///< `NAME=value`
};

struct OperatorRequest;

/// A definition, checked and compiled once for all its attempts. Immutable.
class CompiledDefinition {
 public:
  /// `login_defaults`: values of kLoginVariables where the definition's `scheduler_env` has none.
  /// Errors: refused (a field is missing), invalid (a template does not compile).
  static Result<std::unique_ptr<const CompiledDefinition>> compile(
      TaskDefinition definition, const std::map<std::string, std::string>& login_defaults);
  ~CompiledDefinition();
  CompiledDefinition(const CompiledDefinition&) = delete;
  CompiledDefinition& operator=(const CompiledDefinition&) = delete;

  const TaskDefinition& definition() const { return definition_; }
  /// The text of `script`, to be put into a file; nothing for a `command`.
  const std::optional<std::string>& script() const { return script_; }
  /// Exit codes that mean skipped, ascending.
  const std::vector<int>& skip_exit_codes() const { return skip_exit_codes_; }

  /// `script_file` is where the script's text lies; empty for a `command`. Errors: invalid, with a
  /// message for the user (reason `template`): a template that cannot be rendered, NUL, an argument
  /// or variable over kArgumentBytesMax, an item that is not JSON.
  Result<Launch> render(const frame::AttemptStart& start, const AttemptSurroundings& around,
                        const std::string& script_file) const;

  /// The same for an operator that is no program: what it is asked to do. The caller fills in
  /// `definition`.
  Result<OperatorRequest> render_request(const frame::AttemptStart& start,
                                         const AttemptSurroundings& around) const;
  /// True when `parameters` of all its requests are the same text.
  bool has_literal_parameters() const { return !with_; }
  /// The members of `parameters` in which its requests may differ.
  std::set<std::string> templated_parameters() const {
    return with_ ? with_->open_members() : std::set<std::string>();
  }
  /// The variables of a request: see OperatorRequest::environment.
  std::vector<std::string> environment(const OperatorRequest& request) const;
  /// See OperatorRequest::variable. Valid as long as both are.
  std::optional<std::string_view> variable(const OperatorRequest& request,
                                           std::string_view name) const;

 private:
  class AttemptContext;
  struct EnvEntry {
    std::string name;
    Template value;
    bool uses_secrets = false;
  };

  explicit CompiledDefinition(TaskDefinition definition) : definition_(std::move(definition)) {}
  Result<void> compile_with();
  Result<void> compile_program(const Json& with);
  Result<void> compile_parameters(Json with);
  Result<void> compile_env();
  Result<void> compile_context();
  Result<void> make_base_env(const std::map<std::string, std::string>& login_defaults);
  Result<Template> compile_template(std::string_view text, std::string_view where);
  Result<void> render_env(AttemptContext& context, Variables& variables) const;
  Result<std::string> render_working_dir(const AttemptContext& context) const;
  Result<void> render_argv(const AttemptContext& context, const std::string& script_file,
                           std::vector<std::string>& argv) const;

  TaskDefinition definition_;
  std::optional<JsonTemplate> with_;  ///< of an operator whose parameters hold templates
  std::vector<Template> command_;
  std::optional<std::string> script_;
  std::vector<std::string> shell_;
  std::optional<Template> stdin_;
  std::optional<Template> working_dir_;
  std::vector<int> skip_exit_codes_;
  std::vector<EnvEntry> env_;
  std::vector<BaseVariable> base_env_;  ///< login variables and pass_env, in order of name
  Variables run_env_;                   ///< PAWL_* of the run
  bool needs_env_context_ = false;
  bool names_something_ = false;  ///< only then the context is read
  Json params_;
  Json run_;
  Json tasks_;
  Json outputs_left_out_;
};

}  // namespace pawl
