#pragma once

// Operators in shared libraries: the host's side of pawl/operator.h. The home of dlopen.
//
// A plugin may call from any of its threads, late, twice, or with what it made up. So an attempt's
// pointer is a number that is looked up, never memory: what has finished is not found.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pawl/operator.h"
#include "plugins/worker/operator_backend.h"
#include "scheduler/base/result.h"
#include "scheduler/loop/loop.h"

namespace pawl {

/// What a library says of one of its operators.
struct OperatorDescription {
  std::string name;
  std::string summary;
  std::string schema;  ///< JSON Schema of `with`, as text
};

/// A loaded library. It is never unloaded: threads of it may still run.
class NativeLibrary {
 public:
  /// Errors (`invalid`, with the file): it cannot be loaded, has not the symbol, another version,
  /// or a table that breaks the contract.
  static Result<NativeLibrary> load(const std::string& path);

  const std::vector<const pawl_operator*>& operators() const { return operators_; }
  std::vector<OperatorDescription> describe() const;
  const std::string& version() const { return version_; }

 private:
  std::vector<const pawl_operator*> operators_;
  std::string version_;
};

/// Threads for operators that block, kept for the next attempt.
class BlockingThreads;

/// One operator of a library, running in this process.
class NativeOperator final : public OperatorBackend {
 public:
  NativeOperator(Loop& loop, const pawl_operator* table, OperatorEvents& events);
  /// No attempt may be open.
  ~NativeOperator() override;

  void start(std::shared_ptr<const OperatorRequest> request) override;
  void cancel(AttemptId attempt) override;
  /// Nothing ends a thread but the end of its process.
  bool kill(AttemptId) override { return false; }

  /// How often, in this process, `finish` was called for an attempt that had ended already.
  static std::uint64_t late_finishes();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl
