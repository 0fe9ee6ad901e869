#include <fmt/format.h>

#include "cli/verb.h"
#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/home.h"
#include "storage/backup.h"

namespace pawl {

namespace {

class BackupVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("FILE", file_, true, "where to put the copy");
    arguments.flag("--replace", replace_, "overwrite a file of that name, in one step at the end");
    arguments.output(output_, {Format::table, Format::json, Format::jsonl});
    arguments.note(
        "Copies the store while it is in use, checks the copy, and only then gives it its name. "
        "Logs "
        "and spooled outputs are files of the home and not in it.");
    arguments.example("pawl backup /mnt/backup/pawl-$(date +%F).db");
  }

  Result<int> run(Session& session) override {
    const Result<std::string> path = resolve_home(session.home_flag);
    if (!path) return path.error();
    const Result<Home> home = Home::open(*path);
    if (!home) return home.error();
    BackupOptions options;
    options.replace = replace_;
    const Result<BackupReport> report = backup_store(home->database(), file_, options);
    if (!report) return report.error();
    if (output_.is_for_people()) {
      session.err.line(fmt::format("{}: {} with {}", escape_for_terminal(file_),
                                   format_bytes(static_cast<std::uint64_t>(report->bytes)),
                                   counted(report->runs, "run")));
    } else {
      print_object(session.out, output_,
                   {{"file", file_}, {"bytes", report->bytes}, {"runs", report->runs}});
    }
    return 0;
  }

 private:
  std::string file_;
  bool replace_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_backup_verb() { return std::make_unique<BackupVerb>(); }

}  // namespace pawl
