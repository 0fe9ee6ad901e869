#include "scheduler/daemon/submissions.h"

#include <algorithm>

#include "scheduler/base/text.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

using nlohmann::json;

json diagnostics_json(const std::vector<Diagnostic>& diagnostics) {
  json out = json::array();
  for (const Diagnostic& d : diagnostics) {
    out.push_back({{"severity", d.severity == Diagnostic::Severity::error ? "error" : "warning"},
                   {"line", d.line},
                   {"column", d.column},
                   {"pointer", d.pointer},
                   {"message", d.message}});
  }
  return out;
}

json run_json(const std::string& run, const std::string& job, bool created, json diagnostics) {
  return {
      {"run", run}, {"job", job}, {"created", created}, {"diagnostics", std::move(diagnostics)}};
}

/// The parameters of a request: values as JSON, and texts as a command line has them.
Result<std::string> params_of(const JobSpec& job, const json& body) {
  json given = body.value("params", json::object());
  if (given.is_null()) given = json::object();
  if (auto texts = body.find("param_texts"); texts != body.end() && texts->is_object()) {
    for (const auto& [key, value] : texts->items()) {
      if (!value.is_string())
        return Error{ErrorKind::invalid, "'" + key + "' of param_texts is not a text"};
      auto converted = param_from_text(job, key, value.get<std::string>());
      if (!converted) return converted.error();
      given[key] = json::parse(*converted, nullptr, false);
    }
  }
  return resolve_params(job, dump(given));
}

/// A time of a request into `time`; missing leaves it as it is.
Result<void> read_time(const json& body, const char* key, std::optional<WallTime>& time) {
  const std::string given = text_of(body, key);
  if (given.empty()) return {};
  time = parse_utc(given);
  if (time) return {};
  return Error{ErrorKind::invalid, std::string("`") + key + "` is no time: " + given};
}

}  // namespace

Submissions::Submissions(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Replies& replies,
                         std::int64_t slots_max)
    : loop_(loop),
      pump_(pump),
      writer_(writer),
      jobs_(jobs),
      replies_(replies),
      slots_max_(slots_max) {}

// Of a file --------------------------------------------------------------------------------------

void Submissions::of_file(const ControlRequest& request, const Json& body, ControlAnswer answer) {
  const std::string folder = text_of(body, "folder");
  if (!folder.starts_with('/'))
    return refuse(answer, {ErrorKind::invalid, "`folder` is not an absolute path"});
  std::erase_if(works_, [](const auto& w) { return !w->busy(); });
  works_.push_back(std::make_unique<Work>(loop_));
  auto parsed = std::make_shared<ParseResult>();
  works_.back()->start([parsed, text = text_of(body, "text"),
                        options = jobs_.reading(folder)] { *parsed = parse_job(text, options); },
                       [this, alive = alive_, parsed, body, actor = request.actor, answer] {
                         if (*alive) begin_of_file(std::move(*parsed), body, actor, answer);
                       });
}

void Submissions::begin_of_file(ParseResult parsed, const Json& body, std::string actor,
                                ControlAnswer answer) {
  if (!parsed.ok) {
    std::string message = "the job file has errors";
    for (const Diagnostic& d : parsed.diagnostics) {
      message += "\n" + format_diagnostic(text_of(body, "file"), d);
    }
    return refuse(answer, {ErrorKind::invalid, message});
  }
  auto params = params_of(parsed.job, body);
  if (!params) return refuse(answer, params.error());
  RunRow row;
  row.job = parsed.job.name;
  row.params = *params;
  row.request_id = text_of(body, "request_id");
  row.logical_time = wall_now();
  if (auto read = read_concurrency(body, parsed.job, row); !read)
    return refuse(answer, read.error());
  json diagnostics = diagnostics_json(parsed.diagnostics);
  auto submit_it = [this, row, actor = std::move(actor), answer,
                    diagnostics = std::move(diagnostics)](Result<VersionId> version) mutable {
    if (!version) return refuse(answer, version.error());
    row.version = *version;
    // Known by name from now on, so that it can be triggered again.
    JobRow job;
    if (const JobRow* known = jobs_.find(row.job)) job = *known;
    if (job.name.empty() || job.file.empty()) {
      job.name = row.job;
      job.version = *version;
      if (!job.first_loaded_at) job.first_loaded_at = wall_now();
      jobs_.set(std::move(job));
    }
    submit(std::move(row), false, std::move(actor), std::move(diagnostics), std::move(answer));
  };
  jobs_.version_of(parsed.text, std::move(parsed.job), std::move(submit_it));
}

Result<void> Submissions::read_concurrency(const Json& body, const JobSpec& job,
                                           RunRow& row) const {
  const auto it = body.find("concurrency");
  if (it == body.end() || !it->is_number_integer()) return {};
  row.default_slots = it->get<std::int64_t>();
  if (row.default_slots < 1 || row.default_slots > slots_max_) {
    return Error{ErrorKind::invalid, "concurrency must be from 1 to " + std::to_string(slots_max_) +
                                         ": each slot needs descriptors (ulimit -Hn)"};
  }
  for (std::uint32_t i = 0; i < job.node_count(); ++i) {
    const TaskSpec& task = job.node(TaskIndex{i});
    for (const PoolUse& use : task.pools) {
      if (use.pool != "default" || use.slots <= row.default_slots) continue;
      return Error{ErrorKind::invalid, "task " + task.id + " wants " + std::to_string(use.slots) +
                                           " slots of pool default, and a concurrency of " +
                                           std::to_string(row.default_slots) +
                                           " has fewer: it could never start"};
    }
  }
  return {};
}

// Of a job that is known -------------------------------------------------------------------------

void Submissions::of_job(const ControlRequest& request, const Json& body, ControlAnswer answer) {
  const std::string name = text_of(body, "job");
  const JobRow* job = jobs_.find(name);
  if (job == nullptr || job->version.value == 0) {
    return refuse(answer, jobs_.unknown(name));
  }
  RunRow row;
  row.job = name;
  row.version = job->version;
  row.request_id = text_of(body, "request_id");
  std::optional<WallTime> logical_time = wall_now();
  if (auto read = read_time(body, "for", logical_time); !read) return refuse(answer, read.error());
  if (auto read = read_time(body, "at", row.start_at); !read) return refuse(answer, read.error());
  row.logical_time = *logical_time;
  pump_.flush();
  const bool is_queued = writer_.load([this, alive = alive_, row, body, actor = request.actor,
                                       answer](Store& store) mutable -> std::function<void()> {
    auto version = store.version(row.version);
    return [this, alive, row = std::move(row), body = std::move(body), actor = std::move(actor),
            answer, version = std::move(version)]() mutable {
      if (!*alive) return;
      if (!version) return refuse(answer, version.error());
      if (!*version)
        return refuse(answer, {ErrorKind::storage, "job " + row.job + " has lost its definition"});
      begin_of_job(std::move(row), **version, body, std::move(actor), answer);
    };
  });
  if (!is_queued) refuse(answer, {ErrorKind::storage, "the store is closed"});
}

void Submissions::begin_of_job(RunRow row, const JobVersionRow& version, const Json& body,
                               std::string actor, ControlAnswer answer) {
  auto job = read_definition(version);
  if (!job) return refuse(answer, job.error());
  jobs_.know(version, *job);
  auto params = params_of(*job, body);
  if (!params) return refuse(answer, params.error());
  row.params = *params;
  submit(std::move(row), flag_of(body, "force"), std::move(actor), json::array(),
         std::move(answer));
}

// All of them ------------------------------------------------------------------------------------

namespace {

/// What the request id made before, or that it belongs to something else.
void answer_existing(const RunRow& known, const RunRow& asked, const ControlAnswer& answer) {
  if (known.job != asked.job ||
      json::parse(known.params, nullptr, false) != json::parse(asked.params, nullptr, false)) {
    return refuse(answer,
                  {ErrorKind::refused, "the request id '" + asked.request_id + "' belongs to run " +
                                           known.name + " of job " + known.job +
                                           " with other parameters. Use another id"});
  }
  answer(200, dump(run_json(known.name, known.job, false, json::array())));
}

}  // namespace

void Submissions::submit(RunRow row, bool force, std::string actor, Json diagnostics,
                         ControlAnswer answer) {
  if (row.request_id.empty()) {
    return feed(std::move(row), force, std::move(actor), std::move(diagnostics), std::move(answer));
  }
  if (auto id = pump_.engine().run_of_request(row.request_id)) {
    if (const RunRow* known = pump_.engine().run(*id)) return answer_existing(*known, row, answer);
  }
  pump_.flush();
  auto look = [this, alive = alive_, row = std::move(row), force, actor = std::move(actor),
               diagnostics = std::move(diagnostics),
               answer](Store& store) mutable -> std::function<void()> {
    auto known = store.run_by_request(row.request_id);
    return [this, alive, row = std::move(row), force, actor = std::move(actor),
            diagnostics = std::move(diagnostics), answer, known = std::move(known)]() mutable {
      if (!*alive) return;
      if (!known) return refuse(answer, known.error());
      if (*known) return answer_existing(**known, row, answer);
      feed(std::move(row), force, std::move(actor), std::move(diagnostics), answer);
    };
  };
  if (!writer_.load(std::move(look))) refuse(answer, {ErrorKind::storage, "the store is closed"});
}

void Submissions::feed(RunRow row, bool force, std::string actor, Json diagnostics,
                       ControlAnswer answer) {
  const ReplyToken token =
      replies_.expect([answer = std::move(answer), job = row.job,
                       diagnostics = std::move(diagnostics)](effect::Reply&& reply) {
        if (!reply.status) return refuse(answer, reply.status.error());
        answer(reply.created ? 201 : 200,
               dump(run_json(reply.run_name, job, reply.created, diagnostics)));
      });
  pump_.feed(input::Submit{std::move(row), force, std::move(actor), token});
}

}  // namespace pawl
