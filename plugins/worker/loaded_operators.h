#pragma once

// The operators of a host: what its plugins brought, whether libraries, manifests of programs or
// Python.

#include <sys/resource.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/worker/operator_backend.h"
#include "plugins/worker/program_host.h"
#include "scheduler/base/result.h"
#include "scheduler/loop/loop.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {

class LoadedOperators {
 public:
  /// `folder`: of the worker. `descriptors`: the limit that programs get.
  LoadedOperators(Loop& loop, std::string folder, const rlimit& descriptors,
                  OperatorEvents& events);
  ~LoadedOperators();
  LoadedOperators(const LoadedOperators&) = delete;
  LoadedOperators& operator=(const LoadedOperators&) = delete;

  /// Loads a plugin: the path of a library or a manifest, or kPythonPlugin. What was wrong with it
  /// is part of `unknown` from then on.
  Result<void> load(const std::string& plugin);

  struct Operator {
    OperatorBackend* backend = nullptr;
    const CompiledSchema* schema = nullptr;  ///< of its parameters
  };
  /// Valid as long as this is. Errors: refused, with what could not be loaded.
  Result<Operator> find(const std::string& name) const;
  std::vector<std::string> names() const;
  /// Ends them. Nothing is loaded afterwards.
  void unload() { backends_.clear(); }

  /// SIGCHLD came: programs of operators may have ended.
  void schedule_reaping();

 private:
  ProgramHost& programs();
  Result<void> load_python();
  Result<void> load_manifest(const std::string& plugin);
  Result<void> load_library(const std::string& plugin);
  void add(const std::string& name, std::string_view schema,
           std::unique_ptr<OperatorBackend> backend);

  Loop& loop_;
  std::string folder_;
  rlimit descriptors_;
  OperatorEvents& events_;
  std::unique_ptr<ProgramHost> programs_;  ///< of operators that are programs; made for the first
  std::map<std::string, std::unique_ptr<OperatorBackend>> backends_;  ///< by operator
  std::map<std::string, CompiledSchema> schemas_;                     ///< the same
  std::string errors_;
};

}  // namespace pawl
