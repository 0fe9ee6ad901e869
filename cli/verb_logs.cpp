#include <algorithm>
#include <chrono>
#include <deque>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "cli/history_access.h"
#include "cli/listing.h"
#include "cli/log_merge.h"
#include "cli/signals.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "plugins/worker/definition.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/run_context.h"

namespace pawl {

namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(200);
// An attempt that was committed late is still seen by the next look.
constexpr Duration kLookBack = std::chrono::seconds(10);

bool has_failed(AttemptState state) {
  switch (state) {
    case AttemptState::failed:
    case AttemptState::lost:
    case AttemptState::interrupted: return true;
    case AttemptState::starting:
    case AttemptState::running:
    case AttemptState::stopping:
    case AttemptState::deferred:
    case AttemptState::succeeded:
    case AttemptState::skipped:
    case AttemptState::cancelled: return false;
  }
  return false;
}

class LogsVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("RUN[/TASK]", name_, true,
                   "a run, a task, an item RUN/TASK:17, an attempt RUN/TASK#2");
    arguments.flag("-f,--follow", follow_, "go on until it ends");
    arguments.option("--tail", "N", tail_, 0, "only the last N lines");
    arguments.flag("--failed", failed_, "only of attempts that failed");
    arguments.flag("--raw", raw_, "with time and stream of every line");
    arguments.note(
        "Of one attempt (without #N the last one) its bare text. Of a run or a mapped task the "
        "lines "
        "of all attempts in the order of time, each with its task in front.");
    arguments.example("pawl logs 7k3f9q/query:17");
    arguments.example("pawl logs @latest -f");
    arguments.example("pawl logs 7k3f9q --failed --tail 100");
  }

  Result<int> run(Session& session) override {
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    const Result<Named> named = access->resolve(name_);
    if (!named) return named.error();
    named_ = *named;
    const Result<bool> many = is_many(*access);
    if (!many) return many.error();
    many_ = *many;
    if (const Result<void> found = many_ ? find_all(*access, std::nullopt) : find_one(*access);
        !found) {
      return found.error();
    }
    if (const Result<void> done = print(session); !done) return done.error();
    if (follow_) return follow(session, *access);
    return 0;
  }

 private:
  /// Whether the name stands for more than one piece of work.
  Result<bool> is_many(HistoryAccess& access) const {
    if (!named_.task) return true;
    if (named_.item != kWhole || named_.attempt) return false;
    const auto mapped = access.history().mapped(named_.run.id, *named_.task);
    if (!mapped) return mapped.error();
    return mapped->has_value();
  }

  void add(const HistoryAccess& access, const AttemptView& attempt) {
    const AttemptRow& row = attempt.row;
    const auto [place, is_new] = known_.insert(row.id.value);
    (void)place;
    if (!is_new || (failed_ && is_final(row.state) && !has_failed(row.state))) return;
    LogSource source;
    source.attempt_id = row.id.value;
    source.prefix = task_name(attempt.task, row.key.item);
    if (row.number > 1) source.prefix += fmt::format("#{}", row.number);
    source.path =
        log_path(log_folder(access.home(), attempt.run, attempt.task), row.key.item, row.number);
    source.started_at = row.started_at;
    source.is_final = is_final(row.state);
    // A silent attempt that is over has no log.
    if (source.is_final && row.log_bytes == 0) return;
    merge_.add(std::move(source));
  }

  Result<void> find_one(HistoryAccess& access) {
    const auto attempts = access.history().attempts_of(named_.key());
    if (!attempts) return attempts.error();
    if (named_.attempt) {
      const auto found =
          std::find_if(attempts->begin(), attempts->end(),
                       [&](const AttemptView& a) { return a.row.number == *named_.attempt; });
      if (found == attempts->end()) {
        return Error{ErrorKind::not_found,
                     fmt::format("{} has no attempt #{}; it has had {}",
                                 object_name(named_.run.name, named_.task_id, named_.item),
                                 *named_.attempt, attempts->size())};
      }
      add(access, *found);
    } else if (!attempts->empty()) {
      if (failed_) {
        for (const AttemptView& attempt : *attempts) add(access, attempt);
      } else {
        add(access, attempts->back());
      }
    }
    return {};
  }

  /// All attempts of the run or mapped task that started since then.
  Result<void> find_all(HistoryAccess& access, std::optional<WallTime> since) {
    Selector selector;
    ObjectName name;
    name.run = named_.run.name;
    name.task = named_.task_id;
    selector.names.push_back(std::move(name));
    selector.since = since;
    auto pager = access.history().attempts(selector);
    for (;;) {
      const auto page = pager.next(kRowsPerPage);
      if (!page) return page.error();
      for (const AttemptView& attempt : *page) add(access, attempt);
      if (page->size() < kRowsPerPage) return {};
    }
  }

  std::string shown(const Session& session, const LogSource& source, const LogLine& line) const {
    std::string text = session.out.is_terminal ? log_text_for_terminal(line.text) : line.text;
    if (raw_) text = fmt::format("{} {} {}", line.time, line.stream, text);
    if (many_) {
      const std::string prefix = escape_for_terminal(source.prefix) + " | ";
      text = styled(session.out, Style::dim, prefix) + text;
    }
    // Somebody else's next line, or the prompt, must not stand behind an unfinished one.
    const bool ends = line.ended || many_ || raw_ || session.out.is_terminal;
    return ends ? text + "\n" : text;
  }

  Result<void> print(const Session& session) {
    std::deque<std::string> tail;
    Result<void> done = merge_.drain([&](const LogSource& source, const LogLine& line) {
      if (!tail_) {
        session.out.print(shown(session, source, line));
        return;
      }
      tail.push_back(shown(session, source, line));
      if (static_cast<std::int64_t>(tail.size()) > *tail_) tail.pop_front();
    });
    if (!done) return done;
    for (const std::string& line : tail) session.out.print(line);
    std::fflush(session.out.stream);
    return {};
  }

  /// Whether nothing more can come.
  Result<bool> is_over(HistoryAccess& access) const {
    if (named_.attempt) return true;  // its log is final once its attempt is
    if (named_.task) {
      const auto task = access.history().task(named_.key());
      if (!task) return task.error();
      if (*task && is_final((*task)->row.state)) return true;
    }
    const auto run = access.history().run(named_.run.id);
    if (!run) return run.error();
    return !*run || is_final((*run)->row.state);
  }

  Result<int> follow(const Session& session, HistoryAccess& access) {
    const SignalWatch signals;
    tail_.reset();
    WallTime looked_at = session.here().now;
    for (;;) {
      // Looked at before reading, so that the last lines before an end are not missed.
      const Result<bool> over = is_over(access);
      if (!over) return over.error();
      const WallTime since = looked_at - kLookBack;
      looked_at = session.here().now;
      if (!named_.attempt) {
        const Result<void> found = many_ ? find_all(access, since) : find_one(access);
        if (!found) return found.error();
      }
      for (const std::int64_t id : merge_.growing()) {
        const auto attempt = access.history().attempt(AttemptId{id});
        if (!attempt) return attempt.error();
        if (!*attempt || is_final((*attempt)->row.state)) merge_.set_final(id);
      }
      if (const Result<void> done = print(session); !done) return done.error();
      if (*over && merge_.growing().empty()) return 0;
      if (signals.interrupts() > 0) return exit_code(ErrorKind::interrupted);
      if (signals.leave() != 0) return 128 + signals.leave();
      std::this_thread::sleep_for(kLookEvery);
    }
  }

  std::string name_;
  bool follow_ = false;
  bool failed_ = false;
  bool raw_ = false;
  std::optional<std::int64_t> tail_;
  Named named_;
  bool many_ = false;
  std::set<std::int64_t> known_;  ///< attempts
  LogMerge merge_;
};

}  // namespace

std::unique_ptr<Verb> make_logs_verb() { return std::make_unique<LogsVerb>(); }

}  // namespace pawl
