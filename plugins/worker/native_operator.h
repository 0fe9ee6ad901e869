#pragma once

// Operators in shared libraries, running in this process: the host's side of pawl/operator.h.
//
// A plugin may call from any of its threads, late, twice, or with what it made up. So an attempt's
// pointer is a number that is looked up, never memory: what has finished is not found.

#include <cstdint>
#include <memory>

#include "pawl/operator.h"
#include "plugins/worker/operator_backend.h"
#include "scheduler/base/ids.h"
#include "scheduler/loop/loop.h"

namespace pawl {

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
  Place place() const override;

  /// How often, in this process, `finish` was called for an attempt that had ended already.
  static std::uint64_t late_finishes();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl
