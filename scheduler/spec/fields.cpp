#include "scheduler/spec/fields.h"

#include <algorithm>
#include <array>

#include "scheduler/base/limits.h"
#include "scheduler/spec/leaf_shapes.h"

namespace pawl {
namespace {

constexpr double kAttemptsMax = 100'000.0;
constexpr double kListMax = 1'000'000.0;
constexpr double kJobListMax = static_cast<double>(limits::kTasksPerJobMax);

// Leaves.

constexpr Shape kLongText = {
    .form = Form::text, .what = "a text or a list of lines", .empty_allowed = true};
constexpr Shape kPlainText = {.form = Form::string, .what = "a text", .empty_allowed = true};
constexpr Shape kScript = {.form = Form::text, .what = "a script: a text or a list of lines"};
constexpr Shape kStdin = {.form = Form::text,
                          .what = "a text or a list of lines",
                          .check = Check::template_text,
                          .empty_allowed = true};
constexpr Shape kTemplate = {.form = Form::string, .what = "a text", .check = Check::template_text};
constexpr Shape kTemplateOrEmpty = {
    .form = Form::string, .what = "a text", .check = Check::template_text, .empty_allowed = true};
constexpr Shape kExpression = {
    .form = Form::string, .what = "an expression (a text)", .check = Check::expression};

constexpr Shape kSecondsAtLeast = duration_shape(1000);

constexpr Shape kCountOrZero = count_shape(0);
constexpr Shape kPriority = count_shape(-kCountMax);
constexpr Shape kNice = count_shape(-20, 19);
constexpr Shape kAttempts = count_shape(1, kAttemptsMax);
constexpr Shape kQueueLimit = count_shape(0, 1'000'000);
constexpr Shape kCatchupLimit = count_shape(0, limits::kBackfillRunsMax);  // made at once, too
constexpr Shape kMultiplier = {
    .form = Form::number, .what = "a number from 1 to 1000", .min = 1, .max = 1000};
constexpr Shape kExitCode = count_shape(1, 255);
constexpr Shape kExitCodes = {.form = Form::list,
                              .what = "a list of exit codes",
                              .min = 1,
                              .max = 255,
                              .element = &kExitCode};

constexpr Shape words_shape(std::span<const std::string_view> words) {
  return {.form = Form::string, .what = "one of", .check = Check::word, .words = words};
}

constexpr Shape kJobName = name_shape(Check::job_name, "a job name (a text)");
constexpr Shape kTaskId = name_shape(Check::task_id, "a task id (a text)");
constexpr Shape kVariable = name_shape(Check::variable, "the name of a variable (a text)");
constexpr Shape kCronText =
    name_shape(Check::cron, "a cron expression such as \"0 2 * * *\" (five fields)");
constexpr Shape kDate = name_shape(Check::date, "a date such as \"2026-11-20\"");
constexpr Shape kInstant = name_shape(
    Check::instant, "a time such as \"2026-11-20T22:58:00\" or \"2026-11-20T22:58:00Z\"");

// Parts that the job and its tasks share.

constexpr Shape kEnv = {.form = Form::map,
                        .what = "an object of variables and their texts",
                        .null_removes = true,
                        .element = &kTemplateOrEmpty,
                        .key_check = Check::variable};
constexpr Shape kPassEnv = {.form = Form::list,
                            .what = "a list of names of variables",
                            .min = 0,
                            .max = 10'000,
                            .element = &kVariable};
constexpr std::array<Field, 2> kRateFields = {{
    {"count", &kCount, "How many starts.", {}, true},
    {"per", &kDuration, "In which time.", {}, true},
}};
constexpr Shape kRate = {.form = Form::object,
                         .what = "an object such as {\"count\": 100, \"per\": \"1s\"}",
                         .fields = kRateFields,
                         .name = "rate"};
constexpr std::array<Field, 2> kTaskRateFields = {{
    {"count", &kCount, "How many starts."},
    {"per", &kDuration, "In which time."},
}};
constexpr Shape kTaskRate = {.form = Form::object,
                             .what = "an object such as {\"count\": 100, \"per\": \"1s\"}",
                             .null_removes = true,
                             .fields = kTaskRateFields,
                             .name = "rate"};

// Schedule.

constexpr std::array<Field, 1> kExceptFileFields = {{
    {"file", &kWord, "A file of dates, one a line, relative to the job file.", {}, true},
}};
constexpr Shape kExceptFile = {.form = Form::object,
                               .what = "an object {\"file\": \"holidays.txt\"}",
                               .fields = kExceptFileFields,
                               .name = "except"};
constexpr Shape kExceptDates = {.form = Form::list,
                                .what = "a list of dates",
                                .min = 0,
                                .max = limits::kExceptDatesMax,
                                .element = &kDate};
constexpr std::array<const Shape*, 2> kExceptForms = {&kExceptDates, &kExceptFile};
constexpr Shape kExcept = {.form = Form::either,
                           .what =
                               "a list of dates such as [\"2026-12-25\"], or {\"file\": "
                               "\"holidays.txt\"}",
                           .alternatives = kExceptForms};
constexpr std::array<Field, 8> kScheduleFields = {{
    {"cron", &kCronText, "Five fields: minute, hour, day of month, month, day of week."},
    {"every", &kSecondsAtLeast, "A fixed interval, counted from `start`."},
    {"at", &kInstant, "One instant."},
    {"timezone", &kZone, "The IANA time zone in which the schedule is read.", "\"UTC\""},
    {"start", &kInstant, "No fire before it; `every` counts from it (the epoch without it)."},
    {"end", &kInstant, "No fire at or after it."},
    {"jitter", &kDurationOrZero, "Each fire is moved later by up to this much.", "\"0s\""},
    {"except", &kExcept, "Local dates without a fire."},
}};
constexpr Shape kScheduleOne = {.form = Form::object,
                                .what = "an object such as {\"cron\": \"0 2 * * *\"}",
                                .fields = kScheduleFields,
                                .name = "schedule"};
constexpr Shape kScheduleList = {.form = Form::list,
                                 .what = "a list of schedules",
                                 .min = 1,
                                 .max = 1'000,
                                 .element = &kScheduleOne};
constexpr std::array<const Shape*, 2> kScheduleForms = {&kScheduleOne, &kScheduleList};
constexpr Shape kSchedule = {.form = Form::either,
                             .what =
                                 "an object such as {\"cron\": \"0 2 * * *\"}, or a list of "
                                 "such objects",
                             .alternatives = kScheduleForms};

constexpr std::array<std::string_view, 3> kCatchupWords = {"none", "latest", "all"};
constexpr Shape kCatchupPolicy = words_shape(kCatchupWords);
constexpr std::array<Field, 3> kCatchupFields = {{
    {"policy", &kCatchupPolicy, "Which missed fires are run.", "\"latest\""},
    {"limit", &kCatchupLimit, "At most so many, the newest.", "100"},
    {"window", &kDuration, "None older than this.", "\"7d\""},
}};
constexpr Shape kCatchup = {.form = Form::object,
                            .what = "an object such as {\"policy\": \"latest\"}",
                            .fields = kCatchupFields,
                            .name = "catchup"};
constexpr std::array<std::string_view, 4> kOverlapWords = {"queue", "skip", "replace", "allow"};
constexpr Shape kOverlap = words_shape(kOverlapWords);

// Parameters, secrets, pools, labels.

constexpr Shape kParamSchema = {.form = Form::open_object, .what = "a JSON Schema (an object)"};
constexpr Shape kParams = {
    .form = Form::map,
    .what = "an object of names and JSON Schemas, such as {\"region\": {\"type\": \"string\"}}",
    .element = &kParamSchema,
    .key_check = Check::identifier,
    .name = "params"};
constexpr std::array<Field, 2> kSecretFields = {{
    {"env", &kVariable, "Taken from this variable of the scheduler."},
    {"file", &kWord, "Read from this file, relative to the job file."},
}};
constexpr Shape kSecret = {.form = Form::object,
                           .what = "an object {\"env\": \"NAME\"} or {\"file\": \"path\"}",
                           .fields = kSecretFields,
                           .name = "secret"};
constexpr Shape kSecrets = {.form = Form::map,
                            .what = "an object of names and their sources",
                            .element = &kSecret,
                            .key_check = Check::identifier};
constexpr std::array<Field, 2> kPoolFields = {{
    {"slots", &kCount, "How many can be taken at once.", {}, true},
    {"rate", &kRate, "At most so many starts in a time."},
}};
constexpr Shape kPoolObject = {.form = Form::object,
                               .what = "an object such as {\"slots\": 20}",
                               .fields = kPoolFields,
                               .name = "pool"};
constexpr std::array<const Shape*, 2> kPoolForms = {&kCount, &kPoolObject};
constexpr Shape kPoolSpec = {.form = Form::either,
                             .what =
                                 "a number of slots, or {\"slots\": 20, \"rate\": {\"count\": "
                                 "100, \"per\": \"1s\"}}",
                             .alternatives = kPoolForms};
constexpr Shape kPools = {.form = Form::map,
                          .what = "an object of names and slots, such as {\"warehouse\": 20}",
                          .element = &kPoolSpec,
                          .key_check = Check::name};
constexpr Shape kLabels = {.form = Form::map,
                           .what = "an object of texts",
                           .element = &kPlainText,
                           .key_check = Check::label};
constexpr std::array<Field, 2> kRetentionFields = {{
    {"runs", &kCount, "How many ended runs are kept."},
    {"days", &kCount, "How many days an ended run is kept."},
}};
constexpr Shape kRetention = {.form = Form::object,
                              .what = "an object such as {\"runs\": 1000, \"days\": 30}",
                              .fields = kRetentionFields,
                              .name = "retention"};

// Parts of a task.

constexpr std::array<Field, 2> kDependencyFields = {{
    {"task", &kTaskId, "The task that comes first.", {}, true},
    {"each", &kBool, "Item i waits for item i of that task only.", "false"},
}};
constexpr Shape kDependencyObject = {.form = Form::object,
                                     .what = "an object {\"task\": \"convert\", \"each\": true}",
                                     .fields = kDependencyFields,
                                     .name = "dependency"};
constexpr std::array<const Shape*, 2> kDependencyForms = {&kTaskId, &kDependencyObject};
constexpr Shape kDependency = {.form = Form::either,
                               .what = "a task id, or {\"task\": \"convert\", \"each\": true}",
                               .alternatives = kDependencyForms};
constexpr Shape kDependsOn = {.form = Form::list,
                              .what = "a list of task ids",
                              .min = 0,
                              .max = kJobListMax,
                              .element = &kDependency};

constexpr std::array<std::string_view, 12> kRuleWords = {"all_success",
                                                         "all_failed",
                                                         "all_done",
                                                         "one_success",
                                                         "one_failed",
                                                         "one_done",
                                                         "none_failed",
                                                         "none_skipped",
                                                         "none_failed_min_one_success",
                                                         "all_skipped",
                                                         "all_done_min_one_success",
                                                         "always"};
constexpr Shape kTriggerRule = words_shape(kRuleWords);

constexpr Shape kArgument = {
    .form = Form::string, .what = "a text", .check = Check::template_text, .empty_allowed = true};
constexpr Shape kCommand = {.form = Form::list,
                            .what =
                                "a list of texts: the program and its arguments, such as "
                                "[\"./report\", \"--all\"]",
                            .min = 1,
                            .max = 100'000,
                            .element = &kArgument};
constexpr Shape kShellList = {
    .form = Form::list, .what = "a list of texts", .min = 1, .max = 1'000, .element = &kWord};
constexpr std::array<const Shape*, 2> kShellForms = {&kWord, &kShellList};
constexpr Shape kShell = {.form = Form::either,
                          .what = "a program and its options, such as \"/bin/bash -eo pipefail\"",
                          .alternatives = kShellForms};
constexpr Shape kWith = {.form = Form::open_object,
                         .what = "an object of the operator's parameters"};

constexpr std::array<std::string_view, 4> kItemFormatWords = {"jsonl", "json", "csv", "lines"};
constexpr Shape kItemFormat = words_shape(kItemFormatWords);
constexpr std::array<Field, 2> kItemsFileFields = {{
    {"file", &kTemplate, "A file of items, relative to the job file.", {}, true},
    {"format", &kItemFormat, "How the file holds its items.", "\"jsonl\""},
}};
constexpr Shape kItemsFile = {.form = Form::object,
                              .what = "an object {\"file\": \"items.jsonl\"}",
                              .fields = kItemsFileFields,
                              .name = "items"};
constexpr Shape kItemsInline = {
    .form = Form::list, .what = "a list", .min = 0, .max = 1e9, .element = &kAny};
constexpr std::array<const Shape*, 3> kItemsForms = {&kItemsInline, &kTemplate, &kItemsFile};
constexpr Shape kItems = {.form = Form::either,
                          .what =
                              "a list, a text \"{{ … }}\" that gives a list, or {\"file\": "
                              "\"items.jsonl\"}",
                          .alternatives = kItemsForms};
constexpr Shape kPercent = {
    .form = Form::string, .what = "a share such as \"1%\"", .check = Check::percent};
constexpr std::array<const Shape*, 2> kToleranceForms = {&kCountOrZero, &kPercent};
constexpr Shape kTolerance = {.form = Form::either,
                              .what = "a number of items, or a share of all such as \"1%\"",
                              .alternatives = kToleranceForms};
constexpr std::array<Field, 5> kMapFields = {{
    {"items", &kItems, "What the task runs for, once each.", {}, true},
    {"key", &kTemplate, "A template that gives each item a unique name."},
    {"max_concurrent", &kCount, "At most so many items at once."},
    {"tolerated_failures", &kTolerance, "Failed items that do not fail the task.", "0"},
    {"stop_after_failures", &kCount,
     "After so many failed items no further one starts, and those that run are stopped."},
}};
constexpr Shape kMap = {.form = Form::object,
                        .what = "an object such as {\"items\": [1, 2, 3]}",
                        .fields = kMapFields,
                        .name = "map"};

constexpr std::array<std::string_view, 3> kBackoffWords = {"exponential", "linear", "fixed"};
constexpr std::array<std::string_view, 3> kJitterWords = {"equal", "full", "none"};
constexpr std::array<std::string_view, 12> kRetryReasonWords = {
    "exit",     "signal", "oom",       "timeout", "stalled",  "error",
    "cpu_time", "pids",   "permanent", "spawn",   "template", "output"};
constexpr Shape kBackoff = words_shape(kBackoffWords);
constexpr Shape kJitter = words_shape(kJitterWords);
constexpr Shape kRetryReason = words_shape(kRetryReasonWords);
constexpr Shape kRetryReasons = {.form = Form::list,
                                 .what = "a list of reasons such as [\"exit\", \"timeout\"]",
                                 .min = 0,
                                 .max = 100,
                                 .element = &kRetryReason};
constexpr std::array<Field, 10> kRetryFields = {{
    {"max_attempts", &kAttempts,
     "All attempts, the first included; more than 1 says that the task is safe to run again.", "1"},
    {"delay", &kDurationOrZero, "Between the first failure and the second attempt.", "\"10s\""},
    {"backoff", &kBackoff, "How the delay grows.", "\"exponential\""},
    {"multiplier", &kMultiplier, "By what it grows when it is exponential.", "2"},
    {"max_delay", &kDurationOrZero,
     "No delay is longer. Where it is not set and \"delay\" is longer, it is that.", "\"1h\""},
    {"jitter", &kJitter, "How much of a delay is random: none, its upper half, all of it.",
     "\"equal\""},
    {"on", &kRetryReasons, "Only these reasons are retried."},
    {"not_on", &kRetryReasons, "These reasons are not retried."},
    {"exit_codes", &kExitCodes, "Only these exit codes are retried."},
    {"not_exit_codes", &kExitCodes, "These exit codes are not retried."},
}};
constexpr Shape kRetry = {.form = Form::object,
                          .what = "an object such as {\"max_attempts\": 4, \"delay\": \"60s\"}",
                          .null_removes = true,
                          .fields = kRetryFields,
                          .name = "retry"};

constexpr Shape kPoolName = name_shape(Check::name, "the name of a pool (a text)");
constexpr Shape kPoolUses = {.form = Form::map,
                             .what = "an object of pools and slots",
                             .null_removes = true,
                             .element = &kCount,
                             .key_check = Check::name};
constexpr std::array<const Shape*, 2> kPoolUseForms = {&kPoolName, &kPoolUses};
constexpr Shape kPool = {.form = Form::either,
                         .what =
                             "the name of a pool, or an object of pools and slots such as "
                             "{\"gpu\": 1, \"memory_gib\": 24}",
                         .alternatives = kPoolUseForms};
constexpr std::array<Field, 4> kResourcesFields = {{
    {"memory", &kSize, "Memory of all its processes."},
    {"cpu_time", &kDuration, "CPU time of all its processes."},
    {"pids", &kCount, "Processes and threads at once."},
    {"nice", &kNice, "Scheduling priority of the system."},
}};
constexpr Shape kResources = {.form = Form::object,
                              .what = "an object such as {\"memory\": \"512MiB\"}",
                              .null_removes = true,
                              .fields = kResourcesFields,
                              .name = "resources"};
constexpr std::array<std::string_view, 3> kInterruptWords = {"retry", "fail", "hold"};
constexpr Shape kOnInterrupt = words_shape(kInterruptWords);

constexpr std::array<std::string_view, 4> kOutputWords = {"none", "text", "json", "jsonl"};
constexpr std::array<std::string_view, 2> kOutputFromWords = {"stdout", "file"};
constexpr Shape kOutputFormat = words_shape(kOutputWords);
constexpr Shape kOutputFrom = words_shape(kOutputFromWords);
constexpr std::array<Field, 2> kOutputFields = {{
    {"format", &kOutputFormat, "How the output is read.", {}, true},
    {"from", &kOutputFrom, "Standard output, or the file $PAWL_OUTPUT.", "\"stdout\""},
}};
constexpr Shape kOutputObject = {.form = Form::object,
                                 .what = "an object {\"format\": \"json\", \"from\": \"file\"}",
                                 .fields = kOutputFields,
                                 .name = "output"};
constexpr std::array<const Shape*, 2> kOutputForms = {&kOutputFormat, &kOutputObject};
constexpr Shape kOutput = {.form = Form::either,
                           .what =
                               "\"none\", \"text\", \"json\" or \"jsonl\", or {\"format\": "
                               "\"json\", \"from\": \"file\"}",
                           .alternatives = kOutputForms};

// Keys of a task. Each stands here once; the task, the defaults and the hooks pick theirs.

constexpr Field kId = {"id", &kTaskId, "The task's name, unique in the job.", {}, true};
constexpr Field kCommandField = {"command", &kCommand,
                                 "A program and its arguments; no shell in between."};
constexpr Field kScriptField = {"script", &kScript,
                                "A script, handed to `shell` as a file; `{{` is plain text here."};
constexpr Field kShellField = {"shell", &kShell, "What runs the script.",
                               "[\"/bin/bash\", \"-eo\", \"pipefail\"]"};
constexpr Field kStdinField = {"stdin", &kStdin, "Standard input of the program."};
constexpr Field kSkipExitCodesField = {"skip_exit_codes", &kExitCodes,
                                       "These exit codes skip the task."};
constexpr Field kOperatorField = {"operator", &kOperatorName,
                                  "What runs the task, when it is not a program."};
constexpr Field kWithField = {"with", &kWith, "Parameters of the operator."};
constexpr Field kDependsOnField = {"depends_on", &kDependsOn, "Tasks that come first.", "[]"};
constexpr Field kTriggerRuleField = {"trigger_rule", &kTriggerRule,
                                     "What must have become of the tasks that come first.",
                                     "\"all_success\""};
constexpr Field kWhenField = {"when", &kExpression, "False skips the task."};
constexpr Field kAllowFailureField = {"allow_failure", &kBool,
                                      "A failure of the task does not fail the run.", "false"};
constexpr Field kMapField = {"map", &kMap, "Runs the task once for each of many items."};
constexpr Field kRetryField = {"retry", &kRetry, "When a failed attempt is followed by another."};
constexpr Field kTimeoutField = {"timeout", &kDuration, "Of one attempt."};
constexpr Field kTotalTimeoutField = {"total_timeout", &kDuration,
                                      "From the first start, over all attempts and waits."};
constexpr Field kQueueTimeoutField = {"queue_timeout", &kDuration, "Of the wait for a slot."};
constexpr Field kStallTimeoutField = {"stall_timeout", &kDuration, "Without output or heartbeat."};
constexpr Field kKillGraceField = {"kill_grace", &kDurationOrZero, "From SIGTERM to SIGKILL.",
                                   "\"10s\""};
constexpr Field kPoolField = {"pool", &kPool, "What it takes slots of while it runs.",
                              "\"default\""};
constexpr Field kPriorityField = {"priority", &kPriority, "Higher starts first.", "0"};
constexpr Field kRateLimitField = {"rate_limit", &kTaskRate,
                                   "Starts in a time, over all runs of the job, retries included."};
constexpr Field kResourcesField = {"resources", &kResources,
                                   "Limits of its processes; for programs."};
constexpr Field kOnInterruptField = {"on_interrupt", &kOnInterrupt,
                                     "What follows when nothing shows how an attempt ended; by "
                                     "default retry if max_attempts is over 1, else hold."};
constexpr Field kEnvField = {"env", &kEnv, "Variables of the environment."};
constexpr Field kPassEnvField = {"pass_env", &kPassEnv,
                                 "Variables taken over from the scheduler's environment."};
constexpr Field kWorkingDirField = {"working_dir", &kTemplate,
                                    "Where it runs, relative to the job file."};
constexpr Field kOutputField = {"output", &kOutput, "What becomes of the output.", "\"none\""};

constexpr std::array<Field, 28> kTaskFields = {{kId,
                                                kCommandField,
                                                kScriptField,
                                                kShellField,
                                                kStdinField,
                                                kSkipExitCodesField,
                                                kOperatorField,
                                                kWithField,
                                                kDependsOnField,
                                                kTriggerRuleField,
                                                kWhenField,
                                                kAllowFailureField,
                                                kMapField,
                                                kRetryField,
                                                kTimeoutField,
                                                kTotalTimeoutField,
                                                kQueueTimeoutField,
                                                kStallTimeoutField,
                                                kKillGraceField,
                                                kPoolField,
                                                kPriorityField,
                                                kRateLimitField,
                                                kResourcesField,
                                                kOnInterruptField,
                                                kEnvField,
                                                kPassEnvField,
                                                kWorkingDirField,
                                                kOutputField}};

constexpr std::array<Field, 20> kDefaultsFields = {
    {kShellField,        kSkipExitCodesField, kOperatorField,     kWithField,
     kTriggerRuleField,  kAllowFailureField,  kRetryField,        kTimeoutField,
     kTotalTimeoutField, kQueueTimeoutField,  kStallTimeoutField, kKillGraceField,
     kPoolField,         kPriorityField,      kRateLimitField,    kResourcesField,
     kOnInterruptField,  kEnvField,           kPassEnvField,      kWorkingDirField}};

constexpr std::array<Field, 22> kHookFields = {
    {kCommandField,       kScriptField,      kShellField,        kStdinField,
     kSkipExitCodesField, kOperatorField,    kWithField,         kWhenField,
     kRetryField,         kTimeoutField,     kTotalTimeoutField, kQueueTimeoutField,
     kStallTimeoutField,  kKillGraceField,   kPoolField,         kPriorityField,
     kResourcesField,     kOnInterruptField, kEnvField,          kPassEnvField,
     kWorkingDirField,    kOutputField}};

constexpr std::array<Field, 5> kProcessFields = {
    {kCommandField, kScriptField, kShellField, kStdinField, kSkipExitCodesField}};

}  // namespace

constexpr Shape kProcessShape = {.form = Form::object,
                                 .what = "an object: what a program is",
                                 .fields = kProcessFields,
                                 .name = "process"};

constexpr Shape kTaskShape = {.form = Form::object,
                              .what =
                                  "a task: an object such as {\"id\": \"a\", \"command\": "
                                  "[\"./a\"]}",
                              .null_removes = true,
                              .fields = kTaskFields,
                              .name = "task"};
constexpr Shape kDefaultsShape = {.form = Form::object,
                                  .what = "an object of task keys",
                                  .null_removes = true,
                                  .fields = kDefaultsFields,
                                  .name = "defaults"};
constexpr Shape kHookShape = {.form = Form::object,
                              .what = "a hook: an object such as {\"command\": [\"./alert\"]}",
                              .null_removes = true,
                              .fields = kHookFields,
                              .name = "hook"};

namespace {

constexpr Shape kTaskList = {.form = Form::list,
                             .what = "a list of tasks",
                             .min = 1,
                             .max = kJobListMax,
                             .element = &kTaskShape};
constexpr Shape kHookList = {.form = Form::list,
                             .what = "a list of hook tasks",
                             .min = 0,
                             .max = 1'000,
                             .element = &kHookShape};

constexpr std::array<Field, 24> kJobFields = {{
    {"name", &kJobName, "The job's name; a renamed job is a new job.", {}, true},
    {"format", &kFormat, "The version of this format.", "1"},
    {"description", &kLongText, "For people."},
    {"labels", &kLabels, "Texts for selectors."},
    {"schedule", &kSchedule, "When it runs by itself; without it, by hand only."},
    {"catchup", &kCatchup, "Fires missed while no scheduler ran or the clock jumped."},
    {"overlap", &kOverlap, "What a scheduled fire does that meets an active run.", "\"queue\""},
    {"queue_limit", &kQueueLimit, "Fires that may wait; the oldest is dropped.", "10"},
    {"max_active_runs", &kCount, "Runs at once, for overlap allow.", "16"},
    {"pause_after_failures", &kCount,
     "So many scheduled runs that fail in a row pause the schedule; without it, none do."},
    {"params", &kParams, "Parameters of a run: name to JSON Schema of the value."},
    {"env", &kEnv, "Variables of every attempt."},
    {"pass_env", &kPassEnv, "Variables taken over from the scheduler's environment."},
    {"secrets", &kSecrets, "Where secrets come from."},
    {"working_dir", &kTemplate,
     "Where tasks run, relative to the job file; its folder by default."},
    {"pools", &kPools, "The job's own pools."},
    {"defaults", &kDefaultsShape, "Keys for every task that does not set them."},
    {"timeout", &kDuration, "Of the run: what runs is cancelled, the run fails."},
    {"fail_fast", &kBool, "The first failed task cancels the rest.", "false"},
    {"on_success", &kHookList, "Run after a run that succeeded."},
    {"on_failure", &kHookList, "Run after a run that failed."},
    {"on_exit", &kHookList, "Run after every run."},
    {"retention", &kRetention, "How long ended runs are kept."},
    {"tasks",
     &kTaskList,
     "What is done, in any order; depends_on says what waits for what.",
     {},
     true},
}};

}  // namespace

constexpr Shape kJobShape = {.form = Form::object,
                             .what = "a job: an object with name and tasks",
                             .null_removes = true,
                             .fields = kJobFields,
                             .name = "job"};

const Field* find_field(const Shape& object, std::string_view key) {
  const auto found = std::find_if(object.fields.begin(), object.fields.end(),
                                  [&](const Field& f) { return f.key == key; });
  return found == object.fields.end() ? nullptr : &*found;
}

bool is_ignored_key(std::string_view key) {
  return key == "comment" || key == "$schema" || key.starts_with("x-");
}

bool is_ignored_map_key(std::string_view key, const Shape& map, bool value_is_string) {
  if (key == "$schema" || key.starts_with("x-")) return true;
  return key == "comment" && value_is_string && map.element->form != Form::string;
}

}  // namespace pawl
