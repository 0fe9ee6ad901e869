// docs/operations.md has the table of what is found.

#include "scheduler/daemon/worker_fate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "plugins/worker/control_group.h"
#include "plugins/worker/crash_record.h"
#include "plugins/worker/journal.h"
#include "plugins/worker/remains.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/file_lock.h"

namespace pawl {
namespace {

/// For the kernel to take away what was killed.
constexpr Duration kGroupPatience = std::chrono::seconds(1);
constexpr std::size_t kLastWordsBytesMax = 4096;

struct Suspicion {
  std::vector<AttemptId> suspects;   ///< ascending
  std::optional<AttemptId> culprit;  ///< who did it, as far as that can be known
  bool has(AttemptId id) const { return std::binary_search(suspects.begin(), suspects.end(), id); }
};

/// Who of `open` (ascending) may have taken the process along: who says so itself, else those that
/// their host was watching (suspects.h), else all. A single one is the culprit, unless it was a
/// program: those are not to blame for the death of their supervisor.
Suspicion suspicion_of(const std::vector<StayOfAttempt>& open, const JournalContents& journal,
                       const std::optional<Crash>& crash, WallTime died_at) {
  if (crash && crash->attempt) return {{*crash->attempt}, crash->attempt};
  std::vector<AttemptId> all;
  std::vector<AttemptId> watched;
  bool is_one_operator = false;
  for (const auto& [id, stay] : open) {
    all.push_back(id);
    const JournalAttempt* attempt = journal.find(id);
    if (attempt == nullptr) continue;
    is_one_operator = open.size() == 1 && !attempt->spawned;
    if (attempt->is_suspect && died_at - attempt->begun_at < limits::kSuspectWatchedFor)
      watched.push_back(id);
  }
  if (watched.size() == 1) return {watched, watched.front()};
  if (!watched.empty()) return {std::move(watched), std::nullopt};
  return {std::move(all), is_one_operator ? std::optional(open.front().attempt) : std::nullopt};
}

/// When the worker ran, as its lock file says.
enum class Boot {
  this_one,
  earlier,
  unknown,  ///< the file is missing, or a power cut left it empty
};

Boot boot_of(const std::optional<ProcessIdentity>& worker) {
  if (!worker) return Boot::unknown;
  return worker->boot_id == boot_id() ? Boot::this_one : Boot::earlier;
}

std::string how_it_ended_its_host(const Crash& crash) {
  switch (crash.how) {
    case Crash::How::signal: return "crashed with " + signal_name(crash.signal);
    case Crash::How::exit: return "called exit()";
    case Crash::How::deaf: return "did not end when it was told to";
    case Crash::How::blocked: return "blocked the host's event loop";
  }
  return "";
}

std::string what_happened(AttemptId attempt, const std::optional<Crash>& crash, Boot boot,
                          WorkerDeath death) {
  if (boot == Boot::earlier) return "the machine restarted; it may have done its work";
  if (boot == Boot::unknown && death == WorkerDeath::unseen)
    return "its worker died and left no word of when; it may have done its work";
  if (death == WorkerDeath::of_silence)
    return "its worker did not answer any more and was killed, with what was left of it";
  if (!crash) {
    return "its worker died without a word, as by SIGKILL, which the kernel sends, too, where "
           "memory is short (`journalctl -k` tells); what was left of it was killed";
  }
  const std::string how = how_it_ended_its_host(*crash);
  if (!crash->attempt)
    return "a thread of its host that worked for no attempt " + how +
           ", which ended the whole host";
  if (crash->attempt == attempt) return "its operator " + how + ", which ended the whole host";
  const std::string who = crash->who.empty() ? "" : " (" + crash->who + ")";
  return "another attempt of its host" + who + " " + how + ", which ended both";
}

/// The end of the worker's log, whole lines: what a library prints before it takes its process
/// along is there and nowhere else, and the folder goes. Secrets were hidden when it was written.
std::string end_of_log(const std::string& worker_folder) {
  const Fd log(::open((worker_folder + "/log").c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!log || ::fstat(log.get(), &info) != 0) return {};
  const auto size = static_cast<std::size_t>(info.st_size);
  std::string text(std::min(size, kLastWordsBytesMax), '\0');
  const ssize_t got =
      ::pread(log.get(), text.data(), text.size(), static_cast<off_t>(size - text.size()));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (text.size() < size) text.erase(0, text.find('\n') + 1);
  return to_utf8(text);
}

std::string last_words(const std::string& worker_folder) {
  const std::string text = end_of_log(worker_folder);
  return text.empty() ? text : "the worker's log ends with:\n" + text;
}

}  // namespace

std::string end_of_host(const std::string& worker_folder) {
  const std::optional<Crash> crash = read_crash(worker_folder);
  const std::string how = crash ? how_it_ended_its_host(*crash) : "ended without a word";
  std::string said = end_of_log(worker_folder);
  while (said.ends_with('\n')) said.pop_back();
  said.erase(0, said.rfind('\n') + 1);
  return said.empty() ? how : how + " and said \"" + escape_for_terminal(said) + '"';
}

AttemptResult result_of(WorkerId worker, const AttemptEnd& end) {
  AttemptResult result;
  result.attempt = end.attempt;
  result.stay = end.stay;
  result.worker = worker;
  switch (end.outcome) {
    case Outcome::succeeded: result.outcome = AttemptResult::Outcome::succeeded; break;
    case Outcome::failed:
    case Outcome::cancelled: result.outcome = AttemptResult::Outcome::failed; break;
    case Outcome::skipped: result.outcome = AttemptResult::Outcome::skipped; break;
    case Outcome::lost: result.outcome = AttemptResult::Outcome::lost; break;
    case Outcome::deferred: result.outcome = AttemptResult::Outcome::deferred; break;
  }
  result.reason = end.reason;
  result.look_again_after = end.defer_for;
  result.state_text = end.state;
  result.exit_code = end.exit_code;
  result.signal = end.signal;
  result.stop_seen = end.stop_seen && end.outcome == Outcome::cancelled;
  result.may_be_cause = end.may_be_cause;
  result.started_at = end.started_at;
  result.ended_at = end.ended_at;
  result.cpu_us = end.use.cpu_us;
  result.peak_memory_bytes = end.use.peak_memory_bytes;
  result.memory_bound_bytes = end.use.memory_bound_bytes;
  result.log_bytes = end.log_bytes;
  result.failure = {end.error_class, end.message, end.trace};
  if (end.output.format != OutputFormat::none) {
    result.output_format = to_string(end.output.format);
    result.output_value = end.output.value;
    result.output_file = end.output.file;
    result.output_bytes = static_cast<std::int64_t>(end.output.bytes);
  }
  return result;
}

Result<std::vector<AttemptResult>> fate_of_attempts(const std::string& worker_folder,
                                                    const std::string& home, WorkerId worker,
                                                    const std::vector<StayOfAttempt>& attempts,
                                                    WorkerDeath death, WallTime died_at) {
  std::vector<AttemptResult> results;
  const auto identity = FileLock::last_holder(worker_folder + "/lock");
  if (!identity) return identity.error();
  const Boot boot = boot_of(*identity);
  Result<JournalContents> journal = JournalContents();
  if (!attempts.empty()) journal = read_journal(worker_folder);
  if (!journal) return journal.error();
  remove_control_groups(worker_folder, home, worker, kGroupPatience);

  std::vector<JournalAttempt> to_kill;
  std::vector<StayOfAttempt> open;
  for (const auto& [id, stay] : attempts) {
    const JournalAttempt* known = journal->find(id);
    // An end of an earlier stay says that this one never began.
    if (known != nullptr && known->end && known->end->stay < stay) known = nullptr;
    if (known != nullptr && known->end) {
      results.push_back(result_of(worker, *known->end));
      continue;
    }
    // After a power cut silence proves nothing: the journal is not synced.
    const bool proves_absence = boot == Boot::this_one && !journal->damaged;
    if (known == nullptr && proves_absence) {
      AttemptResult result;
      result.attempt = id;
      result.stay = stay;
      result.worker = worker;
      result.outcome = AttemptResult::Outcome::never_started;
      result.ended_at = died_at;
      results.push_back(std::move(result));
      continue;
    }
    open.push_back({id, stay});
    JournalAttempt left;
    if (known != nullptr) {
      left = *known;
    } else {
      left.attempt = id;
      left.begun_at = died_at;
    }
    // Of another boot, that number and time would be another program's.
    if (boot == Boot::unknown && death == WorkerDeath::unseen) left.spawned.reset();
    to_kill.push_back(std::move(left));
  }
  Remains remains;
  if (boot != Boot::earlier) {
    // Where no attempt waits for it, what was killed is not waited for. Of attempts that have
    // ended, too, a warm program may have left something.
    const Duration patience = to_kill.empty() ? Duration(0) : limits::kUnkillableAfter;
    auto killed = kill_remains(home, worker_folder, to_kill, patience);
    if (!killed) return killed.error();
    remains = *std::move(killed);
  }
  std::sort(open.begin(), open.end(),
            [](const StayOfAttempt& a, const StayOfAttempt& b) { return a.attempt < b.attempt; });
  const auto crash = boot == Boot::this_one ? read_crash(worker_folder) : std::nullopt;
  const Suspicion suspicion = suspicion_of(open, *journal, crash, died_at);
  for (const auto& [id, stay] : open) {
    AttemptResult result;
    result.attempt = id;
    result.stay = stay;
    result.worker = worker;
    const bool is_lost = death != WorkerDeath::unseen && suspicion.has(id);
    result.outcome = is_lost ? AttemptResult::Outcome::lost : AttemptResult::Outcome::interrupted;
    result.reason = is_lost ? Reason::lost : Reason::interrupted;
    // What took the whole machine down may be, too.
    result.may_be_cause = boot != Boot::this_one || suspicion.culprit == id;
    result.ended_at = died_at;
    result.failure.message = what_happened(id, crash, boot, death);
    if (is_lost && suspicion.culprit == id) result.failure.trace = last_words(worker_folder);
    if (const JournalAttempt* known = journal->find(id)) result.handle = known->handle;
    if (std::binary_search(remains.alive.begin(), remains.alive.end(), id)) {
      result.outcome = AttemptResult::Outcome::failed;
      result.reason = Reason::unkillable;
      result.failure.message =
          "its worker died and its processes are still there a minute after SIGKILL";
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace pawl
