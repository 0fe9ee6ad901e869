#include "tests/sim/job_text.h"

#include <sstream>
#include <string>

#include "scheduler/base/check.h"
#include "scheduler/base/text.h"

namespace pawl::sim {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in{std::string(text)};
  for (std::string part; std::getline(in, part, separator);) {
    if (part.find_first_not_of(" \n") != std::string::npos) parts.push_back(part);
  }
  return parts;
}

Duration duration(const std::string& text) {
  auto parsed = parse_duration(text);
  PAWL_CHECK(parsed.ok());
  return *parsed;
}

template <typename Enum>
Enum word(const std::string& text, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (to_string(static_cast<Enum>(i)) == text) return static_cast<Enum>(i);
  }
  PAWL_CHECK(!"a word of the job text is unknown");
  return Enum{};
}

MapSpec& map_of(TaskSpec& task) {
  if (!task.map) task.map.emplace();
  return *task.map;
}

void set_tolerance(Tolerance& tolerance, const std::string& value) {
  tolerance.is_percent = value.back() == '%';
  tolerance.value = std::stod(value);
}

/// `gpu`, or several with their slots: `gpu:1,memory:24`.
void set_pools(TaskSpec& task, const std::string& value) {
  task.pools.clear();
  for (const std::string& part : split(value, ',')) {
    const std::size_t colon = part.find(':');
    task.pools.push_back({part.substr(0, colon),
                          colon == std::string::npos ? 1 : std::stoll(part.substr(colon + 1))});
  }
}

/// `2/5s`
Rate rate_of(const std::string& value) {
  const std::size_t slash = value.find('/');
  return {std::stoll(value.substr(0, slash)), duration(value.substr(slash + 1))};
}

/// `3`, or with a rate `3@2/5s`.
PoolSpec pool_of(const std::string& value) {
  const std::size_t at = value.find('@');
  PoolSpec pool{std::stoll(value.substr(0, at)), {}};
  if (at != std::string::npos) pool.rate = rate_of(value.substr(at + 1));
  return pool;
}

void set_task(TaskSpec& task, const std::string& key, const std::string& value) {
  if (key == "rule")
    task.trigger_rule = word<TriggerRule>(value, kTriggerRuleCount);
  else if (key == "retry")
    task.retry.max_attempts = std::stoi(value);
  else if (key == "delay")
    task.retry.delay = duration(value);
  else if (key == "max_delay")
    task.retry.max_delay = duration(value);
  else if (key == "backoff")
    task.retry.backoff = word<Backoff>(value, 3);
  else if (key == "jitter")
    task.retry.jitter = word<Jitter>(value, 3);
  else if (key == "timeout")
    task.timeout = duration(value);
  else if (key == "total")
    task.total_timeout = duration(value);
  else if (key == "queue")
    task.queue_timeout = duration(value);
  else if (key == "map")
    map_of(task).items = value;
  else if (key == "max")
    map_of(task).max_concurrent = std::stoll(value);
  else if (key == "tolerate")
    set_tolerance(map_of(task).tolerated_failures, value);
  else if (key == "stop")
    map_of(task).stop_after_failures = std::stoll(value);
  else if (key == "pool")
    set_pools(task, value);
  else if (key == "slots")
    task.pools.front().slots = std::stoll(value);
  else if (key == "priority")
    task.priority = std::stoll(value);
  else if (key == "rate")
    task.rate_limit = rate_of(value);
  else if (key == "op")
    task.operator_name = value;
  else if (key == "call") {
    task.operator_name = kJobOperator;
    task.with = value;
    task.pools.clear();
  } else if (key == "interrupt")
    task.on_interrupt = word<OnInterrupt>(value, 3);
  else if (key == "allow")
    task.allow_failure = true;
  else if (key == "when")
    task.when = "true";
  else
    PAWL_CHECK(!"a key of the job text is unknown");
}

/// The job's one schedule, of kind `every`.
ScheduleSpec& schedule_of(JobSpec& job) {
  if (job.schedules.empty()) job.schedules.emplace_back().kind = ScheduleSpec::Kind::every;
  return job.schedules.front();
}

void set_job(JobSpec& job, const std::string& key, const std::string& value) {
  if (key == "name")
    job.name = value;
  else if (key == "timeout")
    job.timeout = duration(value);
  else if (key == "fail_fast")
    job.fail_fast = true;
  else if (key == "overlap")
    job.overlap = word<Overlap>(value, 4);
  else if (key == "active")
    job.max_active_runs = std::stoll(value);
  else if (key == "waiting")
    job.queue_limit = std::stoll(value);
  else if (key == "catchup")
    job.catchup.policy = word<CatchupPolicy>(value, 3);
  else if (key == "limit")
    job.catchup.limit = std::stoll(value);
  else if (key == "window")
    job.catchup.window = duration(value);
  else if (key == "pause_after")
    job.pause_after_failures = std::stoll(value);
  else if (key == "every")
    schedule_of(job).every = duration(value);
  else if (key == "jitter")
    schedule_of(job).jitter = duration(value);
  else if (key.starts_with("pool:"))
    job.pools[key.substr(5)] = pool_of(value);
  else
    PAWL_CHECK(!"a key of the job text is unknown");
}

bool is_hook_word(const std::string& word) {
  return word == "on_success" || word == "on_failure" || word == "on_exit";
}

void add_hook(JobSpec& job, const std::vector<std::string>& words) {
  HookSpec hook;
  hook.kind = word<HookKind>(words.front(), 3);
  for (const HookSpec& other : job.hooks) hook.place += other.kind == hook.kind ? 1 : 0;
  hook.task.id = "hook:" + words.front() + ":" + std::to_string(hook.place);
  hook.task.retry.jitter = Jitter::none;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equal = words[i].find('=');
    set_task(hook.task, words[i].substr(0, equal),
             equal == std::string::npos ? "" : words[i].substr(equal + 1));
  }
  job.hooks.push_back(std::move(hook));
}

TaskIndex task_named(const JobSpec& job, const std::string& id) {
  for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
    if (job.tasks[i].id == id) return TaskIndex{i};
  }
  PAWL_CHECK(!"a task of the job text is unknown");
  return {};
}

}  // namespace

JobSpec job_from_text(std::string_view text) {
  JobSpec job;
  job.name = "job";
  std::vector<std::vector<std::string>> lines;
  for (const std::string& line : split(text, ';')) lines.push_back(split(line, ' '));
  for (const auto& words : lines) {
    if (words.front() == "job") continue;
    if (is_hook_word(words.front())) {
      add_hook(job, words);
      continue;
    }
    job.tasks.emplace_back().id = words.front();
    job.tasks.back().retry.jitter = Jitter::none;
  }
  for (const auto& words : lines) {
    if (is_hook_word(words.front())) continue;
    const bool is_job = words.front() == "job";
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::size_t equal = words[i].find('=');
      const std::string key = words[i].substr(0, equal);
      if (is_job) {
        set_job(job, key, equal == std::string::npos ? "" : words[i].substr(equal + 1));
      } else if (key == "after") {
        TaskSpec& task = job.tasks[task_named(job, words.front()).value];
        for (const std::string& up : split(words.at(++i), ',')) {
          const bool each = up.back() == '*';
          const TaskIndex index = task_named(job, each ? up.substr(0, up.size() - 1) : up);
          task.depends_on.push_back({index, each});
          // Whose items they are is known when all tasks are read.
          if (each) task.mapped_over = index;
        }
      } else {
        TaskSpec& task = job.tasks[task_named(job, words.front()).value];
        set_task(task, key, equal == std::string::npos ? "" : words[i].substr(equal + 1));
      }
    }
  }
  for (TaskSpec& task : job.tasks) {
    while (task.mapped_over && job.tasks[task.mapped_over->value].mapped_over)
      task.mapped_over = job.tasks[task.mapped_over->value].mapped_over;
    if (task.retry.max_attempts > 1 && text.find("interrupt=") == std::string_view::npos) {
      task.on_interrupt = OnInterrupt::retry;
    }
  }
  return job;
}

}  // namespace pawl::sim
