#pragma once

// From the text of a job file to a JobSpec, or to every error in it.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <cctz/time_zone.h>

#include "scheduler/base/result.h"
#include "scheduler/spec/connections.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// One thing wrong with a file, or worth a warning.
struct Diagnostic {
  enum class Severity : std::uint8_t { error, warning };
  Severity severity = Severity::error;
  int line = 1;         ///< from 1
  int column = 1;       ///< from 1, in bytes
  std::string pointer;  ///< JSON pointer of the place
  std::string message;  ///< what was found, what is allowed, the nearest known word
};

/// `FILE:LINE:COLUMN: error: MESSAGE (at POINTER)`.
std::string format_diagnostic(std::string_view file, const Diagnostic& diagnostic);

class OperatorCatalog;

struct ParseOptions {
  std::string folder;  ///< absolute folder that relative paths start at
  /// Pools of the settings, with their slots where these are known.
  std::map<std::string, std::optional<std::int64_t>, std::less<>> known_pools = {{"default", {}}};
  bool any_pool = false;  ///< a pool that is gone passes
  /// The time zone of that name, when the machine has it. Without it any well-formed name passes,
  /// and whether a schedule ever fires is not asked.
  std::function<std::optional<cctz::time_zone>(std::string_view)> zone = {};
  /// Whether programs can be started with that `nice` here. Without it any passes.
  std::function<bool(int)> may_have_nice = {};
  /// What operators there are, and their parameters. Without it any well-formed name passes with
  /// any parameters: a version that was accepted stays readable when its plugin is gone.
  const OperatorCatalog* operators = nullptr;
  /// Of the settings: what every job has that does not say otherwise, JSON text of an object;
  /// empty: nothing.
  std::string job_defaults = {};
  /// What `with` may name as `connection`. Without it any name passes.
  std::optional<Connections> connections = {};
};

struct ParseResult {
  JobSpec job;                          ///< meaningful when `ok`
  std::string text;                     ///< what `job` was read from: with the defaults of all jobs
  std::vector<Diagnostic> diagnostics;  ///< errors first by place, then warnings by place
  bool ok = false;                      ///< no error
};

/// Parses and checks a job file, with the defaults of all jobs in it. Total: any bytes give a
/// result, never an exception; bounded in time and memory by the limits of `limits.h`. Pure.
ParseResult parse_job(std::string_view text, const ParseOptions& options);

/// The definition that a valid job text stands for, without what means nothing: white space, the
/// order of keys, `$schema`, `comment` and `x-` keys. Equal texts are one version of the job; it
/// parses to the same JobSpec. Empty when the text is not JSON.
std::string canonical_job_text(std::string_view text);

/// True when the text is a JSON object without a `tasks` key: a file that a job folder ignores.
bool is_foreign_json(std::string_view text);

/// JSON Schema (2020-12) of a job file, from the same field table as the parser.
std::string job_schema();

/// Checks run parameters against the job's declarations, fills defaults, and returns the full
/// object as JSON text. `given` is JSON text of an object.
Result<std::string> resolve_params(const JobSpec& job, std::string_view given);

/// Reads `k=v` of the command line: the value as JSON where the declared type asks for one and it
/// parses, else as text. Returns JSON text of the value.
Result<std::string> param_from_text(const JobSpec& job, std::string_view name,
                                    std::string_view text);

}  // namespace pawl
