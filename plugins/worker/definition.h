#pragma once

// What the attempts of one task of one run have in common: all that a worker needs to know of it,
// sent once per worker as the bytes of a DEFINE frame.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/job.h"

namespace pawl {

struct TaskDefinition {
  std::string home;  ///< absolute
  std::string run;   ///< name of the run, PAWL_RUN_ID
  std::string job;
  std::string task;          ///< its id, `hook:on_failure:0` for hooks
  std::string logical_time;  ///< PAWL_LOGICAL_TIME
  std::string date;          ///< PAWL_DATE
  std::string operator_name = "process";
  std::string with = "{}";                 ///< TaskSpec::with: JSON text
  std::map<std::string, std::string> env;  ///< TaskSpec::env: values are templates
  std::vector<std::string> pass_env;
  std::string working_dir;  ///< a template; relative to `folder`; empty: `folder`
  std::string folder;       ///< of the job file, absolute
  std::map<std::string, SecretSource> secrets;  ///< those the task uses
  /// By variable: the scheduler's values for those of `secrets` that it has in its environment.
  /// They are in the memory of the two and on the socket between them, nowhere else.
  std::map<std::string, std::string> secret_env;
  Duration timeout{};  ///< 0: none; so for the next
  Duration stall_timeout{};
  Duration kill_grace = std::chrono::seconds(10);
  Resources resources;
  OutputFormat output = OutputFormat::none;
  bool output_from_file = false;
  /// JSON text of an object: `params`, `run` (with `logical_time`, `date`), `tasks`.
  std::string context = "{}";
  /// The scheduler's own variables that the attempt takes: those of `pass_env` that are set, and of
  /// PATH HOME USER LOGNAME SHELL LANG TZ TMPDIR.
  std::map<std::string, std::string> scheduler_env;
  std::uint64_t log_bytes_max = 0;  ///< of an attempt's log; 0: limits::kLogBytesMax
  std::string log_dir;              ///< absolute; made when the first byte is logged
};

/// The names that an attempt takes from the scheduler's environment, whatever the job says.
inline constexpr std::string_view kLoginVariables[] = {"PATH",  "HOME", "USER", "LOGNAME",
                                                       "SHELL", "LANG", "TZ",   "TMPDIR"};

/// The bytes of a definition (wire.h), its texts as they are: `with` and `context` are parsed by
/// who renders them.
std::string encode_definition(const TaskDefinition& definition);

/// The reverse. Total. Errors: invalid, what is no definition of this protocol's version.
Result<TaskDefinition> decode_definition(std::string_view bytes);

/// Where the log of an attempt lies: `LOG_DIR/NUMBER.log`, `LOG_DIR/ITEM.NUMBER.log` for items.
std::string log_path(std::string_view log_dir, ItemIndex item, std::int32_t number);

/// Where an output that is not inline lies: the same with `.out`.
std::string output_path(std::string_view log_dir, ItemIndex item, std::int32_t number);

}  // namespace pawl
