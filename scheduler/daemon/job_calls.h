#pragma once

// Worker 0: what the scheduler itself does about attempts of the operator `job`. Parameters are
// rendered and checked, the job is looked up by name, and the engine is told which run the attempt
// is for. Nothing is kept here: an attempt that was asked about when the scheduler died is asked
// about again. On the loop.

#include <memory>
#include <optional>
#include <string>

#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/daemon/reader.h"
#include "storage/writer.h"

namespace pawl {

class JobCalls {
 public:
  JobCalls(Pump& pump, Writer& writer, Reader& reader, Jobs& jobs)
      : pump_(pump), writer_(writer), reader_(reader), jobs_(jobs) {}
  ~JobCalls() { *alive_ = false; }
  JobCalls(const JobCalls&) = delete;
  JobCalls& operator=(const JobCalls&) = delete;

  /// An attempt whose commit is durable; also one whose run has ended.
  void start(const effect::StartAttempt& start);
  void on(read::CallAnswer&& answer);

 private:
  using Json = nlohmann::json;
  bool is_live(const effect::StartAttempt& start) const;
  void look_up(read::CallAnswer&& answer, const std::string& job, Json params);
  void call(const read::CallAnswer& answer, const Json& params, VersionId version,
            const SharedJob& job);
  void load_ended(const read::CallAnswer& answer);
  void go_on(const read::CallAnswer& answer, const SharedJob& job,
             std::optional<RunSnapshot> snapshot);
  void conclude(const read::CallAnswer& answer);
  void fail(const effect::StartAttempt& start, Reason reason, std::string message);

  Pump& pump_;
  Writer& writer_;
  Reader& reader_;
  Jobs& jobs_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
