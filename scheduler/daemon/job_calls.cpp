#include "scheduler/daemon/job_calls.h"

#include "scheduler/base/cut.h"
#include "scheduler/base/limits.h"
#include "scheduler/core/job_call.h"
#include "scheduler/daemon/dispatcher.h"
#include "scheduler/daemon/request.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

AttemptResult end_of(const effect::StartAttempt& start) {
  AttemptResult result;
  result.attempt = start.attempt;
  result.stay = start.stay;
  result.outcome = AttemptResult::Outcome::failed;
  result.ended_at = wall_now();
  return result;
}

std::string cut_message(std::string message) {
  message.resize(cut_utf8(message, limits::kErrorMessageBytesMax).size());
  return message;
}

}  // namespace

/// It may have been overtaken by a cancel.
bool JobCalls::is_live(const effect::StartAttempt& start) const {
  const auto key = pump_.engine().key_of(start.attempt);
  return key && *key == start.key && pump_.engine().stay_of(start.attempt) == start.stay;
}

void JobCalls::start(const effect::StartAttempt& start) {
  if (!is_live(start)) return;
  const TaskSpec& task = pump_.engine().job_of(start.key.run)->node(start.key.task);
  read::CallRequest request;
  request.start = start;
  request.context = context_request(pump_.engine(), start.key.run, start.key.task);
  request.pairs = pairs_of(pump_.engine(), start.key);
  request.source = task.mapped_over.value_or(start.key.task);
  request.task = task.id;
  request.with = task.with;
  if (task.with.find("env") != std::string::npos) request.env = task.env;
  reader_.ask(std::move(request));
}

void JobCalls::on(read::CallAnswer&& answer) {
  if (!is_live(answer.start)) return;
  if (!answer.error.empty()) return fail(answer.start, Reason::template_, answer.error);
  if (answer.start.stay > 0) {
    const RunRow* newest = answer.newest ? &*answer.newest : nullptr;
    if (next_call_move(answer.start.stay, answer.start.work, newest, true) == CallMove::go_on)
      return go_on(answer, {}, {});
    return conclude(answer);
  }
  const Json with = Json::parse(answer.parameters, nullptr, false);
  const std::string job = text_of(with, "job");
  Json params = with.is_object() ? with.value("params", Json::object()) : Json();
  if (job.empty() || !params.is_object()) {
    return fail(answer.start, Reason::permanent,
                "with: \"job\" must give the name of a job, and \"params\" an object");
  }
  look_up(std::move(answer), job, std::move(params));
}

void JobCalls::look_up(read::CallAnswer&& answer, const std::string& job, Json params) {
  const JobRow* row = jobs_.find(job);
  if (row == nullptr || row->version.value == 0) {
    const Error unknown = jobs_.unknown(job);
    const bool is_new = unknown.kind == ErrorKind::not_found;
    return fail(answer.start, Reason::permanent,
                unknown.message + (is_new ? " (a job is known once its file was run, or its folder "
                                            "is served)"
                                          : ""));
  }
  jobs_.stored(row->version,
               [this, alive = alive_, version = row->version, answer = std::move(answer),
                params = std::move(params)](const Result<SharedJob>& found) {
                 if (!*alive || !is_live(answer.start)) return;
                 if (!found) return fail(answer.start, Reason::permanent, found.error().message);
                 call(answer, params, version, *found);
               });
}

void JobCalls::call(const read::CallAnswer& answer, const Json& params, VersionId version,
                    const SharedJob& job) {
  auto resolved = resolve_params(*job, dump(params));
  if (!resolved) {
    return fail(answer.start, Reason::permanent,
                "job " + job->name + ": " + resolved.error().message);
  }
  const RunRow* newest = answer.newest ? &*answer.newest : nullptr;
  const bool fits =
      newest != nullptr && newest->job == job->name &&
      Json::parse(newest->params, nullptr, false) == Json::parse(*resolved, nullptr, false);
  switch (next_call_move(0, answer.start.work, newest, fits)) {
    case CallMove::begin: {
      jobs_.know(version, job);
      input::CallJob call;
      call.attempt = answer.start.attempt;
      call.run.job = job->name;
      call.run.version = version;
      call.run.params = std::move(*resolved);
      pump_.feed(std::move(call));
      return;
    }
    case CallMove::go_on:
      if (is_final(newest->state)) return load_ended(answer);
      return go_on(answer, {}, {});
    case CallMove::conclude: return conclude(answer);
  }
}

/// A run that is to be resumed has left memory, or leaves it soon.
void JobCalls::load_ended(const read::CallAnswer& answer) {
  jobs_.stored(
      answer.newest->version, [this, alive = alive_, answer](const Result<SharedJob>& job) {
        if (!*alive || !is_live(answer.start)) return;
        if (!job) return fail(answer.start, Reason::permanent, job.error().message);
        pump_.flush();
        writer_.load([this, alive, answer, job = *job](Store& store) -> std::function<void()> {
          auto loaded = std::make_shared<Result<std::optional<RunSnapshot>>>(
              store.load_run(answer.newest->id, {true, false}));
          return [this, alive, answer, job, loaded] {
            if (!*alive || !is_live(answer.start)) return;
            if (!*loaded) return fail(answer.start, Reason::permanent, loaded->error().message);
            go_on(answer, job, std::move(**loaded));
          };
        });
      });
}

/// `job`: of the snapshot's version, as it was looked up.
void JobCalls::go_on(const read::CallAnswer& answer, const SharedJob& job,
                     std::optional<RunSnapshot> snapshot) {
  input::CallJob call;
  call.attempt = answer.start.attempt;
  call.stay = answer.start.stay;
  call.known = answer.newest->id;
  if (snapshot) {
    jobs_.know(answer.newest->version, job);
    call.loaded.push_back(std::move(*snapshot));
  }
  pump_.feed(std::move(call));
}

/// The attempt ends as its run did.
void JobCalls::conclude(const read::CallAnswer& answer) {
  if (!answer.newest) {
    return fail(answer.start, Reason::permanent,
                "the run that it waited for is gone: retention took it away");
  }
  const RunRow& run = *answer.newest;
  AttemptResult result = end_of(answer.start);
  result.called = run.id;
  if (run.state == RunState::succeeded) {
    result.outcome = AttemptResult::Outcome::succeeded;
    result.output_format = to_string(OutputFormat::json);
    result.output_value = answer.ending;
    result.output_bytes = static_cast<std::int64_t>(answer.ending.size());
  } else {
    result.reason = run.state == RunState::cancelled ? Reason::permanent : Reason::error;
    result.failure.message = cut_message(answer.ending);
  }
  pump_.feed(input::AttemptsEnded{{std::move(result)}});
}

void JobCalls::fail(const effect::StartAttempt& start, Reason reason, std::string message) {
  if (!is_live(start)) return;
  AttemptResult result = end_of(start);
  result.reason = reason;
  result.failure.message = cut_message(std::move(message));
  pump_.feed(input::AttemptsEnded{{std::move(result)}});
}

}  // namespace pawl
