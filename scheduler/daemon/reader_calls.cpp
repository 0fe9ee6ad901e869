// What the reader does for attempts of the operator `job`: parameters rendered, and what became of
// the run that an attempt made.

#include "scheduler/base/limits.h"
#include "scheduler/core/item_chunk.h"
#include "scheduler/daemon/output_file.h"
#include "scheduler/daemon/reader.h"
#include "scheduler/daemon/request.h"
#include "scheduler/spec/expression.h"

namespace pawl {
namespace {

using nlohmann::json;

Error wrong(const std::string& where, const ExpressionError& error) {
  return {ErrorKind::invalid, where + ": " + error.message};
}

/// The task's `env`, as far as it holds no secrets: those are only resolved in workers.
json rendered_env(const std::map<std::string, std::string>& env, const json& context) {
  json out = json::object();
  for (const auto& [name, text] : env) {
    auto compiled = Template::compile(text);
    const auto* value = std::get_if<Template>(&compiled);
    if (value == nullptr) continue;
    auto rendered = value->render_text(JsonContext(context), true);
    if (auto* done = std::get_if<std::string>(&rendered)) out[name] = std::move(*done);
  }
  return out;
}

std::string failure_text(const FailedTask& task) {
  std::string text = "task " + task.task;
  if (task.item) text += ":" + std::to_string(*task.item);
  text += ": " + task.reason;
  if (!task.error.empty()) text += ": " + task.error;
  return text;
}

}  // namespace

void Reader::serve(const read::CallRequest& request) {
  read::CallAnswer out;
  out.start = request.start;
  auto newest = noted(data_->newest_call(request.start.key));
  if (!newest) return;
  out.newest = std::move(*newest);
  if (request.start.stay == 0) {
    auto parameters = parameters_of(request);
    if (failure()) return;
    if (parameters) {
      out.parameters = dump(*parameters);
    } else {
      out.error = parameters.error().message;
    }
  }
  if (out.newest && is_final(out.newest->state)) {
    auto told = out.newest->state == RunState::succeeded ? output_of_call(*out.newest)
                                                         : failure_of_call(*out.newest);
    if (!told) return;
    out.ending = std::move(*told);
  }
  answer(std::move(out));
}

Result<json> Reader::parameters_of(const read::CallRequest& request) {
  auto context = context_of(request.context);
  if (!context) return context.error();
  json& names = *context;
  const TaskKey& key = request.start.key;
  if (auto added = add_pairs(key, request.pairs, names["tasks"]); !added) return added.error();
  names["task"] = {{"id", request.task},
                   {"attempt", request.start.number},
                   {"index", nullptr},
                   {"key", nullptr}};
  if (key.item != kWhole) {
    auto chunk = noted(data_->chunk_with(key.run, request.source, key.item.value));
    if (!chunk) return chunk.error();
    const auto items = *chunk ? read_item_chunk((*chunk)->bytes) : std::nullopt;
    const auto place = *chunk ? static_cast<std::size_t>(key.item.value - (*chunk)->first) : 0;
    if (!items || place >= items->size())
      return Error{ErrorKind::invalid, "the item is not in the store"};
    const ItemView& item = (*items)[place];
    names["item"] = json::parse(item.payload, nullptr, false);
    names["index"] = names["task"]["index"] = key.item.value;
    if (!item.key.empty()) names["task"]["key"] = std::string(item.key);
  }
  names["env"] = rendered_env(request.env, names);
  auto compiled = JsonTemplate::compile(json::parse(request.with, nullptr, false));
  if (auto* error = std::get_if<ExpressionError>(&compiled)) return wrong("with", *error);
  auto rendered = std::get<JsonTemplate>(compiled).render(JsonContext(names));
  if (auto* error = std::get_if<ExpressionError>(&rendered)) return wrong("with", *error);
  return std::move(std::get<json>(rendered));
}

/// The output of a task whose run succeeded. What the run's tasks gave is in it where it fits.
Result<std::string> Reader::output_of_call(const RunRow& run) {
  json out = {{"run", run.name}, {"job", run.job}, {"state", to_string(run.state)}};
  json outputs = json::object();
  std::size_t bytes = 0;
  auto done =
      noted(data_->outputs_of_tasks(run.id, [&](std::string_view task, const OutputRow& row) {
        if (!is_value(row)) return true;
        bytes += bytes_of(row) + task.size() + 8;
        if (bytes > limits::kOutputValueBytesMax / 2) return false;
        // The run succeeded, whatever became of a file since.
        if (auto value = value_of(row)) outputs[std::string(task)] = std::move(*value);
        return true;
      }));
  if (!done) return done.error();
  if (bytes <= limits::kOutputValueBytesMax / 2) out["outputs"] = std::move(outputs);
  return dump(out);
}

/// Why a run did not succeed, in one line.
Result<std::string> Reader::failure_of_call(const RunRow& run) {
  std::string text = "run " + run.name + " of job " + run.job;
  text += run.state == RunState::cancelled ? " was cancelled" : " failed";
  if (run.state == RunState::cancelled) {
    if (run.reason == Reason::replaced) text += ": replaced";
    return text;
  }
  // Hooks follow the tasks; what they do fails nobody.
  auto failed = noted(data_->failed(run.id, TaskIndex{limits::kTasksPerJobMax}, 1));
  if (!failed) return failed.error();
  if (!failed->empty() && !failed->front().task.starts_with("hook:")) {
    text += ": " + failure_text(failed->front());
  } else if (run.reason != Reason::none) {
    text += ": " + std::string(to_string(run.reason));
  }
  return text;
}

}  // namespace pawl
