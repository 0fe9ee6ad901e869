#include "scheduler/daemon/settings_file.h"

#include <filesystem>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/home.h"
#include "scheduler/daemon/trusted_file.h"

namespace pawl {

SettingsFile settings_file_of(const std::string& home) { return {home + "/settings.json", false}; }

Result<ParsedSettings> read_settings(const SettingsFile& file, const OperatorCatalog* operators) {
  const ParseOptions options = parse_options("/", operators, nullptr);
  const std::string shown = escape_for_terminal(file.path);
  const auto text = read_trusted_file(file.path, limits::kSettingsFileBytesMax);
  const bool is_missing = !text && text.error().kind == ErrorKind::not_found;
  if (is_missing && !file.must_exist) return parse_settings("{}", options);
  if (!text && !file.must_exist) {
    const auto home = Home::open(std::filesystem::path(file.path).parent_path());
    if (!home && home.error().kind == ErrorKind::home_unusable) return home.error();
  }
  if (!text) return Error{text.error().kind, shown + ": " + text.error().message};
  ParsedSettings parsed = parse_settings(*text, options);
  if (parsed.ok) return parsed;
  std::string message;
  for (const Diagnostic& wrong : parsed.diagnostics) {
    if (wrong.severity != Diagnostic::Severity::error) continue;
    message += (message.empty() ? "" : "\n") + format_diagnostic(shown, wrong);
  }
  return Error{ErrorKind::invalid, message};
}

}  // namespace pawl
