#pragma once

// A definition in many hands. With 100,000 tasks a copy takes a tenth of a second and fifty
// megabytes, so whoever needs one shares it; as nobody changes it, that is a value all the same.

#include <memory>
#include <utility>

#include "scheduler/spec/job.h"

namespace pawl {

/// Copies are free, and may be let go of on any thread. None, until it is made from a definition.
class SharedJob {
 public:
  SharedJob() = default;
  SharedJob(JobSpec job)  // NOLINT(google-explicit-constructor): as good as what it holds
      : job_(std::make_shared<const JobSpec>(std::move(job))) {}

  explicit operator bool() const { return job_ != nullptr; }
  /// There is one.
  const JobSpec& operator*() const { return *job_; }
  const JobSpec* operator->() const { return job_.get(); }

 private:
  std::shared_ptr<const JobSpec> job_;
};

}  // namespace pawl
