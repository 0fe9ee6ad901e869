#pragma once

// What a supervisor was told of tasks that run programs.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "plugins/worker/frames.h"
#include "plugins/worker/rendering.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/spec/reason.h"

namespace pawl {

/// A task, and the file of its script, which is removed with the last attempt that uses it.
struct ProcessDefinition {
  std::unique_ptr<const CompiledDefinition> compiled;
  std::string error;  ///< attempts of it cannot be started, and this is why
  Reason reason = Reason::spawn;
  std::string script_file;

  ProcessDefinition() = default;
  ~ProcessDefinition();
  ProcessDefinition(const ProcessDefinition&) = delete;
  ProcessDefinition& operator=(const ProcessDefinition&) = delete;
};

class ProcessDefinitions {
 public:
  /// `scripts`: the folder where scripts are put; made when the first one is.
  explicit ProcessDefinitions(std::string scripts);

  void add(const frame::Define& define);
  void remove(DefinitionId id) { definitions_.erase(id); }
  void clear() { definitions_.clear(); }
  /// Null: the worker was not told of it.
  std::shared_ptr<const ProcessDefinition> find(DefinitionId id) const;

 private:
  Result<void> compile(const std::string& bytes, ProcessDefinition& made);
  Result<void> write_script(ProcessDefinition& made);

  std::string scripts_;
  std::uint64_t last_script_ = 0;
  std::map<std::string, std::string> login_defaults_;
  std::unordered_map<DefinitionId, std::shared_ptr<const ProcessDefinition>> definitions_;
};

}  // namespace pawl
