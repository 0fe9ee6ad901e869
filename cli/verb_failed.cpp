#include <fmt/format.h>

#include "cli/history_list.h"
#include "cli/selectors.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

constexpr Duration kDaysDefault = std::chrono::hours(24 * 7);

class FailedVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    declare_list(arguments, words_, SelectorOf::tasks);
    arguments.choice("--by", "WHAT", by_, {"reason", "error", "task", "job"},
                     "count them instead: by reason, error, task or job");
    arguments.flag("--tolerated", tolerated_,
                   "also what was forgiven: by a tolerance, or allow_failure");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.note(
        "Failed and held tasks of the last 7 days that nobody has settled: a resume, a mark or a "
        "dismiss does. A run that its own `timeout` ended is told of without a task.");
    arguments.example("pawl failed");
    arguments.example("pawl failed --by error --since 30d");
    arguments.example("pawl failed --job 'sales*' -o name | xargs pawl resume -y");
  }

  Result<int> run(Session& session) override {
    here_ = session.here();
    Result<Selector> selector = read_selector(words_, SelectorOf::tasks, here_);
    if (!selector) return selector.error();
    // What is named is meant, however old it is.
    if (!selector->since && selector->names.empty()) selector->since = here_.now - kDaysDefault;
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    if (access->is_empty() && !words_.names.empty()) {
      return access->resolve(words_.names.front()).error();
    }
    return by_.empty() ? list(session, *access, *selector) : groups(session, *access, *selector);
  }

 private:
  Result<int> list(const Session& session, HistoryAccess& access, const Selector& selector) {
    const ListShape shape = failed_shape();
    Listing listing(session.out, output_, shape.fields, shape.columns);
    if (access.is_empty()) {
      listing.finish();
      return 0;
    }
    std::optional<TaskView> failed;
    std::optional<TaskView> held;
    FailedPager pager(access.history(), selector, tolerated_,
                      detail_for(output_.format, {true, true, true}));
    const Result<bool> more =
        print_pages(pager, listing, limit_of(words_), [&](const TaskView& task) {
          auto& first = task.row.state == TaskState::held ? held : failed;
          if (!first) first = task;
          return failed_entry(task, access.home(), here_, output_.format);
        });
    if (!more) return more.error();
    listing.finish();
    if (!output_.is_for_people() || !output_.header) return 0;
    const Result<FailedSummary> summary = access.history().failed_summary(selector);
    if (!summary) return summary.error();
    session.out.line(summary_line(*summary, selector));
    print_commands(session, failed, held);
    if (*more) tell_limit(session, output_, limit_of(words_));
    return 0;
  }

  /// Anything but a time says which failures are meant.
  bool chooses_by_name() const {
    SelectorWords words = words_;
    words.since.clear();
    words.until.clear();
    return has_filters(words);
  }

  /// `2 failed, 1 held in 2 runs of 7 days. Not shown: 1 upstream_failed, 12 older (--since 365d)`.
  std::string summary_line(const FailedSummary& summary, const Selector& selector) const {
    std::string text;
    if (summary.failed > 0) text += format_count(summary.failed) + " failed";
    if (summary.held > 0) {
      text += (text.empty() ? "" : ", ") + format_count(summary.held) + " held";
    }
    const bool is_week = words_.since.empty() && selector.since;
    if (text.empty() && chooses_by_name()) {
      text = "no unresolved failure matches";  // a wrong name is no good news
    } else if (text.empty()) {
      text = is_week ? "nothing unresolved in 7 days" : "nothing unresolved";
    } else {
      text += " in " + counted(summary.runs, "run") + (is_week ? " of 7 days" : "");
    }
    std::string hidden;
    const auto hide = [&hidden](const std::string& what) {
      hidden += (hidden.empty() ? "" : ", ") + what;
    };
    if (summary.upstream_failed > 0)
      hide(format_count(summary.upstream_failed) + " upstream_failed");
    if (summary.tolerated > 0 && !tolerated_) {
      hide(format_count(summary.tolerated) + " tolerated (--tolerated)");
    }
    if (summary.older > 0) hide(format_count(summary.older) + " older (--since 365d)");
    return hidden.empty() ? text : text + ". Not shown: " + hidden;
  }

  static void print_commands(const Session& session, const std::optional<TaskView>& failed,
                             const std::optional<TaskView>& held) {
    const auto line = [&](std::string_view left, const std::string& left_command,
                          std::string_view right, const std::string& right_command) {
      std::string text = fmt::format("{}  {}", pad(left, 9), left_command);
      if (!right_command.empty()) {
        text = pad(text, 54) + fmt::format("  {}  {}", pad(right, 6), right_command);
      }
      session.out.line(text);
    };
    const std::optional<TaskView>& any = failed ? failed : held;
    if (!any) return;
    const std::string run(short_name(any->run));
    const std::string name = short_object_name(any->run, any->task, any->row.key.item);
    line("try again", "pawl resume " + run + (any->is_run() ? "" : " | one: " + name),
         held ? "decide" : "",
         held ? fmt::format("pawl mark {} succeeded|failed",
                            short_object_name(held->run, held->task, held->row.key.item))
              : "");
    line("by cause", "pawl failed --by error", "hide", "pawl dismiss " + run);
  }

  Result<int> groups(const Session& session, HistoryAccess& access, const Selector& selector) {
    const FailedBy by = by_ == "reason"  ? FailedBy::reason
                        : by_ == "error" ? FailedBy::error
                        : by_ == "task"  ? FailedBy::task
                                         : FailedBy::job;
    std::string title = by_;
    for (char& c : title) c = static_cast<char>(c - 'a' + 'A');
    Listing listing(session.out, output_,
                    {by_, "count", "held", "runs", "first_at", "last_at", "example"},
                    {{"COUNT", false, true},
                     {"RUNS", false, true},
                     {"LAST"},
                     {title, false, false, 24},
                     {"FIRST", true},
                     {"FOR EXAMPLE"}});
    std::int64_t others = 0;
    std::string summary;
    if (!access.is_empty()) {
      const Result<FailedGroups> groups = access.history().failed_groups(selector, by, tolerated_);
      if (!groups) return groups.error();
      others = groups->others;
      const std::size_t limit = limit_of(words_);
      for (const FailedGroup& group : groups->groups) {
        if (limit != 0 && listing.count() == limit) {
          others += group.count;
          continue;
        }
        listing.add(group_entry(group));
      }
      if (output_.is_for_people() && output_.header) {
        const Result<FailedSummary> counted = access.history().failed_summary(selector);
        if (!counted) return counted.error();
        summary = summary_line(*counted, selector);
      }
    }
    listing.finish();
    if (!summary.empty()) session.out.line(summary);
    if (others > 0 && output_.is_for_people()) {
      session.err.line(fmt::format("and {} of other kinds: --limit 0", format_count(others)));
    }
    return 0;
  }

  Entry group_entry(const FailedGroup& group) const {
    const TaskView& example = group.example;
    const ItemIndex item = example.row.key.item;
    Entry entry;
    entry.object = {{by_, group.value},
                    {"count", group.count},
                    {"held", group.held},
                    {"runs", group.runs},
                    {"first_at", format_utc(group.first)},
                    {"last_at", format_utc(group.last)},
                    {"example", object_name(example.run, example.task, item)}};
    entry.cells = {
        {format_count(group.count)},       {format_count(group.runs)},
        {format_when(group.last, here_)},  {group.value, Style::red},
        {format_when(group.first, here_)}, {short_object_name(example.run, example.task, item)}};
    entry.name = group.value;
    return entry;
  }

  SelectorWords words_;
  std::string by_;
  bool tolerated_ = false;
  OutputOptions output_;
  Here here_;
};

}  // namespace

std::unique_ptr<Verb> make_failed_verb() { return std::make_unique<FailedVerb>(); }

}  // namespace pawl
