#include "scheduler/daemon/submissions.h"

#include <algorithm>

#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
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
    : pump_(pump),
      writer_(writer),
      jobs_(jobs),
      replies_(replies),
      slots_max_(slots_max),
      works_(loop) {}

// Of a file --------------------------------------------------------------------------------------

void Submissions::of_file(const ControlRequest& request, Json body, ControlAnswer answer) {
  const std::string folder = text_of(body, "folder");
  if (!folder.starts_with('/'))
    return refuse(answer, {ErrorKind::invalid, "`folder` is not an absolute path"});
  std::string text;
  if (const auto it = body.find("text"); it != body.end() && it->is_string()) {
    text = std::move(it->get_ref<std::string&>());
    body.erase(it);
  }
  auto parsed = std::make_shared<ParseResult>();
  works_.start([parsed, text = std::move(text),
                options = jobs_.reading(folder)] { *parsed = parse_job(text, options); },
               [this, parsed, body = std::move(body), actor = request.actor, answer] {
                 begin_of_file(std::move(*parsed), body, actor, answer);
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
  const SharedJob spec(std::move(parsed.job));
  auto submit_it = [this, alive = alive_, row, spec, actor = std::move(actor), answer,
                    diagnostics = std::move(diagnostics)](Result<VersionId> version) mutable {
    if (!*alive) return;
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
    submit(std::move(row), spec, false, std::move(actor), std::move(diagnostics),
           std::move(answer));
  };
  jobs_.version_of(std::move(parsed.text), spec, std::move(submit_it));
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
  jobs_.stored(row.version, [this, alive = alive_, row, body, actor = request.actor,
                             answer](const Result<SharedJob>& spec) mutable {
    if (!*alive) return;
    if (!spec) return refuse(answer, spec.error());
    auto params = params_of(**spec, body);
    if (!params) return refuse(answer, params.error());
    row.params = *params;
    submit(std::move(row), *spec, flag_of(body, "force"), std::move(actor), json::array(), answer);
  });
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

void Submissions::submit(RunRow row, SharedJob job, bool force, std::string actor, Json diagnostics,
                         ControlAnswer answer) {
  if (row.request_id.empty()) {
    return feed(std::move(row), job, force, std::move(actor), std::move(diagnostics),
                std::move(answer));
  }
  if (auto id = pump_.engine().run_of_request(row.request_id)) {
    if (const RunRow* known = pump_.engine().run(*id)) return answer_existing(*known, row, answer);
  }
  pump_.flush();
  auto look = [this, alive = alive_, row = std::move(row), job = std::move(job), force,
               actor = std::move(actor), diagnostics = std::move(diagnostics),
               answer](Store& store) mutable -> std::function<void()> {
    auto known = store.run_by_request(row.request_id);
    return
        [this, alive, row = std::move(row), job = std::move(job), force, actor = std::move(actor),
         diagnostics = std::move(diagnostics), answer, known = std::move(known)]() mutable {
          if (!*alive) return;
          if (!known) return refuse(answer, known.error());
          if (*known) return answer_existing(**known, row, answer);
          feed(std::move(row), job, force, std::move(actor), std::move(diagnostics), answer);
        };
  };
  if (!writer_.load(std::move(look))) refuse(answer, lost_answer());
}

void Submissions::feed(RunRow row, const SharedJob& job, bool force, std::string actor,
                       Json diagnostics, ControlAnswer answer) {
  const ReplyToken token =
      replies_.expect([answer = std::move(answer), name = row.job,
                       diagnostics = std::move(diagnostics)](effect::Reply&& reply) {
        if (!reply.status) return refuse(answer, reply.status.error());
        answer(reply.created ? 201 : 200,
               dump(run_json(reply.run_name, name, reply.created, diagnostics)));
      });
  jobs_.know(row.version, job);
  pump_.feed(input::Submit{std::move(row), force, std::move(actor), token});
}

}  // namespace pawl
