#pragma once

// Everything that can happen to the engine, as values.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"
#include "scheduler/core/rows.h"
#include "scheduler/spec/calendar.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/shared_job.h"

namespace pawl {

/// Whom to answer; given by the caller, handed back in effect::Reply. 0: nobody.
using ReplyToken = Id<struct ReplyTag, std::uint64_t>;

/// What a command names: a run, a task of it, or one item.
struct Target {
  RunId run;
  std::optional<TaskIndex> task;
  std::optional<ItemIndex> item;
  bool itself = false;  ///< of a run to dismiss: its own failure, none of its tasks'
};

/// How an attempt ended, as its worker or its worker's journal says.
struct AttemptResult {
  enum class Outcome : std::uint8_t {
    succeeded,
    failed,
    skipped,
    deferred,       ///< its stay in the worker ended; the attempt goes on later
    lost,           ///< no evidence; its worker died while we watched
    interrupted,    ///< no evidence; found at recovery, or another attempt is to blame
    never_started,  ///< proof that it did not begin
  };
  AttemptId attempt;
  WorkerId worker;  ///< who says so
  /// Of effect::StartAttempt, for an end that has proof: one of an earlier stay comes too late.
  std::int32_t stay = 0;
  Outcome outcome = Outcome::failed;
  Reason reason = Reason::none;
  std::optional<int> exit_code;
  std::optional<int> signal;
  bool stop_seen = false;              ///< a stop had reached the worker before the end
  bool may_be_cause = false;           ///< of `lost` and `interrupted`: the task could be why
  std::optional<WallTime> started_at;  ///< as the worker measured; else the start's commit
  WallTime ended_at;
  std::int64_t cpu_us = 0;
  std::int64_t peak_memory_bytes = 0;
  std::int64_t memory_bound_bytes = 0;  ///< see AttemptRow
  std::int64_t log_bytes = 0;
  Failure failure;
  Duration look_again_after{};  ///< `deferred`: so long it sleeps
  std::string state_text;       ///< `deferred`: handed back at its next start; see limits.h
  std::string handle;           ///< set and not told by AttemptHandle before; empty: none
  std::string output_format;    ///< empty: no output
  std::string output_value;
  std::string output_file;
  std::int64_t output_bytes = 0;
  std::optional<RunId> called;  ///< of an operator `job`: the run that has ended so
};

namespace input {

/// A definition that runs may be pinned to. Comes before any run of it that the engine is handed:
/// it leaves memory a minute after the last of its runs did, or when none came for as long.
/// Engine::knows_version says what is known; a Submit of another one is refused.
struct AddVersion {
  JobVersionRow row;
  SharedJob job;
  bool is_stored = false;  ///< then of `row` only the number matters
};

/// An open run, found at start. With `dormant` what runs of it is adopted and its ends are
/// recorded, but nothing of it starts until it is resumed or unpaused (`pawl run` goes on with its
/// own run only).
struct Recover {
  RunSnapshot run;
  bool dormant = false;
};

/// What rates counted when the last scheduler ended; comes before Recovered. Without it every
/// bucket would be full after a restart.
struct RecoverRates {
  std::vector<RateRow> rates;
};

/// All open runs were handed over and all workers were asked: begin to decide.
struct Recovered {};

/// A new run. `run.id`, `name`, `created_at` and `state` are filled by the engine.
struct Submit {
  RunRow run;
  bool force = false;
  std::string actor;
  ReplyToken reply;
};

/// Many runs at once, of one job and definition: all are accepted, or none. Answered with the name
/// of each as the message of its result. Those that are `scheduled_for` a time stand for that fire.
struct SubmitAll {
  VersionId version;  ///< of all of them
  std::vector<RunRow> runs;
  std::string actor;
  ReplyToken reply;
};

/// A job is served, with this schedule and this definition for its runs from now on. What the
/// schedule before owed until now is settled first.
struct SetSchedule {
  std::string job;
  VersionId version;  ///< known, by AddVersion
  std::shared_ptr<const Calendar> calendar;
  std::string calendar_key;   ///< equal for calendars that say the same
  std::string params = "{}";  ///< of its runs
  /// It was not served before, or not with this schedule: what lies in the past was not missed.
  bool from_now = false;
  // Of the job's row, for one that is told for the first time since the start.
  std::optional<WallTime> decided_through;
  bool paused = false;
  std::int32_t failures = 0;
  std::vector<WallTime> taken;  ///< fires after `decided_through` that have a run
};
/// A job is not served any more. Its runs go on.
struct RemoveSchedule {
  std::string job;
};
/// A job's schedule starts nothing, or goes on; also of one that no SetSchedule has told of.
struct PauseJob {
  std::string job;
  bool pause = true;
  std::string note;
  std::string actor;
  ReplyToken reply;
};

/// Commands. `loaded` holds a snapshot, with final items, of each run that is named and not in
/// memory, and of each one that is and has mapped tasks. For a resume with `from`, `only` or
/// `downstream`, and for a mark, also with the items that succeeded. What changed between the
/// snapshot and the command is noticed, and refused with "ask again".
struct Cancel {
  std::vector<Target> targets;
  bool force = false;
  std::string actor;
  ReplyToken reply;
  std::vector<RunSnapshot> loaded;
};
struct Resume {
  std::vector<Target> targets;
  bool from = false;        ///< the target task and all downstream of it, whatever their state
  bool only = false;        ///< the target task alone
  bool downstream = false;  ///< also what succeeded downstream of what runs again
  std::string actor;
  ReplyToken reply;
  std::vector<RunSnapshot> loaded;
};
struct Mark {
  std::vector<Target> targets;
  TaskState state = TaskState::succeeded;
  std::string actor;
  ReplyToken reply;
  std::vector<RunSnapshot> loaded;
};
struct Dismiss {
  std::vector<Target> targets;
  std::string note;
  std::string actor;
  ReplyToken reply;
  std::vector<RunSnapshot> loaded;
};
struct Pause {
  std::vector<Target> targets;
  std::string note;
  std::string actor;
  ReplyToken reply;
};
struct Unpause {
  std::vector<Target> targets;
  std::string actor;
  ReplyToken reply;
};

/// A worker takes attempts of these operators from now on.
struct WorkerUp {
  WorkerId worker;
  std::vector<std::string> operators = {"process"};
};
/// A worker takes no more attempts; those it has go on.
struct WorkerDrains {
  WorkerId worker;
};
/// A worker is gone, and the fate of all its attempts was told before. (WorkerDrains comes before
/// that, or it is given new ones meanwhile; what was told of none of them is lost.)
struct WorkerGone {
  WorkerId worker;
};

/// The process of an attempt lives; sent for those that last.
struct AttemptBegan {
  AttemptId attempt;
  WallTime at;
};
struct AttemptsEnded {
  std::vector<AttemptResult> results;
};
/// The operator of an attempt names what its work is known by elsewhere, to find it again after a
/// crash. Replaces what was set before; answered by effect::HandleStored.
struct AttemptHandle {
  AttemptId attempt;
  WorkerId worker;
  std::int64_t serial = 0;  ///< of the worker's, handed back
  std::string handle;       ///< see limits.h
};

/// Answer to effect::StartAttempt of worker 0, the scheduler itself: what the attempt of an
/// operator `job` waits for from now on. Where that is not true any more, the start is asked for
/// again.
struct CallJob {
  AttemptId attempt;
  std::int32_t stay = 0;
  /// A run that its task made before goes on, or goes on already.
  std::optional<RunId> known;
  std::vector<RunSnapshot> loaded;  ///< of a known one that has ended, with final items
  RunRow run;                       ///< else a new one: job, version, params
};

/// Answer to effect::Prepare.
struct Prepared {
  RunId run;
  TaskIndex task;
  std::uint32_t stamp = 0;
  enum class Outcome : std::uint8_t { go, skip, error } outcome = Outcome::go;
  Reason reason = Reason::none;  ///< of an error: `when`, `items`, `template`
  std::string message;           ///< of a skip: the expression and what it saw
};
/// The next items of a mapped task; also the last word on them.
struct ItemsRead {
  RunId run;
  TaskIndex task;
  std::uint32_t stamp = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::string bytes;   ///< of a chunk; empty when `count` is 0
  std::string source;  ///< for MappedRow::source
  bool complete = false;
  std::string error;  ///< not empty: reading failed, the task fails with `items`
};

/// The slots of a pool of the settings; of one that is gone, 0.
struct SetPool {
  std::int64_t slots = 4;
  std::string pool = "default";
  std::optional<Rate> rate = {};  ///< of the starts in it
};
/// No new attempts from now on (`serve --drain`, disk full); false: again.
struct HoldStarts {
  bool hold = true;
};
/// The last batch of an ended run is durable.
struct RunDurable {
  RunId run;
};
/// Time has passed, the calendar has stepped, or a step left something to do.
struct Tick {};

}  // namespace input

using Input =
    std::variant<input::AddVersion, input::Recover, input::Recovered, input::Submit,
                 input::SubmitAll, input::SetSchedule, input::RemoveSchedule, input::PauseJob,
                 input::Cancel, input::Resume, input::Mark, input::Dismiss, input::Pause,
                 input::Unpause, input::WorkerUp, input::WorkerDrains, input::WorkerGone,
                 input::AttemptBegan, input::AttemptsEnded, input::AttemptHandle, input::CallJob,
                 input::Prepared, input::ItemsRead, input::SetPool, input::RecoverRates,
                 input::HoldStarts, input::RunDurable, input::Tick>;

}  // namespace pawl
