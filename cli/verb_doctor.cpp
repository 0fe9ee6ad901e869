#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>

#include <fmt/format.h>

#include "cli/checkup.h"
#include "cli/history_access.h"
#include "cli/job_source.h"
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
    arguments.option("--settings", "FILE", settings_,
                     "look at this one (that of the scheduler, else settings.json of the home)");
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
    add_settings(session);
    add(check_clock());
    add(check_limits());
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
        // Of another version, older or newer, the message says what to do.
        add({{"store", Level::problem, history.error().message,
              history.error().kind == ErrorKind::version
                  ? ""
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
    const Result<std::optional<nlohmann::json>> answer = status_if_up(session);
    if (!answer) {
      add({{"scheduler", Level::problem, answer.error().message, ""}});
      return;
    }
    if (!*answer) {
      add({{"scheduler", Level::good, "none is up", ""}});
      return;
    }
    status_ = **answer;
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
    for (const nlohmann::json& worker : (*answer)->value("workers", nlohmann::json::array())) {
      if (worker.value("state", std::string()) != "silent") continue;
      const auto pid = worker.value("pid", std::int64_t{0});
      add({{"workers", Level::problem,
            fmt::format("worker {} (pid {}) does not answer",
                        worker.value("worker", std::int64_t{0}), pid),
            fmt::format("Let it go on (kill -CONT {}), or kill it: what it ran is then settled",
                        pid)}});
    }
  }

  /// Each value and where it comes from; of those that the scheduler does not have yet, that.
  void add_settings(const Session& session) {
    const OperatorCatalog operators = known_operators(session);
    const Result<SettingsFile> file = file_of(session);
    const Result<ParsedSettings> settings =
        file ? read_settings(*file, &operators) : Result<ParsedSettings>(file.error());
    if (!settings) {
      std::istringstream errors(settings.error().message);
      for (std::string error; std::getline(errors, error);)
        add({{"settings", Level::problem, error, "pawl schema settings says what may be there"}});
      add({check_limits_of_tasks("auto")});
      return;
    }
    const std::string path = escape_for_terminal(file->path);
    std::error_code failed;
    const bool is_there = std::filesystem::exists(file->path, failed);
    if (settings->diagnostics.empty())
      add({{"settings", Level::good, is_there ? path + " is fine" : "none: the defaults", ""}});
    for (const Diagnostic& warning : settings->diagnostics)
      add({{"settings", Level::warning, format_diagnostic(path, warning), ""}});
    const nlohmann::json used = values_in_use(file->path);
    for (const SettingValue& value : settings->values) add({finding_of(value, path, used)});
    for (const auto& item : used.items()) {
      const bool is_gone =
          std::none_of(settings->values.begin(), settings->values.end(),
                       [&](const SettingValue& value) { return value.name == item.key(); });
      if (is_gone) add({not_in_use_yet(item.key(), "it is gone from " + path, item.value())});
    }
    add({check_limits_of_tasks(settings->settings.control_groups)});
  }

  Result<SettingsFile> file_of(const Session& session) const {
    if (settings_.empty()) return settings_file_of(session);
    std::error_code failed;
    return SettingsFile{std::filesystem::absolute(settings_, failed).string(), true};
  }

  /// By name; of a scheduler that goes by another file, none.
  nlohmann::json values_in_use(const std::string& path) const {
    const auto settings = status_.find("settings");
    if (settings == status_.end() || settings->value("file", std::string()) != path)
      return nlohmann::json::object();
    return settings->value("values", nlohmann::json::object());
  }

  static Finding finding_of(const SettingValue& value, const std::string& path,
                            const nlohmann::json& used) {
    const std::string text = value.line == 0
                                 ? value.value + " (default)"
                                 : fmt::format("{} ({}:{})", value.value, path, value.line);
    const auto in_use = used.find(value.name);
    const bool differs = !used.empty() && (in_use == used.end() || *in_use != value.value);
    if (!differs) return {"setting " + value.name, Level::good, text, ""};
    return not_in_use_yet(value.name, text, in_use == used.end() ? nlohmann::json() : *in_use);
  }

  static Finding not_in_use_yet(const std::string& name, const std::string& text,
                                const nlohmann::json& used) {
    return {"setting " + name, Level::warning,
            text + (used.is_string() ? "; the scheduler has " + used.get<std::string>()
                                     : "; the scheduler does not have it yet"),
            "Send it SIGHUP: systemctl reload pawl"};
  }

  int print(const Session& session) const {
    Listing list(session.out, output_, {"check", "state", "text", "remedy"},
                 {{"CHECK"},
                  {"STATE"},
                  {"FOUND", false, false, 20, true},
                  {"REMEDY", false, false, 20, true}});
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

  std::string settings_;
  nlohmann::json status_ = nlohmann::json::object();  ///< of the scheduler that is up
  bool quick_ = false;
  OutputOptions output_;
  std::vector<Finding> findings_;
};

}  // namespace

std::unique_ptr<Verb> make_doctor_verb() { return std::make_unique<DoctorVerb>(); }

}  // namespace pawl
