// What people define, start and command.

#include <algorithm>
#include <utility>

#include "scheduler/base/text.h"
#include "tests/sim/life.h"

namespace pawl::sim {

using namespace std::chrono_literals;

void Life::define_scheduled() {
  static const char* const kOverlaps[] = {"queue", "skip", "replace", "allow"};
  static const char* const kCatchups[] = {"none", "latest", "all"};
  period_ = Duration((random_.below(6) + 3) * 1'000);
  JobSpec job = job_from_text(
      std::string("job name=") + kScheduled + " every=" + std::to_string(period_ / 1s) +
      "s overlap=" + kOverlaps[random_.below(4)] + " catchup=" + kCatchups[random_.below(3)] +
      " limit=3 window=40s waiting=2" + (random_.one_in(3) ? " pause_after=2" : "") +
      (random_.one_in(3) ? " jitter=2s" : "") + "; ta retry=2 delay=2s interrupt=retry");
  define(job);
  served_[kScheduled] = served_of(VersionId{static_cast<std::int64_t>(jobs_.size())}, job);
}

void Life::define(JobSpec job) {
  const VersionId id{static_cast<std::int64_t>(jobs_.size()) + 1};
  jobs_.emplace(id, std::move(job));
}

JobSpec Life::random_job(int number) {
  static const char* const kRules[] = {"all_success", "all_success", "all_done", "none_failed",
                                       "one_success", "one_failed",  "always",   "all_skipped"};
  std::string text =
      "job name=j" + std::to_string(number) + (random_.one_in(3) ? " overlap=allow active=3" : "") +
      (random_.one_in(4) ? " fail_fast" : "") + (random_.one_in(4) ? " timeout=90s" : "") +
      (random_.one_in(3) ? " pool:p=2@3/10s" : " pool:p=2") +
      (random_.one_in(4) ? " pool:q=3@1/2s;" : " pool:q=3;");
  const std::int64_t tasks = random_.below(5) + 2;
  std::vector<std::int64_t> sources;  ///< whose items each task has; -1: none
  for (std::int64_t i = 0; i < tasks; ++i) {
    text += std::string("t") + static_cast<char>('a' + i);
    std::string ups;
    std::int64_t source = -1;
    for (std::int64_t up = 0; up < i; ++up) {
      if (!random_.one_in(2)) continue;
      const std::int64_t theirs = sources[static_cast<std::size_t>(up)];
      const bool each = theirs >= 0 && (source < 0 || source == theirs) && random_.one_in(2);
      if (each) source = theirs;
      ups += std::string(ups.empty() ? "" : ",") + "t" + static_cast<char>('a' + up) +
             (each ? "*" : "");
    }
    if (!ups.empty()) text += " after " + ups + " rule=" + kRules[random_.below(8)];
    if (random_.one_in(2)) text += " retry=3 delay=" + std::to_string(random_.below(20) + 1) + "s";
    static const char* const kInterrupts[] = {"retry", "hold", "fail"};
    text += std::string(" interrupt=") + kInterrupts[random_.below(3)];
    const bool is_mapped = source < 0 && random_.one_in(3);
    sources.push_back(is_mapped ? i : source);
    if (random_.one_in(6)) {
      text += " call=j" + std::to_string(random_.below(4)) +
              (is_mapped ? " map=" + std::to_string(random_.below(3)) : "") +
              (random_.one_in(5) ? " rate=2/10s" : "") + (random_.one_in(4) ? " timeout=30s" : "") +
              (random_.one_in(6) ? " total=60s" : "") + ";";
      continue;
    }
    if (is_mapped)
      text += " map=" + std::to_string(random_.below(8)) + (random_.one_in(2) ? " max=2" : "") +
              (random_.one_in(2) ? " tolerate=1" : "") + (random_.one_in(4) ? " stop=2" : "");
    static const char* const kRates[] = {"1/3s", "2/10s", "5/1s", "100/40s"};
    if (random_.one_in(5)) text += std::string(" rate=") + kRates[random_.below(4)];
    if (random_.one_in(6)) text += " queue=40s";
    if (random_.one_in(6)) text += " total=60s";
    if (random_.one_in(5)) text += " allow";
    if (random_.one_in(5)) text += " when";
    if (random_.one_in(4)) text += " priority=" + std::to_string(random_.below(3));
    static const char* const kPools[] = {"p", "q:3", "p:2,q", "q,default", "default:2", "p,q:2"};
    if (random_.one_in(2)) text += std::string(" pool=") + kPools[random_.below(6)];
    text += ";";
  }
  for (const char* kind : {"on_success", "on_failure", "on_exit"}) {
    if (!random_.one_in(3)) continue;
    text += std::string(kind) + (random_.one_in(3) ? " retry=2 delay=3s interrupt=retry" : "") +
            (random_.one_in(4) ? " when" : "") + ";";
  }
  return job_from_text(text);
}

void Life::know(VersionId id) {
  if (engine_->knows_version(id)) return;
  handle(input::AddVersion{version_row(id), jobs_.at(id), true});
  ++tale_.versions_told_again;
}

void Life::submit() {
  // The last one seldom, so that its definition leaves memory between its runs.
  const auto& [id, job] = *std::next(jobs_.begin(), random_.one_in(12) ? 3 : random_.below(3));
  RunRow row;
  row.job = job.name;
  row.version = id;
  row.default_slots = random_.one_in(5) ? 2 : 0;
  if (random_.one_in(8)) row.start_at = now_.wall + Duration(random_.below(20'000));
  if (random_.one_in(3)) row.request_id = "q" + std::to_string(random_.below(30));
  for (const auto& [other_id, other] : store_.runs) {
    // Whoever asks again asks the store first.
    if (!row.request_id.empty() && other.request_id == row.request_id) return;
  }
  know(id);
  handle(input::Submit{row, random_.one_in(10), "ana", {}});
}

void Life::submit_first() {
  RunRow row;
  row.version = jobs_.begin()->first;
  row.job = jobs_.begin()->second.name;
  handle(input::Submit{row, false, "ana", {}});
}

void Life::command() {
  // A person's command is resolved behind all that is on its way to the store.
  (void)commit(queue_.size());
  if (store_.runs.empty()) return;
  ++tale_.commands;
  if (random_.one_in(8)) {
    handle(input::PauseJob{kScheduled, !store_.jobs[kScheduled].paused, "", "ana", {}});
    return;
  }
  const RunId id = random_.pick(store_.runs).first;
  const auto& job = jobs_.at(store_.runs.at(id).version);
  Target target{id, {}, {}};
  if (random_.one_in(2))
    target.task = TaskIndex{
        static_cast<std::uint32_t>(random_.below(static_cast<std::int64_t>(job.node_count())))};
  if (target.task && random_.one_in(2)) target.item = ItemIndex{random_.below(6)};
  std::vector<RunSnapshot> loaded;
  if (!engine_->has_run(id) || engine_->has_mapped_tasks(id))
    loaded.push_back(store_.snapshot(id, true));
  know(store_.runs.at(id).version);
  const std::vector<Target> targets{target};
  switch (random_.below(7)) {
    case 0: handle(input::Cancel{targets, random_.one_in(2), "ana", {}, {}}, true); break;
    case 1:
    case 2: {
      input::Resume resume{targets, false, false, false, "ana", {}, loaded};
      if (target.task) resume.from = random_.one_in(3);
      if (target.task) resume.only = !resume.from && random_.one_in(3);
      resume.downstream = random_.one_in(4);
      touched_.insert(id);
      (void)engine_->plan_resume(resume);
      handle(resume, true);
      break;
    }
    case 3: {
      static const TaskState kMarks[] = {TaskState::succeeded, TaskState::failed,
                                         TaskState::skipped};
      touched_.insert(id);
      handle(input::Mark{targets, kMarks[random_.below(3)], "ana", {}, loaded}, true);
      break;
    }
    case 4: handle(input::Dismiss{targets, "", "ana", {}, loaded}, true); break;
    case 5: handle(input::Pause{{{id, {}, {}}}, "", "ana", {}}, true); break;
    case 6: handle(input::Unpause{{{id, {}, {}}}, "ana", {}}, true); break;
  }
  for (const Explanation& line : engine_->explain(target, now_)) {
    if (line.text.empty()) fail("an explanation says nothing");
  }
}

void Life::act_out(Act act, int step) {
  const std::vector<Target> targets{Target{store_.last_run(), {}, {}}};
  if (act == Act::nothing || store_.runs.empty()) return;
  if (!is_cancelled_ && step >= 3) {
    is_cancelled_ = true;
    handle(input::Cancel{targets, false, "ana", {}, {}}, true);
  } else if (is_cancelled_ && !is_resumed_ && is_final(store_.runs.at(store_.last_run()).state)) {
    is_resumed_ = true;
    touched_.insert(store_.last_run());
    know(jobs_.begin()->first);
    handle(
        input::Resume{
            targets, false, false, false, "ana", {}, {store_.snapshot(store_.last_run(), true)}},
        true);
  }
}

}  // namespace pawl::sim
