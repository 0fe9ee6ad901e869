// What a service says of itself: its status, why nothing starts, and the lines of its log.

#include <unistd.h>

#include "scheduler/base/text.h"
#include "scheduler/daemon/run_json.h"
#include "scheduler/daemon/service.h"
#include "scheduler/loop/clock.h"

namespace pawl {

namespace {

using nlohmann::json;

json holds_json(const std::vector<Hold>& holds) {
  json out = json::array();
  for (const Hold& hold : holds) out.push_back({{"kind", hold.kind}, {"text", hold.text}});
  return out;
}

json readers_json(const std::vector<StoreReader>& readers) {
  json out = json::array();
  for (const StoreReader& reader : readers)
    out.push_back({{"pid", reader.pid}, {"command", reader.command}});
  return out;
}

json recovered_json(const RecoveryFigures& found) {
  return {{"runs", found.runs},
          {"ended", found.ended},
          {"never_started", found.never_started},
          {"interrupted", found.interrupted}};
}

json settings_json(const SettingsFile& file, const ParsedSettings& settings) {
  json values = json::object();
  for (const SettingValue& value : settings.values) values[value.name] = value.value;
  return {{"file", file.path}, {"values", std::move(values)}};
}

}  // namespace

/// Why no attempt starts, whatever is queued.
std::vector<Hold> Service::holds() const {
  std::vector<Hold> out;
  if (is_draining_)
    out.push_back(
        {std::string(kDraining), "the scheduler is draining: it ends when nothing runs any more"});
  if (storage_full_.load(std::memory_order_acquire)) {
    out.push_back({"storage_full", "the disk is full. Make room; it goes on by itself"});
  }
  if (wal_watch_ && wal_watch_->is_over()) out.push_back({"long_reader", wal_watch_->sentence()});
  return out;
}

void Service::tell_recovery() {
  const std::int64_t live = pump_->engine().live_attempts();
  const bool found_something = recovery_.runs > 0 || live > 0 || recovery_.ended > 0;
  if (!found_something) return;
  tell(Weight::info, "recovered " + std::to_string(recovery_.runs) +
                         " open runs; attempts: " + std::to_string(live) + " adopted, " +
                         std::to_string(recovery_.ended) + " ended meanwhile, " +
                         std::to_string(recovery_.never_started) + " never started, " +
                         std::to_string(recovery_.interrupted) + " interrupted");
}

void Service::tell_run(const RunChange& change) const {
  const std::string name = "run " + change.run + " of " + change.job;
  if (!change.from) {
    return tell(Weight::info, name + " accepted (" + std::string(to_string(change.trigger)) + ")");
  }
  std::string text = name + " " + std::string(to_string(change.to));
  if (is_final(*change.from)) text += " again";
  if (change.reason != Reason::none) text += ": " + std::string(to_string(change.reason));
  tell(Weight::info, text);
}

nlohmann::json Service::status() const {
  const Engine& engine = pump_->engine();
  nlohmann::json workers = nlohmann::json::array();
  for (const Workers::View& w : workers_->view()) {
    workers.push_back({{"worker", w.id.value},
                       {"state", w.state},
                       {"pid", w.pid},
                       {"version", w.version},
                       {"attempts", engine.attempts_of(w.id).size()}});
  }
  nlohmann::json runs = {{"queued", 0}, {"running", 0}, {"paused", 0}};
  Counts counts{};
  for (RunId id : engine.runs()) {
    const RunRow& run = *engine.run(id);
    if (is_final(run.state)) continue;
    runs[std::string(to_string(run.state))] =
        runs[std::string(to_string(run.state))].get<std::int64_t>() + 1;
    for (std::size_t s = 0; s < kTaskStateCount; ++s) counts[s] += run.counts[s];
  }
  return {{"up", true},
          {"version", options_.version},
          {"pid", ::getpid()},
          {"since", format_utc(since_)},
          {"serves", options_.serves},
          {"epoch", counters_.epoch.value},
          {"home", home_.path()},
          {"job_folders", options_.job_folders},
          {"settings", settings_json(options_.settings_file, options_.settings)},
          {"runs", runs},
          {"counts", counts_json(counts)},
          {"live_attempts", engine.live_attempts()},
          {"queued_changes", writer_->queued()},
          {"lag_ms", pump_->lag().waiting.count()},
          {"last_commit_ms", pump_->lag().last_commit.count()},
          {"storage_full", storage_full_.load(std::memory_order_acquire)},
          {"draining", is_draining_},
          {"holds", holds_json(holds())},
          {"log_bytes", wal_watch_->bytes()},
          {"readers", readers_json(wal_watch_->readers())},
          {"dropped_log_lines", options_.dropped_lines ? options_.dropped_lines() : 0},
          {"recovered", recovered_json(recovery_)},
          {"workers", std::move(workers)},
          {"pools", pools_json(engine, read_clocks())}};
}

}  // namespace pawl
