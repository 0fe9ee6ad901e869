#include <fmt/format.h>

#include "cli/live_workers.h"
#include "cli/scheduler_probe.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/file_lock.h"

namespace pawl {

namespace {

using nlohmann::json;

constexpr std::size_t kSlowLookedAt = 200;
// Three times nothing is nothing.
constexpr Duration kSlowLeast = std::chrono::seconds(10);

class StatusVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.note(
        "Exits 0 whether a scheduler is up or not; `scheduler` says which. With name: the home.");
  }

  Result<int> run(Session& session) override {
    here_ = session.here();
    const Result<std::optional<json>> scheduler = status_if_up(session);
    const bool is_silent = !scheduler && scheduler.error().kind == ErrorKind::locked;
    if (!scheduler && !is_silent) return scheduler.error();
    OrderedJson object = OrderedJson::object();
    object["scheduler"] = nullptr;
    if (scheduler && *scheduler) object["scheduler"] = answered(**scheduler);
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    object["home"] = access->home();
    if (is_silent) {
      object["scheduler"] = silent_scheduler(access->home());
      silence_ = scheduler.error().message;
    }
    object["orphans"] = orphans(access->home(), object["scheduler"]);
    if (!access->is_empty()) {
      const Result<StatusNumbers> numbers = access->history().status();
      if (!numbers) return numbers.error();
      add_numbers(*numbers, object);
      if (const Result<void> added = add_slow(*access, object); !added) return added.error();
    }
    if (output_.format == Format::name) {
      session.out.line(escape_for_terminal(access->home()));
    } else if (output_.is_for_people()) {
      print(session, object);
    } else {
      print_object(session.out, output_, object);
    }
    return 0;
  }

 private:
  static OrderedJson answered(const json& status) {
    OrderedJson object = OrderedJson::parse(status.dump(), nullptr, false);
    object["answers"] = true;
    return object;
  }

  /// One that holds the home and says nothing.
  static OrderedJson silent_scheduler(const std::string& home) {
    const auto holder = FileLock::last_holder(home + "/lock");
    const bool is_known = holder && *holder;
    return {{"pid", is_known ? OrderedJson((*holder)->pid) : OrderedJson(nullptr)},
            {"answers", false}};
  }

  static void add_numbers(const StatusNumbers& numbers, OrderedJson& object) {
    OrderedJson runs = OrderedJson::object();
    for (const std::string_view word : kRunStateWords) runs[std::string(word)] = 0;
    for (const auto& [state, count] : numbers.runs) runs[std::string(to_string(state))] = count;
    object["runs"] = std::move(runs);
    OrderedJson open = OrderedJson::object();
    for (std::size_t i = 0; i < numbers.open_tasks.size(); ++i) {
      if (!is_final(static_cast<TaskState>(i)))
        open[std::string(kTaskStateWords[i])] = numbers.open_tasks[i];
    }
    object["open_tasks"] = std::move(open);
    object["unresolved"] = numbers.unresolved;
    object["jobs"] = {{"known", numbers.jobs},
                      {"paused", numbers.paused_jobs},
                      {"quarantined", numbers.quarantined_jobs}};
    object["store"] = {{"bytes", numbers.store_bytes},
                       {"free_bytes", numbers.free_bytes},
                       {"log_bytes", numbers.wal_bytes},
                       {"runs_to_delete", numbers.doomed_runs}};
    object["epoch"] = numbers.epoch.value;
  }

  /// Workers that nobody directs: those that do not answer, and with no scheduler up all that live.
  static OrderedJson orphans(const std::string& home, const OrderedJson& scheduler) {
    OrderedJson out = OrderedJson::array();
    if (scheduler.is_object()) {
      for (const OrderedJson& worker : scheduler.value("workers", OrderedJson::array())) {
        if (worker.value("state", std::string()) == "silent") out.push_back(worker);
      }
      return out;
    }
    for (const LiveWorker& worker : live_workers(home + "/workers")) {
      out.push_back({{"worker", std::to_string(worker.id.value)},
                     {"state", worker.is_certain ? "alone" : "unknown"},
                     {"pid", worker.pid ? OrderedJson(*worker.pid) : OrderedJson(nullptr)}});
    }
    return out;
  }

  /// Tasks that run three times longer than they usually do.
  Result<void> add_slow(HistoryAccess& access, OrderedJson& object) const {
    object["slow"] = OrderedJson::array();
    Selector selector;
    selector.states = {"running"};
    TaskDetail detail;
    detail.attempt = false;
    TaskPager pager = access.history().tasks(selector, detail);
    const auto page = pager.next(kSlowLookedAt);
    if (!page) return page.error();
    for (const TaskView& task : *page) {
      // Items are too many, and a whole takes as long as its items are many.
      if (task.row.key.item != kWhole || task.mapped || !task.row.started_at) continue;
      const Result<RunRow> run = access.find_run(task.run);
      if (!run) return run.error();
      const auto usual = access.history().usual_duration(*run, task.row.key.task);
      if (!usual) return usual.error();
      const Duration now = here_.now - *task.row.started_at;
      if (!*usual || now < kSlowLeast || now < 3 * **usual) continue;
      object["slow"].push_back({{"run", task.run},
                                {"task", task.task},
                                {"seconds", static_cast<double>(now.count()) / 1000},
                                {"usual_seconds", static_cast<double>((*usual)->count()) / 1000}});
    }
    return {};
  }

  void print(const Session& session, const OrderedJson& object) const {
    const auto fact = [&](std::string_view what, const std::string& text) {
      session.out.line(fmt::format("{}  {}", pad(what, 11), escape_for_terminal(text)));
    };
    fact("home", object["home"].get<std::string>());
    if (object["scheduler"].is_null()) {
      session.out.line(fmt::format("{}  {}. Start one: pawl serve", pad("scheduler", 11),
                                   styled(session.out, Style::yellow, "none is up")));
    } else if (!silence_.empty()) {
      fact("scheduler", silence_);
    } else {
      fact("scheduler", scheduler_text(object["scheduler"]));
      for (const OrderedJson& hold : object["scheduler"].value("holds", OrderedJson::array()))
        fact("held up", "nothing new starts: " + hold.value("text", std::string()));
      fact("pools", pools_text(object["scheduler"]));
      fact("lag", lag_text(object["scheduler"]));
    }
    if (const std::string text = orphans_text(object["orphans"]); !text.empty())
      fact("orphans", text);
    if (!object.contains("runs")) return;
    fact("runs", nonzero(object["runs"]));
    fact("open tasks", nonzero(object["open_tasks"]));
    const std::int64_t unresolved = object["unresolved"].get<std::int64_t>();
    fact("unresolved", unresolved == 0 ? "none" : counted(unresolved, "failure") + ": pawl failed");
    fact("jobs", nonzero(object["jobs"]));
    for (const OrderedJson& slow : object["slow"]) {
      const auto span = [&slow](const char* key) {
        return format_span(Duration(static_cast<std::int64_t>(slow[key].get<double>() * 1000)));
      };
      fact("slow",
           fmt::format("{}/{} runs for {}, usually {}",
                       short_name(slow["run"].get_ref<const std::string&>()),
                       slow["task"].get<std::string>(), span("seconds"), span("usual_seconds")));
    }
    const OrderedJson& store = object["store"];
    fact("store",
         fmt::format("{}, write-ahead log {}", format_bytes(store["bytes"].get<std::uint64_t>()),
                     format_bytes(store["log_bytes"].get<std::uint64_t>())));
  }

  static std::string pools_text(const OrderedJson& scheduler) {
    std::string text;
    std::int64_t runs = 0;
    std::int64_t used = 0;
    for (const OrderedJson& pool : scheduler.value("pools", OrderedJson::array())) {
      if (const auto run = pool.find("run"); run != pool.end() && run->is_string()) {
        ++runs;
        used += pool.value("used", std::int64_t{0});
        continue;
      }
      text +=
          fmt::format("{}{} {} of {}", text.empty() ? "" : " · ", pool.value("pool", std::string()),
                      format_count(pool.value("used", std::int64_t{0})),
                      format_count(pool.value("slots", std::int64_t{0})));
      const std::int64_t waiting = pool.value("waiting", std::int64_t{0});
      if (waiting > 0) text += fmt::format(", {} waiting", format_count(waiting));
    }
    if (runs > 0) {
      text += fmt::format("{}{} in use of {} with --concurrency", text.empty() ? "" : " · ",
                          format_count(used), counted(runs, "run"));
    }
    return text.empty() ? "none" : text;
  }

  /// How far the store is behind what was decided.
  static std::string lag_text(const OrderedJson& scheduler) {
    const std::int64_t changes = scheduler.value("queued_changes", std::int64_t{0});
    std::string text =
        changes == 0
            ? "none"
            : fmt::format("{} to be stored, for {}", counted(changes, "change"),
                          format_took(Duration(scheduler.value("lag_ms", std::int64_t{0}))));
    const std::int64_t took = scheduler.value("last_commit_ms", std::int64_t{0});
    if (took > 0) text += fmt::format("; the last commit took {}", format_took(Duration(took)));
    return text;
  }

  static std::string orphans_text(const OrderedJson& orphans) {
    std::string text;
    for (const OrderedJson& worker : orphans) {
      const std::string state = worker.value("state", std::string());
      std::string_view what = "does not answer";
      if (state == "alone") what = "waits for a scheduler";
      if (state == "unknown") what = "has a lock that cannot be read, so it may live";
      const std::string pid =
          worker["pid"].is_null() ? "" : fmt::format(" (pid {})", plain(worker["pid"]));
      text += fmt::format("{}worker {}{} {}", text.empty() ? "" : ", ", plain(worker["worker"]),
                          pid, what);
    }
    return text;
  }

  static std::string plain(const OrderedJson& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  }

  /// Counts that are not 0: `3 running, 12 succeeded`.
  static std::string nonzero(const OrderedJson& counts) {
    std::string text;
    for (const auto& [word, count] : counts.items()) {
      if (count.get<std::int64_t>() == 0) continue;
      text += (text.empty() ? "" : ", ") + format_count(count.get<std::int64_t>()) + " " + word;
    }
    return text.empty() ? "none" : text;
  }

  std::string scheduler_text(const OrderedJson& scheduler) const {
    std::string text = "up";
    const auto part = [&](const char* key) -> const OrderedJson* {
      const auto found = scheduler.find(key);
      return found == scheduler.end() || found->is_null() ? nullptr : &*found;
    };
    if (const auto* pid = part("pid"); pid != nullptr && pid->is_number()) {
      text += fmt::format(", pid {}", pid->get<std::int64_t>());
    }
    if (const auto* since = part("since"); since != nullptr && since->is_string()) {
      if (const auto time = parse_utc(since->get<std::string>())) {
        text += ", since " + format_when(*time, here_);
      }
    }
    if (const auto* version = part("version"); version != nullptr && version->is_string()) {
      text += ", version " + version->get<std::string>();
    }
    if (const auto* serves = part("serves");
        serves != nullptr && serves->is_boolean() && !serves->get<bool>()) {
      text += ", until its run ends";
    }
    return text;
  }

  OutputOptions output_;
  Here here_;
  std::string silence_;  ///< of a scheduler that is up and does not answer
};

}  // namespace

std::unique_ptr<Verb> make_status_verb() { return std::make_unique<StatusVerb>(); }

}  // namespace pawl
