#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "cli/history_access.h"
#include "cli/stored_job.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/output_file.h"

namespace pawl {

namespace {

constexpr std::size_t kPage = 200;

class OutputVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("RUN/TASK", name_, true, "a task, or an item RUN/TASK:17");
    arguments.choice("-o,--output", "FORMAT", format_, {"text", "json", "jsonl"},
                     "text: as it is (default); jsonl: one object per result; json: that object, "
                     "of a mapped task an array");
    arguments.note(
        "Of a task its result as it is. Of a mapped task the results of its items in the order of "
        "their indexes, one per line; items without one are left out. Only tasks that declare "
        "`output` have results.");
    arguments.example("pawl output @latest/list");
    arguments.example("pawl output 7k3f9q/query -o jsonl | jq .value.rows");
  }

  Result<int> run(Session& session) override {
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    const Result<Named> named = access->resolve(name_);
    if (!named) return named.error();
    if (!named->task) {
      return Error{ErrorKind::invalid,
                   fmt::format("{}: name a task of it: RUN/TASK", escape_for_terminal(name_))};
    }
    if (named->item == kWhole) {
      const auto mapped = access->history().mapped(named->run.id, *named->task);
      if (!mapped) return mapped.error();
      if (*mapped) return print_items(session, *access, *named);
    }
    const auto output = access->history().output(named->key());
    if (!output) return output.error();
    if (!*output) return nothing(*access, *named);
    if (const Result<void> done = print(session, *access, **output, false); !done) {
      return done.error();
    }
    return 0;
  }

 private:
  static Error nothing(HistoryAccess& access, const Named& named) {
    const std::string name = object_name(named.run.name, named.task_id, named.item);
    const auto task = access.history().task(named.key());
    if (!task) return task.error();
    const std::string state(*task ? to_string((*task)->row.state) : to_string(TaskState::waiting));
    return {ErrorKind::not_found,
            fmt::format("{} has no result: it is {}{}", name, state,
                        state == "succeeded" ? ", and declares no `output`" : "")};
  }

  Result<int> print_items(const Session& session, HistoryAccess& access, const Named& named) {
    OutputPager pager = access.history().outputs(named.run.id, *named.task);
    bool has_any = false;
    for (;;) {
      const auto page = pager.next(kPage);
      if (!page) return page.error();
      for (const OutputRow& row : *page) {
        if (row.key.item == kWhole) continue;
        if (format_ == "json") session.out.print(has_any ? ",\n" : "[\n");
        has_any = true;
        if (const Result<void> done = print(session, access, row, true); !done) return done.error();
      }
      if (page->size() < kPage) break;
    }
    if (has_any && format_ == "json") session.out.print("\n]\n");
    if (has_any) return 0;
    const Result<JobSpec> job = stored_job(access, named.run.version);
    if (!job) return job.error();
    if (job->node(*named.task).output != OutputFormat::none) {
      if (format_ == "json") session.out.print("[]\n");
      return 0;
    }
    return Error{ErrorKind::not_found,
                 fmt::format("{} has no results: it declares no `output`",
                             object_name(named.run.name, named.task_id, kWhole))};
  }

  Result<void> print(const Session& session, HistoryAccess& access, const OutputRow& row,
                     bool one_line) const {
    if (format_ != "text") {
      Result<void> done = print_record(session, access, row);
      if (done && !(one_line && format_ == "json")) session.out.print("\n");
      return done;
    }
    if (!row.file.empty()) return copy_file(session, access, row);
    const std::string& value = row.value;
    session.out.print(one_line && row.format == "text" ? dump(value) : value);
    // A text is what it is, byte for byte; a person's prompt stands in a line of its own.
    const bool ends_line = one_line || row.format != "text" || session.out.is_terminal;
    if (one_line || (ends_line && !value.ends_with('\n'))) session.out.print("\n");
    return {};
  }

  /// One object; the value of a spooled file is its list of lines.
  static Result<void> print_record(const Session& session, HistoryAccess& access,
                                   const OutputRow& row) {
    OrderedJson head = {
        {"index", row.key.item == kWhole ? OrderedJson(nullptr) : OrderedJson(row.key.item.value)},
        {"attempt", row.attempt},
        {"format", row.format}};
    std::string text = dump(head);
    text.pop_back();
    session.out.print(text + ",\"value\":");
    if (row.file.empty()) {
      const OrderedJson value = row.format == "text"
                                    ? OrderedJson(row.value)
                                    : OrderedJson::parse(row.value, nullptr, false);
      session.out.print(value.is_discarded() ? dump(OrderedJson(row.value)) : dump(value));
    } else if (Result<void> done = output_file_as_json(
                   access.home(), row, [&](std::string_view json) { session.out.print(json); });
               !done) {
      return done;
    }
    session.out.print("}");
    return {};
  }

  static Error unreadable(const std::string& path) {
    return {ErrorKind::storage,
            fmt::format("{}: cannot be read: {}", escape_for_terminal(path), std::strerror(errno))};
  }

  static Result<void> copy_file(const Session& session, HistoryAccess& access,
                                const OutputRow& row) {
    const std::string path = path_of_output(access.home(), row);
    std::ifstream file(path, std::ios::binary);
    if (!file) return unreadable(path);
    std::array<char, 64 << 10> block;
    char last = '\n';
    while (file.read(block.data(), block.size()) || file.gcount() > 0) {
      const auto size = static_cast<std::size_t>(file.gcount());
      session.out.print({block.data(), size});
      last = block[size - 1];
    }
    if (last != '\n' && (row.format != "text" || session.out.is_terminal)) session.out.print("\n");
    return {};
  }

  std::string name_;
  std::string format_ = "text";
};

}  // namespace

std::unique_ptr<Verb> make_output_verb() { return std::make_unique<OutputVerb>(); }

}  // namespace pawl
