#pragma once

// Backfills: one run for each fire time of a range, accepted all at once or not at all. One after
// the other, so that no two of them make a run of one fire. On the loop.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/daemon/calendars.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/daemon/replies.h"
#include "scheduler/daemon/request.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"

namespace pawl {

class Backfills {
 public:
  Backfills(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Replies& replies);
  ~Backfills() { *alive_ = false; }
  Backfills(const Backfills&) = delete;
  Backfills& operator=(const Backfills&) = delete;

  /// `POST /v1/backfill` (docs/control.md).
  void handle(const ControlRequest& request, const nlohmann::json& body, ControlAnswer answer);

 private:
  enum class Reprocess : std::uint8_t { none, failed, all };
  struct Asked {
    RunRow row;  ///< what all of its runs have
    std::string from, to;
    Reprocess reprocess = Reprocess::none;
    bool reverse = false;
    bool dry_run = false;
    std::string request_id;
    std::string actor;
    ControlAnswer answer;
    // Found on the way.
    SharedJob job;
    JobCalendar calendar;
    WallTime begin, end;  ///< [begin, end)
    std::vector<WallTime> fires;
    std::int64_t to_come = 0;  ///< fires of the range that lie in the future
    int looks = 0;
  };
  using Ask = std::shared_ptr<Asked>;

  void begin(const Ask& ask);
  void read(const Ask& ask);
  Result<void> find_fires(Asked& ask) const;
  void look_up(const Ask& ask);
  void submit(const Ask& ask, const std::vector<FireRun>& runs);
  void answer_with(const Asked& ask, int status, const std::vector<std::string>& runs, bool created,
                   const std::vector<WallTime>& fires);
  /// This one is answered: the next one may begin.
  void end();
  void fail(const Asked& ask, const Error& error);
  /// On the writer's thread, then on the loop.
  void load(const Ask& ask, std::function<std::function<void()>(Store&)> look);

  Loop& loop_;
  Pump& pump_;
  Writer& writer_;
  Jobs& jobs_;
  Replies& replies_;
  std::unique_ptr<Work> work_;
  std::deque<Ask> waiting_;  ///< the first one is under way
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
