#include "scheduler/spec/settings_fields.h"

#include <array>

#include "scheduler/base/check.h"
#include "scheduler/spec/leaf_shapes.h"

namespace pawl {
namespace {

constexpr Shape kProcesses = count_shape(1, 1'024);

constexpr std::array<Field, 4> kHostFields = {{
    {"idle", &kDuration, "A host without an attempt for so long ends.", "\"5m\""},
    {"recycle_after", &kCount, "After so many attempts a fresh host follows.", {}, false, "never"},
    {"memory",
     &kSize,
     "Above so much memory a fresh host follows, between attempts.",
     {},
     false,
     "no limit"},
    {"per_library",
     &kProcesses,
     "At most so many hosts share the work of one library when it is too much for one.",
     {},
     false,
     "one per core but one, at least one"},
}};
constexpr Shape kHosts = {.form = Form::object,
                          .what = "an object such as {\"memory\": \"2GiB\"}",
                          .fields = kHostFields,
                          .name = "hosts"};

constexpr std::array<Field, 2> kLimitFields = {{
    {"log", &kSize, "Of one attempt's log: head and tail are kept.", "\"64MiB\""},
    {"wal", &kSize, "Of the store's write-ahead log: above it nothing new starts.", "\"1GiB\""},
}};
constexpr Shape kLimits = {.form = Form::object,
                           .what = "an object such as {\"log\": \"64MiB\"}",
                           .fields = kLimitFields,
                           .name = "limits"};

constexpr std::array<Field, 2> kRetentionFields = {{
    {"runs", &kCount, "How many ended runs of a job are kept.", "1000"},
    {"days", &kCount, "How many days an ended run is kept.", "30"},
}};
constexpr Shape kRetention = {.form = Form::object,
                              .what = "an object such as {\"runs\": 1000, \"days\": 30}",
                              .fields = kRetentionFields,
                              .name = "retention"};

constexpr Shape kWith = {.form = Form::open_object, .what = "an object of parameters"};
constexpr std::array<Field, 2> kConnectionFields = {{
    {"operator", &kOperatorName, "Whose tasks may name it.", {}, true},
    {"with",
     &kWith,
     "Parameters that those tasks then have; a secret is {\"env\": NAME} or {\"file\": PATH}.",
     {},
     true},
}};
constexpr Shape kConnection = {.form = Form::object,
                               .what = "an object with operator and with",
                               .fields = kConnectionFields,
                               .name = "connection"};
constexpr Shape kConnections = {.form = Form::map,
                                .what = "an object of names and connections",
                                .element = &kConnection,
                                .key_check = Check::name};

/// The field of a job, as the job's table has it.
Field of_job(std::string_view key, std::string_view about) {
  const Field* field = find_field(kJobShape, key);
  PAWL_CHECK(field != nullptr);
  return {key, field->shape, about};
}

}  // namespace

const Shape& settings_shape() {
  static const std::array<Field, 15> kJobFields = {{
      of_job("defaults", "Keys for every task that does not set them."),
      of_job("on_success", "Hooks behind the job's own."),
      of_job("on_failure", "Hooks behind the job's own."),
      of_job("on_exit", "Hooks behind the job's own."),
      of_job("env", "Variables of every attempt."),
      of_job("pass_env", "Variables taken over from the scheduler's environment."),
      of_job("secrets", "Where secrets come from."),
      of_job("labels", "Texts for selectors."),
      of_job("timeout", "Of a run."),
      of_job("fail_fast", "The first failed task cancels the rest."),
      of_job("catchup", "Fires missed while no scheduler ran or the clock jumped."),
      of_job("overlap", "What a scheduled fire does that meets an active run."),
      of_job("queue_limit", "Fires that may wait; the oldest is dropped."),
      of_job("max_active_runs", "Runs at once, for overlap allow."),
      of_job("pause_after_failures", "So many scheduled runs that fail in a row pause a schedule."),
  }};
  static const Shape kJobDefaults = {.form = Form::object,
                                     .what = "an object of keys of a job",
                                     .fields = kJobFields,
                                     .name = "job_defaults"};
  Field pools = of_job("pools", "Pools for all jobs; `default` is there anyway.");
  pools.unset = "twice the cores, at least 4";
  static const std::array<Field, 12> kFields = {{
      {"format", &kFormat, "The version of this format.", "1"},
      {"workers", &kProcesses, "Processes that start programs.", {}, false, "one per core"},
      {"worker_idle", &kDuration, "A worker without scheduler and work ends after it.", "\"1m\""},
      {"control_groups", &kWord,
       "Where attempts with limits get control groups: a folder, auto, none.", "\"auto\""},
      pools,
      {"hosts", &kHosts, "Processes that run operators."},
      {"limits", &kLimits, "How much logs may hold."},
      {"retention", &kRetention, "How long ended runs are kept, where the job does not say."},
      {"timezone", &kZone, "Of schedules that name none.", "\"UTC\""},
      {"kill_grace", &kDurationOrZero, "From SIGTERM to SIGKILL, for tasks that do not say.",
       "\"10s\""},
      {"job_defaults", &kJobDefaults, "What every job has that does not say otherwise."},
      {"connections", &kConnections,
       "Named databases and servers for `with`: {\"connection\": …}."},
  }};
  static const Shape kShape = {
      .form = Form::object, .what = "settings: an object", .fields = kFields, .name = "settings"};
  return kShape;
}

}  // namespace pawl
