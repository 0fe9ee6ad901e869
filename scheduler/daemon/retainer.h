#pragma once

// Retention: old runs go by themselves, in small steps behind everything else, and their logs with
// them when nothing starts. On the loop.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/work.h"

namespace pawl {

class Retainer {
 public:
  struct Options {
    std::string logs;  ///< folders of the home that have one folder per run
    std::string outputs;
    Retention keep;
    /// Whether somebody reads ended runs to change them; nothing is taken away meanwhile.
    std::function<bool()> runs_are_read;
  };

  /// What a round did: runs taken away, or why it stopped.
  using Done = std::function<void(Result<std::int64_t> runs)>;

  Retainer(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Options options);
  ~Retainer();

  /// What is kept from the next round on, where jobs do not say.
  void change_keep(Retention keep) { options_.keep = keep; }
  /// Prunes now and then from now on.
  void keep_going();

  /// What goes whatever jobs say.
  struct Asked {
    WallTime ended_before;                                   ///< all runs that ended before that
    std::optional<std::set<std::string, std::less<>>> only;  ///< by name; of them only these
  };
  /// A round now: what was asked for, else what retention takes.
  void prune(std::optional<Asked> asked, Done done);

 private:
  struct Round {
    PruneRequest request;
    std::int64_t runs = 0;
    bool asks_jobs = true;  ///< what jobs say of their own retention counts
    Done done;
  };
  void begin();
  void read_job_settings();
  void parse_job_settings(const std::vector<VersionId>& versions,
                          std::shared_ptr<const std::vector<JobVersionRow>> rows);
  void take_job_settings();
  void step();
  void delete_files();
  void end(Result<std::int64_t> result);

  Loop& loop_;
  Pump& pump_;
  Writer& writer_;
  Jobs& jobs_;
  Options options_;
  Timer often_;
  Timer pause_;
  Work work_;                                             ///< of the round
  std::map<VersionId, std::optional<OwnRetention>> own_;  ///< of definitions that were asked for
  std::deque<Round> rounds_;                              ///< the first one is under way
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
