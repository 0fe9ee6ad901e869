#include "scheduler/daemon/dispatcher.h"

#include <algorithm>

#include "scheduler/base/limits.h"
#include "scheduler/daemon/run_context.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

// A frame has its number and its length too.
constexpr std::size_t kDefinitionBytesMax = limits::kFrameBytesMax - 64;

/// Whether `has` is true of a text of the task that may hold templates.
template <typename Has>
bool names(const TaskSpec& task, const Has& has) {
  if (has(task.with) || has(task.when) || has(task.working_dir)) return true;
  if (task.map && (has(task.map->items) || has(task.map->key))) return true;
  return std::any_of(task.env.begin(), task.env.end(),
                     [&](const auto& e) { return has(e.second); });
}

bool names_word(const TaskSpec& task, std::string_view word) {
  return names(task, [&](std::string_view text) { return text.find(word) != text.npos; });
}

/// `output`, and not just `output_file`.
bool names_output(const TaskSpec& task) {
  constexpr std::string_view kWord = "output";
  return names(task, [&](std::string_view text) {
    std::size_t at = text.find(kWord);
    while (at != text.npos && text.substr(at + kWord.size()).starts_with("_file"))
      at = text.find(kWord, at + 1);
    return at != text.npos;
  });
}

TaskIndex first_hook(const JobSpec& job) {
  return TaskIndex{static_cast<std::uint32_t>(job.tasks.size())};
}

/// The names of the run: the text of a JSON object.
std::string names_for(const Engine& engine, RunId run, TaskIndex index) {
  const JobSpec& job = *engine.job_of(run);
  const RunRow& row = *engine.run(run);
  return (job.is_hook(index) ? names_of_ended_run(row, job) : names_of_run(row, job)).dump();
}

/// `names` are to be joined by those of its upstreams.
read::ContextRequest request_with(const Engine& engine, RunId run, TaskIndex index,
                                  std::string names) {
  const JobSpec& job = *engine.job_of(run);
  const TaskSpec& task = job.node(index);
  read::ContextRequest request;
  request.run = run;
  request.task = index;
  request.run_name = engine.run(run)->name;
  request.names = std::move(names);
  request.wants_outputs = names_output(task);
  request.wants_output_files = names_word(task, "output_file");
  if (job.is_hook(index) && names_word(task, "failed")) request.failed_before = first_hook(job);
  if (task.outputs_used.empty()) return request;
  for (TaskIndex used : task.outputs_used) {
    // Told to each attempt, of its own item.
    if (std::binary_search(task.pairs_used.begin(), task.pairs_used.end(), used)) continue;
    request.upstreams.push_back(upstream_of(engine, run, used));
  }
  return request;
}

}  // namespace

read::Upstream upstream_of(const Engine& engine, RunId run, TaskIndex index) {
  const TaskSpec& task = engine.job_of(run)->tasks[index.value];
  const TaskView view = engine.task(run, index);
  return {index, task.id, view.state, task.is_mapped(), view.counts.value_or(Counts{}), view.items};
}

read::ContextRequest context_request(const Engine& engine, RunId run, TaskIndex index) {
  return request_with(engine, run, index, names_for(engine, run, index));
}

std::vector<read::Upstream> pairs_of(const Engine& engine, const TaskKey& key) {
  std::vector<read::Upstream> pairs;
  const JobSpec& job = *engine.job_of(key.run);
  for (TaskIndex used : job.node(key.task).pairs_used) {
    read::Upstream pair;
    pair.task = used;
    pair.id = job.node(used).id;
    pair.state = engine.item_state({key.run, used, key.item});
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Dispatcher::Dispatcher(const Engine& engine, Reader& reader, Workers& workers, const Jobs& jobs,
                       std::string home, HomeId home_id, Epoch epoch,
                       std::function<void(AttemptResult)> failed)
    : engine_(engine),
      reader_(reader),
      workers_(workers),
      jobs_(jobs),
      home_(std::move(home)),
      home_id_(std::move(home_id)),
      failed_(std::move(failed)),
      // Numbers of different schedulers never meet in a worker that outlives one.
      next_id_(static_cast<std::uint64_t>(epoch.value) << 40) {}

/// A start may have been overtaken: by a worker that says it never had it, by its death.
bool Dispatcher::is_live(const effect::StartAttempt& start) const {
  const auto key = engine_.key_of(start.attempt);
  return key && *key == start.key && engine_.stay_of(start.attempt) == start.stay;
}

void Dispatcher::start(const effect::StartAttempt& start) {
  if (!is_live(start)) return;
  std::vector<read::Upstream> pairs = pairs_of(engine_, start.key);
  if (start.has_past || !pairs.empty()) {
    reader_.ask(read::PastRequest{start, std::move(pairs)});
  } else {
    to_worker({start, {}, {}});
  }
}

void Dispatcher::on(read::PastAnswer&& answer) {
  if (!is_live(answer.start)) return;
  if (!answer.error.empty()) return fail(answer.start, Reason::template_, answer.error);
  if (answer.tasks.size() > limits::kFrameBytesMax / 2)
    return fail(answer.start, Reason::template_,
                "what it names of the items before its own has " +
                    std::to_string(answer.tasks.size()) + " bytes, too many to hand over");
  to_worker({answer.start, std::move(answer.past), std::move(answer.tasks)});
}

void Dispatcher::to_worker(PendingStart pending) {
  const effect::StartAttempt& start = pending.start;
  if (!is_live(start)) return;
  const Task task{start.key.run, start.key.task};
  Definition& definition = definitions_[task];
  if (has_passed(task, definition)) take_back(std::exchange(definition, Definition{}));
  if (definition.bytes.empty()) {
    definition.waiting.push_back(std::move(pending));
    if (definition.ticket == 0) ask_for_context(task, definition);
    return;
  }
  send(pending, definition);
}

void Dispatcher::ask_for_context(const Task& task, Definition& definition) {
  read::ContextRequest request = request_with(engine_, task.first, task.second, names_of(task));
  if (request.upstreams.empty() && !request.failed_before) {
    // Nothing of the store is named: made here and now.
    make(task, definition, std::move(request.names));
    return;
  }
  std::copy_if(request.upstreams.begin(), request.upstreams.end(),
               std::back_inserter(definition.passing),
               [](const read::Upstream& u) { return !is_final(u.state); });
  definition.ticket = request.ticket = next_ticket_++;
  reader_.ask(std::move(request));
}

/// Of all tasks of a run they are the same text; hooks know of its end, too.
std::string Dispatcher::names_of(const Task& task) {
  const auto& [run, index] = task;
  if (engine_.job_of(run)->is_hook(index)) return names_for(engine_, run, index);
  if (run_of_names_ != run) {
    names_ = names_for(engine_, run, index);
    run_of_names_ = run;
  }
  return names_;
}

/// It was made while an upstream that it names was not final, and that has gone on since.
bool Dispatcher::has_passed(const Task& task, const Definition& definition) const {
  return !definition.bytes.empty() &&
         std::any_of(definition.passing.begin(), definition.passing.end(),
                     [&](const read::Upstream& then) {
                       return upstream_of(engine_, task.first, then.task) != then;
                     });
}

void Dispatcher::take_back(const Definition& definition) {
  for (WorkerId worker : definition.known_by) outdated_.emplace_back(worker, definition.id);
}

void Dispatcher::make(const Task& task, Definition& definition, std::string context) {
  TaskDefinition d = definition_of(*engine_.run(task.first), *engine_.job_of(task.first),
                                   task.second, home_, std::move(context));
  d.log_bytes_max = jobs_.settings().log_bytes_max;
  if (auto connected = connect(d, jobs_.settings()); !connected)
    return refuse(task, connected.error().message);
  take_secrets(d);
  std::string bytes = encode_definition(d);
  if (bytes.size() > kDefinitionBytesMax) {
    return refuse(task, "with the params and results that it names its definition has " +
                            std::to_string(bytes.size()) +
                            " bytes, too many to hand over: name the `output_file` of what is "
                            "long");
  }
  definition.id = DefinitionId{++next_id_};
  definition.bytes = std::move(bytes);
  definition.ticket = 0;
  for (PendingStart& pending : std::exchange(definition.waiting, {})) send(pending, definition);
}

/// There is no definition to be made, so nothing that waits for it starts.
void Dispatcher::refuse(const Task& task, const std::string& why) {
  const auto definition = definitions_.extract(task);
  for (const PendingStart& pending : definition.mapped().waiting)
    fail(pending.start, Reason::template_, why);
}

void Dispatcher::on(read::ContextAnswer&& answer) {
  const Task task{answer.run, answer.task};
  auto it = definitions_.find(task);
  if (it == definitions_.end() || it->second.ticket != answer.ticket) return;
  if (!engine_.has_run(answer.run)) return;
  if (!answer.error.empty()) return refuse(task, answer.error);
  make(task, it->second, std::move(answer.context));
}

void Dispatcher::send(PendingStart& pending, Definition& definition) {
  const effect::StartAttempt& start = pending.start;
  if (!is_live(start)) return;
  frame::AttemptStart out;
  out.attempt = start.attempt;
  out.definition = definition.id;
  out.number = start.number;
  out.stay = start.stay;
  out.item = start.key.item;
  out.slot = start.slot;
  out.total_remaining = start.total_left;
  out.run_remaining = start.run_left;
  out.previous_reason = start.previous_reason;
  if (start.previous_reason == Reason::lost) out.losses = start.previous_detail;
  const std::string& task = engine_.job_of(start.key.run)->node(start.key.task).id;
  out.idempotency_key =
      idempotency_key(home_id_, *engine_.run(start.key.run), task, start.key.item, start.work);
  if (start.key.item != kWhole && !take_item(pending, out)) return;
  if (definition.known_by.insert(start.worker).second)
    workers_.define(start.worker, definition.id, definition.bytes);
  if (out.previous_reason == Reason::none) out.previous_reason = pending.past.previous_reason;
  out.handle = std::move(pending.past.handle);
  out.state = std::move(pending.past.state_text);
  out.tasks = std::move(pending.tasks);
  outgoing_[start.worker].push_back(std::move(out));
}

/// The item's key and payload, if its chunk is here; otherwise `pending` is taken and waits for it.
bool Dispatcher::take_item(PendingStart& pending, frame::AttemptStart& out) {
  const Task task{pending.start.key.run, pending.start.key.task};
  ItemWindow& window = windows_[task];
  const ItemWindow::Taken taken = window.take(pending);
  ask_for_chunks(task, window);
  switch (taken.kind) {
    case ItemWindow::Taken::Kind::awaited: return false;
    case ItemWindow::Taken::Kind::missing:
      fail(pending.start, Reason::items, "the item is not in the store");
      return false;
    case ItemWindow::Taken::Kind::here: break;
  }
  out.key = taken.item.key;
  out.payload = taken.item.payload;
  return true;
}

void Dispatcher::ask_for_chunks(const Task& task, ItemWindow& window) {
  const std::vector<std::int64_t> questions = window.take_questions();
  const JobSpec* job = engine_.job_of(task.first);
  if (questions.empty() || job == nullptr) return;
  const TaskIndex source = job->node(task.second).mapped_over.value_or(task.second);
  for (std::int64_t item : questions)
    reader_.ask(read::ChunkRequest{task.first, task.second, item, source});
}

void Dispatcher::on(const read::ChunkAnswer& answer) {
  const auto window = windows_.find({answer.run, answer.task});
  if (window == windows_.end()) return;
  ItemWindow::Arrived arrived = window->second.arrived(answer.item, answer.chunk);
  ask_for_chunks(window->first, window->second);
  for (PendingStart& pending : arrived.ready) {
    auto definition = definitions_.find({answer.run, answer.task});
    if (definition != definitions_.end() && !definition->second.bytes.empty())
      send(pending, definition->second);
    else
      to_worker(std::move(pending));
  }
  for (const PendingStart& pending : arrived.lost) fail(pending.start, Reason::items, answer.error);
}

void Dispatcher::flush() {
  for (auto& [worker, attempts] : outgoing_) {
    if (!attempts.empty()) workers_.start(worker, std::exchange(attempts, {}));
  }
  // After the starts that name them.
  for (const auto& [worker, id] : std::exchange(outdated_, {})) workers_.undefine(worker, id);
}

void Dispatcher::fail(const effect::StartAttempt& start, Reason reason, std::string message) {
  if (!is_live(start)) return;
  AttemptResult result;
  result.attempt = start.attempt;
  result.stay = start.stay;
  result.worker = start.worker;
  result.outcome = AttemptResult::Outcome::failed;
  result.reason = reason;
  result.ended_at = wall_now();
  result.failure.message = std::move(message);
  failed_(std::move(result));
}

void Dispatcher::forget_definitions() {
  for (RunId run : engine_.runs()) forget(run);
  flush();
}

void Dispatcher::forget_definitions(RunId run) {
  forget(run);
  flush();
}

void Dispatcher::forget(RunId run) {
  if (run_of_names_ == run) run_of_names_.reset();
  for (auto it = definitions_.lower_bound({run, TaskIndex{0}});
       it != definitions_.end() && it->first.first == run;) {
    // One that starts wait for is being made from what is true now.
    if (!it->second.waiting.empty()) {
      ++it;
      continue;
    }
    take_back(it->second);
    it = definitions_.erase(it);
  }
  for (auto it = windows_.lower_bound({run, TaskIndex{0}});
       it != windows_.end() && it->first.first == run; ++it) {
    it->second.forget_chunks();
  }
}

void Dispatcher::run_ended(RunId run) {
  forget(run);
  for (auto it = definitions_.lower_bound({run, TaskIndex{0}});
       it != definitions_.end() && it->first.first == run;) {
    it = definitions_.erase(it);
  }
  for (auto it = windows_.lower_bound({run, TaskIndex{0}});
       it != windows_.end() && it->first.first == run;) {
    it = windows_.erase(it);
  }
}

void Dispatcher::worker_gone(WorkerId worker) {
  outgoing_.erase(worker);
  for (auto& [task, definition] : definitions_) definition.known_by.erase(worker);
}

}  // namespace pawl
