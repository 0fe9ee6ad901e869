#include "scheduler/daemon/commands.h"

#include <algorithm>
#include <utility>

#include "scheduler/base/text.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/request_body.h"
#include "scheduler/daemon/run_json.h"
#include "scheduler/loop/clock.h"
#include "scheduler/spec/json_text.h"

namespace pawl {
namespace {

using nlohmann::json;

/// What stands between the two in `path`; empty when it is another path.
std::string_view between(std::string_view path, std::string_view begin, std::string_view end) {
  const bool fits =
      path.size() > begin.size() + end.size() && path.starts_with(begin) && path.ends_with(end);
  return fits ? path.substr(begin.size(), path.size() - begin.size() - end.size())
              : std::string_view();
}

// A text is read by ten megabytes a second or more, so one of this size takes some milliseconds.
constexpr std::size_t kBodyOnLoopMax = 64U << 10;

Result<json> body_of(const std::string& text) {
  if (text.empty()) return json::object();
  if (const auto why = json_error(text)) return Error{ErrorKind::invalid, "the body: " + *why};
  json body = json::parse(text, nullptr, false);
  if (!body.is_object()) return Error{ErrorKind::invalid, "the body is not a JSON object"};
  return body;
}

Error no_such_route(const ControlRequest& request) {
  return {ErrorKind::not_found, "there is no " + request.method + " " + request.path +
                                    ". Is the scheduler of an older version? See pawl status"};
}

/// Whether it makes runs, or lets some go on; asked about beforehand, it would.
bool starts_work(std::string_view path, const json& body) {
  if (path == "/v1/runs" || path == "/v1/trigger") return true;
  const std::string verb = path == "/v1/commands" ? text_of(body, "verb") : std::string();
  return path == "/v1/backfill" || verb == "resume" || verb == "rerun";
}

/// Whether a worker has an attempt of it.
bool has_one_of(const Engine& engine, WorkerId worker, const Target& target) {
  const std::vector<AttemptId> attempts = engine.attempts_of(worker);
  return std::any_of(attempts.begin(), attempts.end(), [&](AttemptId attempt) {
    const TaskKey key = *engine.key_of(attempt);
    return key.run == target.run && key.task == target.task.value_or(key.task) &&
           key.item == target.item.value_or(key.item);
  });
}

std::string silence_text(const Workers::View& worker) {
  return "its worker " + std::to_string(worker.id.value) + " (pid " + std::to_string(worker.pid) +
         ") does not answer. It goes on when that does: kill -CONT " + std::to_string(worker.pid) +
         " if it is stopped; pawl cancel --force ends it, with all that the worker runs";
}

}  // namespace

Commands::Commands(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Epoch epoch,
                   ServiceHooks hooks)
    : pump_(pump),
      jobs_(jobs),
      works_(loop),
      hooks_(std::move(hooks)),
      followers_(loop, pump, writer, epoch),
      submissions_(loop, pump, writer, jobs, replies_, hooks_.slots_max),
      backfills_(loop, pump, writer, jobs, replies_),
      run_commands_(loop, pump, writer, jobs, replies_, submissions_, followers_,
                    hooks_.run_changed) {}

void Commands::handle(ControlRequest request, ControlAnswer answer) {
  if (request.method == "GET") return get(request, std::move(answer));
  if (request.method == "POST") return post(std::move(request), std::move(answer));
  refuse(answer, no_such_route(request));
}

void Commands::get(const ControlRequest& request, ControlAnswer answer) {
  const std::string run(between(request.path, "/v1/runs/", "/follow"));
  if (!run.empty()) return followers_.follow(run, request, std::move(answer));
  if (request.path == "/v1/status") return answer(200, dump(hooks_.status()));
  if (request.path == "/v1/pools")
    return answer(200, dump(pools_json(pump_.engine(), read_clocks())));
  if (request.path == "/v1/progress") {
    const auto attempts = request.query.find("attempts");
    const bool is_asked = attempts != request.query.end();
    return answer(200, dump(hooks_.progress(is_asked ? attempts->second : std::string())));
  }
  if (request.path == "/v1/explain") return explain(request, answer);
  refuse(answer, no_such_route(request));
}

void Commands::post(ControlRequest request, ControlAnswer answer) {
  std::string text = std::exchange(request.body, {});
  if (text.size() <= kBodyOnLoopMax) return post(request, body_of(text), std::move(answer));
  auto body = std::make_shared<Result<json>>(json());
  works_.start([body, text = std::move(text)] { *body = body_of(text); },
               [this, body, request = std::move(request), answer = std::move(answer)] {
                 post(request, std::move(*body), answer);
               });
}

void Commands::post(const ControlRequest& request, Result<Json> read, ControlAnswer answer) {
  if (!read) return refuse(answer, read.error());
  Json body = *std::move(read);
  if (const auto known = check_body(request.path, body); !known)
    return refuse(answer, known.error());
  if (request.path == "/v1/hand_over" || request.path == "/v1/reload") {
    const Result<void> done = request.path == "/v1/reload" ? hooks_.reload() : hooks_.hand_over();
    return done ? answer(200, "{}") : refuse(answer, done.error());
  }
  // Retention makes room: it is what a full disk asks for.
  if (request.path == "/v1/prune") return prune(body, answer);
  if (hooks_.storage_full()) {
    return refuse(answer, {ErrorKind::storage,
                           "the disk is full: nothing new is accepted, what runs goes on. Make "
                           "room; it goes on by itself"});
  }
  if (starts_work(request.path, body)) {
    for (const Hold& hold : hooks_.holds()) {
      if (hold.kind != kDraining) continue;
      return refuse(answer, {ErrorKind::refused,
                             hold.text + ", and takes nothing new. Try again once it has ended"});
    }
  }
  if (request.path == "/v1/runs")
    return submissions_.of_file(request, std::move(body), std::move(answer));
  if (request.path == "/v1/trigger") return submissions_.of_job(request, body, std::move(answer));
  if (request.path == "/v1/backfill") return backfills_.handle(request, body, std::move(answer));
  if (request.path == "/v1/commands") return run_commands_.handle(request, body, std::move(answer));
  for (const bool pause : {true, false}) {
    const std::string job(between(request.path, "/v1/jobs/", pause ? "/pause" : "/unpause"));
    if (!job.empty()) return pause_job(job, pause, body, request.actor, std::move(answer));
  }
  refuse(answer, no_such_route(request));
}

void Commands::prune(const Json& body, const ControlAnswer& answer) {
  std::optional<Retainer::Asked> asked;
  if (auto it = body.find("ended_before_ms"); it != body.end() && it->is_number_integer())
    asked = {WallTime{it->get<std::int64_t>()}, {}};
  if (asked && asked->ended_before > wall_now())
    return refuse(answer, {ErrorKind::invalid, "what ends in the future is not taken away now"});
  if (auto it = body.find("runs"); it != body.end() && it->is_array()) {
    if (!asked || it->size() > kPrunedByNameMax) {
      return refuse(answer, {ErrorKind::invalid,
                             "'runs' of a prune goes with 'ended_before_ms', and names at most " +
                                 std::to_string(kPrunedByNameMax)});
    }
    auto& only = asked->only.emplace();
    for (const Json& name : *it) only.insert(name.is_string() ? name.get<std::string>() : "");
  }
  if (hooks_.waits_for_room()) {
    return refuse(answer, {ErrorKind::storage,
                           "the disk is so full that not even rows can be deleted. Delete folders "
                           "under logs/ of runs that ended, or give the disk more; then prune"});
  }
  hooks_.prune(std::move(asked), [answer](Result<std::int64_t> runs) {
    if (!runs) return refuse(answer, runs.error());
    answer(200, dump({{"runs", *runs}}));
  });
}

void Commands::pause_job(const std::string& name, bool pause, const Json& body,
                         const std::string& actor, ControlAnswer answer) {
  const JobRow* known = jobs_.find(name);
  if (known == nullptr) return refuse(answer, jobs_.unknown(name));
  jobs_.note_paused(name, pause);
  const ReplyToken token = replies_.expect([answer, name, pause](effect::Reply&&) {
    answer(200, dump({{"job", name}, {"paused", pause}}));
  });
  pump_.feed(input::PauseJob{name, pause, text_of(body, "note"), actor, token});
}

// Why something is not running -------------------------------------------------------------------

void Commands::explain(const ControlRequest& request, const ControlAnswer& answer) {
  auto asked = [&](const char* key) {
    auto it = request.query.find(key);
    return it == request.query.end() ? std::string() : it->second;
  };
  const std::string name = asked("run");
  const Engine& engine = pump_.engine();
  const auto id = engine.run_named(name);
  if (!id) {
    return refuse(
        answer, {ErrorKind::not_found,
                 "run " + name + " is not open; its history says how it ended: pawl show " + name});
  }
  Target target{*id, {}, {}};
  const RunRow& row = *engine.run(*id);
  json out = {{"run", name}, {"state", to_string(row.state)}, {"reason", to_string(row.reason)}};
  if (const std::string task = asked("task"); !task.empty()) {
    target.task = task_named(*engine.job_of(*id), task);
    if (!target.task)
      return refuse(answer, {ErrorKind::not_found, "run " + name + " has no task '" + task + "'"});
    const std::int64_t index = number_of(request.query, "index", -1);
    if (index >= 0) target.item = ItemIndex{index};
    const TaskView at = engine.task(*id, *target.task);
    out["task"] = task;
    out["state"] = to_string(at.state);
    out["reason"] = to_string(at.reason);
    out["detail"] = at.detail;
    if (at.queued_at) out["queued_at"] = format_utc(*at.queued_at);
    if (at.counts) out["counts"] = counts_json(*at.counts);
  }
  out["reasons"] = reasons(target);
  answer(200, dump(out));
}

/// The engine knows that starts are held; why, the service knows.
Commands::Json Commands::reasons(const Target& target) const {
  const Engine& engine = pump_.engine();
  json out = json::array();
  for (const json& reason : explanation_json(engine, engine.explain(target, read_clocks()))) {
    if (reason.value("kind", "") != "held_starts") {
      out.push_back(reason);
      continue;
    }
    for (const Hold& hold : hooks_.holds())
      out.push_back({{"kind", hold.kind}, {"text", hold.text}});
  }
  for (const Workers::View& worker : hooks_.silent_workers()) {
    if (has_one_of(engine, worker.id, target))
      out.push_back({{"kind", "no_worker"}, {"text", silence_text(worker)}});
  }
  return out;
}

}  // namespace pawl
