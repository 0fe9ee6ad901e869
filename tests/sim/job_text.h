#pragma once

// Small jobs as text, so that tests read like rules:
//   "a; b after a; c after a,b rule=all_done retry=3 delay=10s"
//   "job fail_fast timeout=1h; m map=10 tolerate=1; z after m"
//   "m map=10; n after m*,a"   (item by item after m, and after the whole of a)
//   "a; on_failure retry=2"   (a hook begins with its kind)
// Words of a task: after=… (or `after x,y`), rule=, retry= (attempts), delay=, backoff=, jitter=,
// max_delay=, timeout=, total=, queue=, map= (items), max= (concurrent), tolerate= (count or n%),
// stop= (stop_after_failures), pool=, slots=, priority=, rate=2/5s, interrupt=, allow, when,
// call= (a job: its name is all that `with` holds).
// Words of `job`: name=, timeout=, fail_fast, overlap=, active= (max_active_runs),
// pool:NAME=slots (or slots@2/5s: with a rate), every=, jitter=, catchup=, limit=, window=,
// waiting= (queue_limit), pause_after=.

#include <string_view>

#include "scheduler/spec/job.h"

namespace pawl::sim {

/// The job that the text stands for. A mistake in the text ends the process.
JobSpec job_from_text(std::string_view text);

}  // namespace pawl::sim
