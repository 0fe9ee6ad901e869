#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <map>
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
    if (const Result<void> found = many_ ? find_all(*access) : find_one(*access); !found) {
      return found.error();
    }
    if (const Result<void> done = print(session); !done) return done.error();
    if (follow_) return follow(session, *access);
    return tell_removed(session);
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

  Result<void> add(HistoryAccess& access, const LogView& log) {
    newest_ = std::max(newest_, log.attempt);
    if (failed_ && is_final(log.state) && !has_failed(log.state)) return {};
    const Result<const LogFolder*> folder = folder_of(access, log.key.task);
    if (!folder) return folder.error();
    if (is_final(log.state)) {
      const std::string path = log_path((*folder)->path, log.key.item, log.number);
      if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
        const Result<bool> had_text = is_known_to_have_text(access, log);
        if (!had_text) return had_text.error();
        if (*had_text && removed_++ == 0) first_removed_ = path;
        return {};
      }
    }
    ++there_;
    merge_.add(
        {log.attempt, *folder, log.key.item, log.number, log.started_at, is_final(log.state)});
    return {};
  }

  /// Whether its worker told of bytes. Who ended without a word of it may have been silent.
  static Result<bool> is_known_to_have_text(HistoryAccess& access, const LogView& log) {
    const auto attempt = access.history().attempt(log.attempt);
    if (!attempt) return attempt.error();
    return *attempt && (*attempt)->row.log_bytes > 0;
  }

  Result<const LogFolder*> folder_of(HistoryAccess& access, TaskIndex task) {
    const auto found = folders_.find(task);
    if (found != folders_.end()) return &found->second;
    Result<std::string> id = access.history().task_id(named_.run, task);
    if (!id) return id.error();
    std::string path = log_folder(access.home(), named_.run.name, *id);
    return &folders_.emplace(task, LogFolder{std::move(*id), std::move(path)}).first->second;
  }

  /// The attempt that was named, or of one task or item the last one; of those that are not known.
  Result<void> find_one(HistoryAccess& access) {
    const auto attempts = access.history().attempts_of(named_.key());
    if (!attempts) return attempts.error();
    bool is_found = !named_.attempt;
    for (const AttemptView& attempt : *attempts) {
      const AttemptRow& row = attempt.row;
      const bool is_chosen = named_.attempt ? row.number == *named_.attempt
                                            : failed_ || row.id == attempts->back().row.id;
      if (!is_chosen) continue;
      is_found = true;
      if (row.id <= newest_ || attempt.log.empty()) continue;
      if (auto done = add(access, {row.id, row.key, row.number, row.state, row.started_at});
          !done) {
        return done;
      }
    }
    if (is_found) return {};
    return Error{ErrorKind::not_found,
                 fmt::format("{} has no attempt #{}; it has had {}",
                             object_name(named_.run.name, named_.task_id, named_.item),
                             *named_.attempt, attempts->size())};
  }

  /// All attempts of the run or mapped task that have begun.
  Result<void> find_all(HistoryAccess& access) {
    const Result<AttemptId> newest = access.history().newest_attempt();
    if (!newest) return newest.error();
    LogPager pager = access.history().logs(named_.run.id, named_.task, *newest);
    Result<void> done = add_pages(access, [&] { return pager.next(kRowsPerPage); });
    newest_ = *newest;
    return done;
  }

  /// Those that have begun since. The silent ones among them are passed over once, not at each
  /// look.
  Result<void> find_new(HistoryAccess& access) {
    const Result<AttemptId> newest = access.history().newest_attempt();
    if (!newest) return newest.error();
    AttemptId after = newest_;
    Result<void> done = add_pages(access, [&] {
      auto page = access.history().logs_after(named_.run.id, named_.task, after, kRowsPerPage);
      if (page && !page->empty()) after = page->back().attempt;
      return page;
    });
    newest_ = std::max(newest_, *newest);
    return done;
  }

  template <typename Next>
  Result<void> add_pages(HistoryAccess& access, Next next) {
    for (;;) {
      const Result<std::vector<LogView>> page = next();
      if (!page) return page.error();
      for (const LogView& log : *page) {
        if (auto done = add(access, log); !done) return done;
      }
      if (page->size() < kRowsPerPage) return {};
    }
  }

  std::string shown(const Session& session, const LogSource& source, const LogLine& line) const {
    std::string text = session.out.is_terminal ? log_text_for_terminal(line.text) : line.text;
    if (raw_) text = fmt::format("{} {} {}", line.time, line.stream, text);
    if (many_) {
      const std::string prefix = escape_for_terminal(source.name()) + " | ";
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
    session.out.flush();
    return {};
  }

  /// The store knows that there was something in them. The exit code.
  Result<int> tell_removed(const Session& session) const {
    if (removed_ == 0) return 0;
    const std::string what =
        fmt::format("{} not there any more, removed by somebody or by the system: {}{}",
                    counted(removed_, "log is", "logs are"), escape_for_terminal(first_removed_),
                    removed_ > 1 ? " …" : "");
    if (there_ == 0) return Error{ErrorKind::not_found, what};
    session.notice(what);
    return 0;
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
    for (;;) {
      // Looked at before reading, so that the last lines before an end are not missed.
      const Result<bool> over = is_over(access);
      if (!over) return over.error();
      if (!named_.attempt) {
        const Result<void> found = many_ ? find_new(access) : find_one(access);
        if (!found) return found.error();
      }
      const Result<void> settled = merge_.settle([&](AttemptId id) -> Result<bool> {
        const auto attempt = access.history().attempt(id);
        if (!attempt) return attempt.error();
        return !*attempt || is_final((*attempt)->row.state);
      });
      if (!settled) return settled.error();
      if (const Result<void> done = print(session); !done) return done.error();
      if (*over && !merge_.is_growing()) return tell_removed(session);
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
  AttemptId newest_;  ///< all up to it are known
  std::map<TaskIndex, LogFolder> folders_;
  LogMerge merge_;
  std::int64_t there_ = 0;    ///< logs that are read
  std::int64_t removed_ = 0;  ///< of attempts that have ended
  std::string first_removed_;
};

}  // namespace

std::unique_ptr<Verb> make_logs_verb() { return std::make_unique<LogsVerb>(); }

}  // namespace pawl
