#include "scheduler/daemon/followers.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "scheduler/daemon/control.h"
#include "scheduler/daemon/run_progress.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

using nlohmann::json;

// A busy run changes thousands of times a second.
constexpr Duration kTellEvery = std::chrono::milliseconds(50);
constexpr Duration kFollowDefault = std::chrono::seconds(10);
constexpr Duration kFollowMax = std::chrono::seconds(60);
constexpr std::size_t kFollowersMax = 1'000;
constexpr std::size_t kEndedMax = 64;

std::string with_scheduler(json progress, std::uint64_t version, bool dormant, bool ended) {
  progress["version"] = version;
  progress["dormant"] = dormant;
  progress["ended"] = ended;
  progress["scheduler_pid"] = ::getpid();
  return dump(progress);
}

/// A run that has left memory. On the writer's thread.
Result<RunSnapshot> stored_run(Store& store, const std::string& name) {
  const auto row = store.run_by_name(name);
  if (!row) return row.error();
  if (!*row) return Error{ErrorKind::not_found, "there is no run " + name};
  auto snapshot = store.load_run((*row)->id, LoadOptions{});
  if (!snapshot) return snapshot.error();
  if (!*snapshot) {
    return Error{ErrorKind::storage, "run " + name + " cannot be read. `pawl doctor` says more"};
  }
  return **std::move(snapshot);
}

}  // namespace

Followers::Followers(Loop& loop, Pump& pump, Writer& writer, Epoch epoch)
    : loop_(loop),
      pump_(pump),
      writer_(writer),
      definitions_(loop, pump, writer),
      first_version_(static_cast<std::uint64_t>(epoch.value) << 32),
      tell_timer_(loop, [this] { tell(); }) {}

std::uint64_t Followers::version_of(RunId run) const {
  auto version = versions_.find(run);
  return first_version_ + (version == versions_.end() ? 1 : version->second);
}

std::string Followers::progress(RunId run, bool ended) const {
  const Engine& engine = pump_.engine();
  return with_scheduler(progress_json(
                            *engine.run(run), *engine.job_of(run), engine.states(run),
                            [&](TaskIndex task) { return engine.task(run, task); }, wall_now()),
                        version_of(run), engine.is_dormant(run), ended);
}

void Followers::follow(const std::string& run, const ControlRequest& request,
                       ControlAnswer answer) {
  const auto id = pump_.engine().run_named(run);
  if (!id || !is_open(*id)) {
    for (const Ended& ended : ended_) {
      if (ended.name == run) return answer(200, ended.last);
    }
  }
  if (!id) return answer_stored(run, answer);
  const auto known = static_cast<std::uint64_t>(number_of(request.query, "version", 0));
  // The last word comes once the end is durable.
  const bool has_ended = !is_open(*id);
  // Who asks for the first time is told at once; who has just been told waits for the next turn of
  // telling, or a busy run would spend its time on being watched.
  if (!has_ended && known < first_version_) return answer(200, progress(*id, false));
  if (waiting_.size() >= kFollowersMax) {
    return refuse(answer,
                  {ErrorKind::refused, "too many clients follow runs. Try again in a moment"});
  }
  const Duration patience =
      std::clamp(Duration(number_of(request.query, "timeout_ms", kFollowDefault.count())),
                 Duration{0}, kFollowMax);
  wait(*id, run, known, patience, std::move(answer));
  if (!has_ended && version_of(*id) > known && !tell_timer_.armed())
    tell_timer_.start_after(kTellEvery);
}

void Followers::wait(RunId run, std::string name, std::uint64_t known, Duration patience,
                     ControlAnswer answer) {
  const std::uint64_t ticket = ++last_ticket_;
  answer.on_gone([this, alive = alive_, ticket] {
    if (*alive) leave(ticket);
  });
  auto timer = std::make_unique<Timer>(loop_, [this, ticket] { timed_out(ticket); });
  timer->start_after(patience);
  waiting_.push_back({ticket, run, std::move(name), known, std::move(answer), std::move(timer)});
}

void Followers::leave(std::uint64_t ticket) {
  std::erase_if(waiting_, [&](const Follower& f) { return f.ticket == ticket; });
}

/// It is told what there is, changed or not.
void Followers::timed_out(std::uint64_t ticket) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Follower& f) { return f.ticket == ticket; });
  if (found == waiting_.end()) return;
  const Follower left = std::move(*found);
  waiting_.erase(found);
  if (pump_.engine().has_run(left.run)) return left.answer(200, progress(left.run, false));
  answer_stored(left.name, left.answer);
}

/// Other runs open one again too, that call it as a part of what they do.
bool Followers::is_open(RunId run) const {
  const RunRow* row = pump_.engine().run(run);
  return row != nullptr && !is_final(row->state);
}

void Followers::changed() {
  std::erase_if(ended_, [this](const Ended& ended) { return is_open(ended.run); });
  for (RunId run : pump_.take_changed()) {
    if (pump_.engine().has_run(run)) ++versions_.try_emplace(run, 1).first->second;
  }
  if (!waiting_.empty() && !tell_timer_.armed()) tell_timer_.start_after(kTellEvery);
}

void Followers::tell() {
  std::vector<std::pair<RunId, ControlAnswer>> told;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const bool has_news = is_open(it->run) && version_of(it->run) > it->version;
    if (has_news) told.emplace_back(it->run, std::move(it->answer));
    it = has_news ? waiting_.erase(it) : std::next(it);
  }
  for (const auto& [id, answer] : told) answer(200, progress(id, false));
}

void Followers::run_ended(RunId run) {
  const RunRow* row = pump_.engine().run(run);
  if (row == nullptr) return;
  const std::string name = row->name;
  forget_ending(name);
  if (!is_final(row->state)) return;  // opened again meanwhile
  ++versions_.try_emplace(run, 1).first->second;
  const std::string last = progress(run, true);
  versions_.erase(run);
  ended_.push_back({run, name, last});
  if (ended_.size() > kEndedMax) ended_.pop_front();
  std::vector<ControlAnswer> told;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const bool is_meant = it->run == run;
    if (is_meant) told.push_back(std::move(it->answer));
    it = is_meant ? waiting_.erase(it) : std::next(it);
  }
  for (const ControlAnswer& answer : told) answer(200, last);
}

void Followers::forget_ending(const std::string& run) {
  std::erase_if(ended_, [&](const Ended& ended) { return ended.name == run; });
}

void Followers::answer_stored(const std::string& run, const ControlAnswer& answer) {
  pump_.flush();
  const bool is_queued =
      writer_.load([this, alive = alive_, run, answer](Store& store) -> std::function<void()> {
        auto stored = std::make_shared<Result<RunSnapshot>>(stored_run(store, run));
        return [this, alive, answer, stored] {
          if (!*alive) return;
          if (!*stored) return refuse(answer, stored->error());
          const VersionId version = (*stored)->run.version;
          definitions_.read(version, [this, answer, stored](const Result<SharedJob>& job) {
            if (!job) return refuse(answer, job.error());
            const RunSnapshot& snapshot = **stored;
            answer(200, with_scheduler(progress_json(snapshot, **job, wall_now()),
                                       first_version_ + 1, false, is_final(snapshot.run.state)));
          });
        };
      });
  if (!is_queued) refuse(answer, lost_answer());
}

}  // namespace pawl
