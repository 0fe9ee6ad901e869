#include <fmt/format.h>

#include "cli/checkup.h"
#include "cli/history_access.h"
#include "cli/program.h"
#include "cli/scheduler_probe.h"
#include "cli/settings.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/home.h"
#include "storage/check.h"

namespace pawl {

namespace {

using Level = Finding::Level;

class DoctorVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--quick", quick_, "do not read the whole store");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.note(
        "Changes nothing. Exit code 0: no problem (warnings may be there), 1: problems.");
  }

  Result<int> run(Session& session) override {
    const Result<std::string> path = resolve_home(session.home_flag);
    if (!path) return path.error();
    add(check_home_folder(*path));
    if (const Result<Home> home = Home::open(*path)) {
      add_store(*home);
      add({check_workers(home->workers())});
    }
    add_scheduler(session);
    add_settings(*path);
    add(check_clock());
    add(check_limits());
    add({check_limits_of_tasks("auto")});
    add(check_unit_files());
    return print(session);
  }

 private:
  void add(const std::vector<Finding>& findings) {
    findings_.insert(findings_.end(), findings.begin(), findings.end());
  }

  void add_store(const Home& home) {
    HistoryOptions options;
    const Result<std::unique_ptr<History>> history = History::open(home.database(), options);
    if (!history) {
      if (history.error().kind == ErrorKind::not_found) {
        add({{"store", Level::good, "none yet: the first run makes it", ""}});
      } else {
        add({{"store", Level::problem, history.error().message,
              history.error().kind == ErrorKind::version
                  ? "Use the version of pawl that wrote it"
                  : "pawl restore FILE brings a backup back"}});
      }
      return;
    }
    StoreCheckOptions check;
    check.history = !quick_;
    const auto found = check_store((*history)->database(), check);
    if (!found) {
      add({{"store", Level::problem, found.error().message,
            "pawl restore FILE brings a backup back"}});
      return;
    }
    for (const StoreFinding& finding : *found) {
      add({{"store", Level::problem, finding.what,
            finding.is_damage ? "pawl restore FILE brings a backup back"
                              : "Report this, with the output of pawl version"}});
    }
    if (found->empty()) add({{"store", Level::good, "whole", ""}});
  }

  void add_scheduler(const Session& session) {
    const Result<std::optional<nlohmann::json>> answer = ask_if_up(session, "/v1/status");
    if (!answer) {
      add({{"scheduler", Level::problem, answer.error().message,
            "Look at its log; start it anew"}});
      return;
    }
    if (!*answer) {
      add({{"scheduler", Level::good, "none is up", ""}});
      return;
    }
    const std::string version = (*answer)->value("version", std::string());
    if (version != program_version()) {
      add({{"scheduler", Level::warning,
            fmt::format("up, of version {}; this is {}", escape_for_terminal(version),
                        program_version()),
            "Start it anew: running tasks go on"}});
    } else if ((*answer)->value("storage_full", false)) {
      add({{"scheduler", Level::problem, "up, but the disk is full: nothing starts", "Make room"}});
    } else {
      add({{"scheduler", Level::good, "up", ""}});
    }
  }

  void add_settings(const std::string& home) {
    const Result<Settings> settings = read_settings(home + "/settings.json", false);
    if (settings) {
      add({{"settings", Level::good, "fine", ""}});
    } else {
      add({{"settings", Level::problem, settings.error().message,
            "pawl schema settings says what may be there"}});
    }
  }

  int print(const Session& session) const {
    Listing list(session.out, output_, {"check", "state", "text", "remedy"},
                 {{"CHECK"}, {"STATE"}, {"FOUND", false, false, 20}, {"REMEDY", false, false, 20}});
    bool problem = false;
    for (const Finding& finding : findings_) {
      problem |= finding.level == Level::problem;
      const Style style = finding.level == Level::good      ? Style::green
                          : finding.level == Level::warning ? Style::yellow
                                                            : Style::red;
      Entry entry;
      entry.object = {
          {"check", finding.check},
          {"state", to_string(finding.level)},
          {"text", finding.text},
          {"remedy", finding.remedy.empty() ? OrderedJson(nullptr) : OrderedJson(finding.remedy)}};
      entry.cells = {{finding.check},
                     {std::string(to_string(finding.level)), style},
                     {finding.text},
                     {finding.remedy}};
      entry.name = finding.check;
      list.add(std::move(entry));
    }
    list.finish();
    return problem ? exit_code(ErrorKind::failed) : 0;
  }

  bool quick_ = false;
  OutputOptions output_;
  std::vector<Finding> findings_;
};

}  // namespace

std::unique_ptr<Verb> make_doctor_verb() { return std::make_unique<DoctorVerb>(); }

}  // namespace pawl
