#pragma once

// New runs: of a file, of a job that is known, of a run that is repeated. Accepted means durable,
// and one request id means one run, however often it is asked for. On the loop.

#include <memory>
#include <string>

#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/daemon/replies.h"
#include "scheduler/daemon/request.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"
#include "scheduler/spec/parse.h"

namespace pawl {

class Submissions {
 public:
  /// `slots_max`: what the descriptors of this machine allow.
  Submissions(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Replies& replies,
              std::int64_t slots_max);
  ~Submissions() { *alive_ = false; }
  Submissions(const Submissions&) = delete;
  Submissions& operator=(const Submissions&) = delete;

  /// `POST /v1/runs`.
  void of_file(const ControlRequest& request, nlohmann::json body, ControlAnswer answer);
  /// `POST /v1/trigger`.
  void of_job(const ControlRequest& request, const nlohmann::json& body, ControlAnswer answer);

  /// A run of `row.version`, which is `job`. Answers 201 with `run`, `job`, `created` and
  /// `diagnostics`; 200 when its request id made it before.
  void submit(RunRow row, SharedJob job, bool force, std::string actor, nlohmann::json diagnostics,
              ControlAnswer answer);

 private:
  using Json = nlohmann::json;
  void begin_of_file(ParseResult parsed, const Json& body, std::string actor, ControlAnswer answer);
  Result<void> read_concurrency(const Json& body, const JobSpec& job, RunRow& row) const;
  void feed(RunRow row, const SharedJob& job, bool force, std::string actor, Json diagnostics,
            ControlAnswer answer);

  Pump& pump_;
  Writer& writer_;
  Jobs& jobs_;
  Replies& replies_;
  std::int64_t slots_max_;
  Works works_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
