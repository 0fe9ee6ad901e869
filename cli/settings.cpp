#include "cli/settings.h"

#include "cli/scheduler_probe.h"
#include "scheduler/daemon/home.h"

namespace pawl {

Result<SettingsFile> settings_file_of(const Session& session) {
  const Result<std::string> home = resolve_home(session.home_flag);
  if (!home) return home.error();
  SettingsFile file = settings_file_of(*home);
  // One that does not answer has no say here: what is wrong with it others tell.
  const auto status = status_if_up(session);
  if (!status || !*status) return file;
  const auto settings = (*status)->find("settings");
  if (settings == (*status)->end()) return file;
  const std::string path = settings->value("file", std::string());
  if (path.starts_with('/')) file.path = path;
  return file;
}

Result<ParsedSettings> settings_of(const Session& session, const OperatorCatalog* operators) {
  const Result<SettingsFile> file = settings_file_of(session);
  if (!file) return file.error();
  return read_settings(*file, operators);
}

}  // namespace pawl
