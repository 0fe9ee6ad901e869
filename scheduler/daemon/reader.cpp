#include "scheduler/daemon/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "scheduler/base/bytes.h"
#include "scheduler/base/limits.h"
#include "scheduler/daemon/output_file.h"
#include "scheduler/daemon/request.h"
#include "scheduler/spec/expression.h"

namespace pawl {
namespace {

using nlohmann::json;

// `run.failed` of a hook.
constexpr int kFailedMax = 20;

/// `, mode is "delta"`: what the names in an expression stood for, as far as that is short and no
/// part of the environment.
std::string seen_by(const Expression& expression, const json& context) {
  constexpr std::size_t kNamesMax = 5;
  constexpr std::size_t kValueBytesMax = 100;
  std::set<std::string> seen;
  std::string text;
  for (const Reference& reference : expression.references()) {
    const std::vector<std::string>& path = reference.path;
    if (path.empty() || path[0] == "env" || path[0] == "secrets") continue;
    const json* value = &context;
    std::string name;
    for (const std::string& part : path) {
      const auto found = value->is_object() ? value->find(part) : value->end();
      if (found == value->end()) break;
      value = &*found;
      // What is given is known by its own name.
      if (part != "params" || !name.empty()) name += (name.empty() ? "" : ".") + part;
    }
    if (value->is_structured() || name.empty() || seen.size() == kNamesMax) continue;
    const std::string shown = dump(*value);
    if (shown.size() > kValueBytesMax || !seen.insert(name).second) continue;
    text += ", " + name + " is " + shown;
  }
  return text;
}

/// Of a mapped task: it is too much, or `holds_lines`.
std::string why_left_out(const read::Upstream& upstream, bool holds_lines) {
  const std::string most = format_bytes(limits::kOutputValueBytesMax);
  return "the results of the " + std::to_string(upstream.items) + " items of " + upstream.id +
         (holds_lines ? " are no values but lines (jsonl), so they are not in its `output`"
                      : " have more than " + most + " together, the most that its `output` holds") +
         ": read the file that its `output_file` names, with a line of JSON for each item";
}

}  // namespace

Reader::Reader(std::unique_ptr<RunData> data, std::string home, std::string outputs,
               std::function<void()> wake)
    : data_(std::move(data)),
      home_(std::move(home)),
      outputs_(std::move(outputs)),
      wake_(std::move(wake)),
      thread_([this] { work(); }) {}

Reader::~Reader() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

/// A value as it stands in the store, or in its file.
Result<json> Reader::value_of(const OutputRow& row) {
  if (!row.file.empty()) {
    auto text = read_output_file(home_, row);
    if (!text) return text.error();
    if (row.format == "json") return json::parse(*text, nullptr, false);
    return json(*std::move(text));
  }
  if (row.format == "json") return json::parse(row.value, nullptr, false);
  if (row.format != "jsonl") return json(row.value);
  json array = json::array();
  std::size_t start = 0;
  while (start < row.value.size()) {
    std::size_t end = row.value.find('\n', start);
    if (end == std::string::npos) end = row.value.size();
    const std::string_view line(row.value.data() + start, end - start);
    if (!line.empty()) array.push_back(json::parse(line, nullptr, false));
    start = end + 1;
  }
  return array;
}

void Reader::ask(read::Request request) {
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
  }
  changed_.notify_one();
}

void Reader::stored(RunId run, TaskIndex task) {
  {
    std::lock_guard lock(mutex_);
    ++acknowledged_[{run, task}];
  }
  changed_.notify_one();
}

std::vector<read::Answer> Reader::take_answers() {
  std::lock_guard lock(mutex_);
  return std::exchange(answers_, {});
}

void Reader::answer(read::Answer&& a) {
  {
    std::lock_guard lock(mutex_);
    if (failure_) return;
    answers_.push_back(std::move(a));
  }
  wake_();
}

std::optional<Error> Reader::failure() {
  std::lock_guard lock(mutex_);
  return failure_;
}

void Reader::note(const Error& failure) {
  {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = failure;
  }
  wake_();
}

/// Requests first, they are short; then one chunk of each reading, so that none starves.
void Reader::work() {
  while (true) {
    std::deque<read::Request> requests;
    {
      std::unique_lock lock(mutex_);
      auto has_work = [this] {
        if (is_stopping_ || !requests_.empty() || !acknowledged_.empty()) return true;
        return std::any_of(readings_.begin(), readings_.end(),
                           [](const auto& r) { return r->ahead < r->ahead_max; });
      };
      changed_.wait(lock, has_work);
      if (is_stopping_) return;
      requests.swap(requests_);
      for (const auto& [key, count] : acknowledged_) {
        for (auto& r : readings_) {
          if (r->run != key.first || r->task != key.second) continue;
          r->ahead -= count;
          r->ahead_max = std::min(r->ahead_max + count, kChunksAheadMax);
        }
      }
      acknowledged_.clear();
    }
    for (const read::Request& request : requests) {
      std::visit([this](const auto& r) { serve(r); }, request);
    }
    for (auto it = readings_.begin(); it != readings_.end();) {
      bool is_done = false;
      if ((*it)->ahead < (*it)->ahead_max) read_on(**it, is_done);
      it = is_done ? readings_.erase(it) : std::next(it);
    }
  }
}

void Reader::serve(const read::ChunkRequest& request) {
  read::ChunkAnswer a{request.run, request.task, request.item, nullptr, {}};
  auto chunk = noted(data_->chunk_with(request.run, request.source, request.item));
  if (!chunk) {
    a.error = chunk.error().message;
  } else if (!*chunk) {
    a.error = "the item is not in the store";
  } else {
    a.chunk = std::make_shared<const ItemChunkRow>(std::move(**chunk));
  }
  answer(std::move(a));
}

void Reader::serve(const read::StopRequest& request) {
  std::erase_if(readings_, [&](const auto& reading) {
    return reading->run == request.run && reading->task == request.task;
  });
}

void Reader::serve(const read::PastRequest& request) {
  read::PastAnswer out{request.start, {}, {}, {}};
  if (request.start.has_past) {
    if (auto past = noted(data_->attempt_past(request.start.attempt))) {
      out.past = std::move(*past);
    } else {
      out.error = past.error().message;
    }
  }
  json tasks = json::object();
  if (auto added = add_pairs(request.start.key, request.pairs, tasks); !added)
    out.error = added.error().message;
  if (failure()) return;
  if (!tasks.empty()) out.tasks = dump(tasks);
  answer(std::move(out));
}

void Reader::serve(const read::ContextRequest& request) {
  read::ContextAnswer a{request.run, request.task, request.ticket, {}, {}};
  auto context = context_of(request);
  if (context)
    a.context = dump(*context);
  else
    a.error = context.error().message;
  answer(std::move(a));
}

Result<json> Reader::context_of(const read::ContextRequest& request) {
  json context = json::parse(request.names, nullptr, false);
  json tasks = json::object();
  for (const read::Upstream& upstream : request.upstreams) {
    std::string left_out;
    auto names = names_of_task(request, upstream, left_out);
    if (!names) return names.error();
    tasks[upstream.id] = std::move(*names);
    if (!left_out.empty()) context[kOutputsLeftOut][upstream.id] = std::move(left_out);
  }
  context["tasks"] = std::move(tasks);
  if (request.failed_before) {
    auto failed = noted(data_->failed(request.run, *request.failed_before, kFailedMax));
    if (!failed) return failed.error();
    for (const FailedTask& task : *failed) {
      context["run"]["failed"].push_back(
          {{"task", task.task},
           {"index", task.item ? json(*task.item) : json(nullptr)},
           {"key", task.key.empty() ? json(nullptr) : json(task.key)},
           {"reason", task.reason},
           {"error", task.error}});
    }
  }
  return context;
}

/// What came of the items that this one is paired with, into `tasks`.
Result<void> Reader::add_pairs(const TaskKey& key, const std::vector<read::Upstream>& pairs,
                               json& tasks) {
  for (const read::Upstream& pair : pairs) {
    auto names = names_of_one({key.run, pair.task, key.item}, pair.state, true);
    if (!names) return names.error();
    tasks[pair.id] = std::move(*names);
  }
  return {};
}

/// Of a task that is not mapped, or of an item.
Result<json> Reader::names_of_one(TaskKey key, TaskState state, bool wants_output) {
  json names = {{"state", to_string(state)}};
  auto row = noted(data_->output(key));
  if (!row) return row.error();
  if (!*row) return names;
  const bool is_in_file = !(*row)->file.empty();
  if (is_in_file) names["output_file"] = path_of_output(home_, **row);
  if (is_in_file && !(wants_output && is_value(**row))) return names;
  auto value = value_of(**row);
  if (!value) return value.error();
  names["output"] = std::move(*value);
  return names;
}

/// `left_out` is told why the outputs are not among the names, where somebody asks for them.
Result<json> Reader::names_of_task(const read::ContextRequest& request,
                                   const read::Upstream& upstream, std::string& left_out) {
  if (!upstream.is_mapped)
    return names_of_one({request.run, upstream.task, kWhole}, upstream.state,
                        request.wants_outputs);
  json names = {{"state", to_string(upstream.state)}};
  json counts = json::object();
  for (std::size_t s = 0; s < kTaskStateCount; ++s) counts[kTaskStateWords[s]] = upstream.counts[s];
  names["counts"] = std::move(counts);
  // In index order, null where there is no result; left out when it does not fit.
  json array = json::array();
  std::size_t bytes = 0;
  auto add_until = [&](std::int64_t index) {
    while (static_cast<std::int64_t>(array.size()) < index) {
      array.push_back(nullptr);
      bytes += 5;
    }
  };
  bool holds_lines = false;
  bool fits = upstream.items <= static_cast<std::int64_t>(limits::kOutputValueBytesMax / 2);
  if (fits) {
    std::optional<Error> failed;
    auto done =
        noted(data_->outputs(request.run, upstream.task, ItemIndex{0}, [&](const OutputRow& row) {
          add_until(row.key.item.value);
          bytes += bytes_of(row) + 1;
          holds_lines = !is_value(row);
          fits = bytes <= limits::kOutputValueBytesMax && !holds_lines &&
                 (row.file.empty() || request.wants_outputs);
          if (!fits) return false;
          auto value = value_of(row);
          if (!value) {
            failed = value.error();
            return false;
          }
          array.push_back(std::move(*value));
          return true;
        }));
    if (!done) return done.error();
    if (failed) return *failed;
    if (fits) add_until(upstream.items);
  }
  if (fits) {
    names["output"] = std::move(array);
  } else if (request.wants_outputs) {
    left_out = why_left_out(upstream, holds_lines);
  }
  if (request.wants_output_files) {
    auto file = write_output_file(request, upstream);
    if (!file) return file.error();
    names["output_file"] = *file;
  }
  return names;
}

/// The outputs of a mapped task as JSONL, in index order, null where there is none.
Result<std::string> Reader::write_output_file(const read::ContextRequest& request,
                                              const read::Upstream& upstream) {
  const std::string folder = outputs_ + "/" + request.run_name;
  const std::string path = folder + "/" + upstream.id + ".jsonl";
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  const std::string part = path + ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  std::int64_t next = 0;
  const auto skip_to = [&](std::int64_t item) {
    for (; next < item; ++next) out << "null\n";
  };
  std::optional<OutputRow> in_file;
  do {
    in_file.reset();
    auto done = noted(
        data_->outputs(request.run, upstream.task, ItemIndex{next}, [&](const OutputRow& row) {
          skip_to(row.key.item.value);
          ++next;
          if (!row.file.empty()) {
            in_file = row;
            return false;
          }
          if (auto value = value_of(row)) out << dump(*value) << '\n';
          return static_cast<bool>(out);
        }));
    if (!done) return done.error();
    if (!in_file) break;
    // It may be long, and no transaction is open.
    auto copied = output_file_as_json(home_, *in_file, [&](std::string_view json) { out << json; });
    if (!copied) return copied.error();
    out << '\n';
  } while (out);
  skip_to(upstream.items);
  out.close();
  if (!out) return Error{ErrorKind::storage, "cannot write " + part + ": is the disk full?"};
  std::filesystem::rename(part, path, failed);
  if (failed) return Error{ErrorKind::storage, "cannot rename " + part + ": " + failed.message()};
  return path;
}

Result<std::unique_ptr<ItemStream>> Reader::open_items(const read::PrepareRequest& request,
                                                       const json& context) {
  const MapSpec& map = *request.map;
  auto bad = [](std::string message) { return Error{ErrorKind::invalid, std::move(message)}; };
  switch (map.kind) {
    case MapSpec::Kind::inline_array: {
      json array = json::parse(map.items, nullptr, false);
      if (!array.is_array()) return bad("map.items is not an array");
      auto rendered = render_json(array, JsonContext(context));
      if (auto* error = std::get_if<ExpressionError>(&rendered))
        return bad("map.items: " + error->message);
      return stream_array(std::move(std::get<json>(rendered)));
    }
    case MapSpec::Kind::file: {
      auto compiled = Template::compile(map.items);
      if (auto* error = std::get_if<ExpressionError>(&compiled))
        return bad("map.items: " + error->message);
      auto path = std::get<Template>(compiled).render_text(JsonContext(context), false);
      if (auto* error = std::get_if<ExpressionError>(&path))
        return bad("map.items: " + error->message);
      std::string& file = std::get<std::string>(path);
      if (!file.starts_with('/')) file = request.folder + "/" + file;
      return stream_file(file, map.format, request.source);
    }
    case MapSpec::Kind::expression: {
      auto compiled = Template::compile(map.items);
      if (auto* error = std::get_if<ExpressionError>(&compiled))
        return bad("map.items: " + error->message);
      const Template& items = std::get<Template>(compiled);
      // A spooled result of an earlier task is read as the file that it is.
      const auto& references = items.references();
      if (items.is_single() && references.size() == 1 && references[0].path.size() == 3 &&
          references[0].path[0] == "tasks" && references[0].path[2] == "output") {
        const json& task = context["tasks"].value(references[0].path[1], json::object());
        if (!task.contains("output") && task.contains("output_file")) {
          return stream_file(task["output_file"].get<std::string>(), ItemFormat::jsonl,
                             request.source);
        }
      }
      auto rendered = items.render(JsonContext(context));
      if (auto* error = std::get_if<ExpressionError>(&rendered))
        return bad("map.items: " + error->message);
      json& array = std::get<json>(rendered);
      if (!array.is_array())
        return bad(std::string("map.items gives ") + array.type_name() + ", not an array");
      return stream_array(std::move(array));
    }
  }
  return bad("map.items is of no known kind");
}

void Reader::serve(const read::PrepareRequest& request) {
  const RunId run = request.context.run;
  const TaskIndex task = request.context.task;
  auto fail = [&](Reason reason, const std::string& message) {
    if (request.is_open)
      answer(input::ItemsRead{run, task, request.stamp, request.from, 0, {}, {}, false, message});
    else
      answer(input::Prepared{run, task, request.stamp, input::Prepared::Outcome::error, reason,
                             message});
  };
  auto context = context_of(request.context);
  if (!context) return fail(Reason::template_, context.error().message);

  if (!request.when.empty() && !request.is_open) {
    auto compiled = Expression::compile(request.when);
    if (auto* error = std::get_if<ExpressionError>(&compiled))
      return fail(Reason::when, "when: " + error->message);
    auto verdict = std::get<Expression>(compiled).test(JsonContext(*context));
    if (auto* error = std::get_if<ExpressionError>(&verdict))
      return fail(Reason::when, "when: " + error->message);
    if (!std::get<bool>(verdict)) {
      answer(input::Prepared{run, task, request.stamp, input::Prepared::Outcome::skip, Reason::when,
                             "when '" + request.when + "' was false" +
                                 seen_by(std::get<Expression>(compiled), *context)});
      return;
    }
  }
  if (!request.map) {
    answer(
        input::Prepared{run, task, request.stamp, input::Prepared::Outcome::go, Reason::none, {}});
    return;
  }

  auto stream = open_items(request, *context);
  if (!stream) return fail(Reason::items, stream.error().message);
  // With keys all items before are read past, for theirs; otherwise a file goes on at its place.
  const bool seeks = !request.source.empty() && request.map->key.empty();
  if (!seeks && !request.source.empty() && request.map->kind != MapSpec::Kind::inline_array) {
    read::PrepareRequest whole = request;
    whole.source.clear();
    stream = open_items(whole, *context);
    if (!stream) return fail(Reason::items, stream.error().message);
  }
  const std::int64_t first = seeks ? request.from : 0;
  auto packer = ItemPacker::open(std::move(*stream), request.map->key, std::move(*context), first,
                                 request.from);
  if (!packer) return fail(Reason::items, packer.error().message);
  if (!request.is_open)
    answer(
        input::Prepared{run, task, request.stamp, input::Prepared::Outcome::go, Reason::none, {}});
  readings_.push_back(
      std::make_unique<Reading>(Reading{run, task, request.stamp, std::move(*packer)}));
}

void Reader::read_on(Reading& reading, bool& is_done) {
  auto chunk = reading.packer.next();
  if (!chunk) {
    answer(input::ItemsRead{
        reading.run, reading.task, reading.stamp, 0, 0, {}, {}, false, chunk.error().message});
    is_done = true;
    return;
  }
  is_done = chunk->complete;
  if (chunk->count > 0)
    ++reading.ahead;
  else if (!chunk->complete)
    return;  // still reading past what is known
  answer(input::ItemsRead{reading.run,
                          reading.task,
                          reading.stamp,
                          chunk->first,
                          chunk->count,
                          std::move(chunk->bytes),
                          std::move(chunk->source),
                          chunk->complete,
                          {}});
}

}  // namespace pawl
