// The settings of a running service: what they ask of its parts, and taking others.

#include <algorithm>
#include <sstream>
#include <thread>

#include "scheduler/daemon/operator_loader.h"
#include "scheduler/daemon/service.h"

namespace pawl {
namespace {

bool are_the_same(const OperatorCatalog& a, const OperatorCatalog& b) {
  return std::equal(a.all().begin(), a.all().end(), b.all().begin(), b.all().end(),
                    [](const auto& one, const auto& other) {
                      return one.first == other.first &&
                             one.second.summary == other.second.summary &&
                             one.second.schema == other.second.schema &&
                             one.second.plugin == other.second.plugin;
                    });
}

std::int64_t cores() { return std::max(1U, std::thread::hardware_concurrency()); }

}  // namespace

std::size_t Service::workers_wanted(const Settings& settings) {
  return settings.workers != 0 ? settings.workers : static_cast<std::size_t>(cores());
}

Retention Service::keep_of(const Settings& settings) {
  return {settings.retention_runs, settings.retention_days};
}

Result<std::int64_t> Service::slots_of_default(const Settings& settings) const {
  const std::int64_t slots = settings.default_slots().value_or(
      std::min(slots_max_, std::max<std::int64_t>(4, 2 * cores())));
  if (slots >= 1 && slots <= slots_max_) return slots;
  return Error{ErrorKind::invalid,
               "pool default: " + std::to_string(slots) + " slots are not from 1 to " +
                   std::to_string(slots_max_) +
                   ", which is what the limit of descriptors allows (ulimit -Hn)"};
}

/// The pools of the settings; those that were there before and are not now have no slots left.
void Service::set_pools(const Settings& before) {
  const Settings& now = options_.settings.settings;
  for (const auto& [name, pool] : before.pools) {
    if (name != "default" && !now.pools.contains(name)) pump_->feed(input::SetPool{0, name});
  }
  for (const auto& [name, pool] : now.pools) {
    if (name != "default") pump_->feed(input::SetPool{pool.slots, name, pool.rate});
  }
  const auto own = now.pools.find("default");
  pump_->feed(input::SetPool{default_slots_, "default",
                             own == now.pools.end() ? std::nullopt : own->second.rate});
}

struct Service::Reread {
  OperatorCatalog operators;
  std::vector<std::string> problems;
  Result<ParsedSettings> settings{Error{}};
};

void Service::reload() {
  if (!settings_work_) settings_work_ = std::make_unique<Work>(loop_, Work::Pace::slow);
  auto read = std::make_shared<Reread>();
  std::string renewal = operators().renewal();
  // The work may outlive this service.
  const bool begins = settings_work_->start(
      [read, file = options_.settings_file, now = options_.settings, program = options_.program,
       home = home_.path(), renewal = std::move(renewal)]() mutable {
        read->operators = load_operators(program, home, [&read](std::string problem) {
          read->problems.push_back(std::move(problem));
        });
        read->operators.set_renewal(std::move(renewal));
        read->settings = file.path.empty() ? now : read_settings(file, &read->operators);
      },
      [this, read] {
        take_operators(*read);
        take_settings(std::move(read->settings));
      });
  reloads_again_ = !begins;
}

/// Files of plugins may be other ones under the same name, so hosts are replaced in any case.
void Service::take_operators(Reread& read) {
  for (const std::string& problem : read.problems) tell(Weight::warning, problem);
  if (!are_the_same(read.operators, operators())) {
    tell(Weight::info, "the operators have changed");
    catalogs_.push_back(std::make_unique<const OperatorCatalog>(std::move(read.operators)));
    jobs_->change_operators(operators());
    if (folders_) folders_->change_operators(operators());
  }
  workers_->change_plugins(plugins());
  // Nobody asks again for what there was no plugin for.
  for (const std::string& name : pump_->engine().operators_without_worker()) want_worker(name);
}

/// Wrong ones change nothing. The folders are read again under what then holds.
void Service::take_settings(Result<ParsedSettings> read) {
  auto slots = read ? slots_of_default(read->settings) : Result<std::int64_t>(read.error());
  if (!slots) {
    // A line each: whoever reads the log sees all errors at once.
    std::istringstream errors(slots.error().message);
    for (std::string error; std::getline(errors, error);)
      tell(Weight::warning, "the settings stay as they were: " + error);
  } else {
    const Settings before = std::exchange(options_.settings, *std::move(read)).settings;
    default_slots_ = *slots;
    tell_settings();
    if (options_.settings.settings != before) change_settings(before);
  }
  tell(Weight::info, "reading the job folders again");
  if (folders_) folders_->rescan();
  if (folder_jobs_) folder_jobs_->reload_dates();
  if (std::exchange(reloads_again_, false)) reload();
}

void Service::change_settings(const Settings& before) {
  const Settings& settings = options_.settings.settings;
  tell(Weight::info, "the settings have changed");
  set_pools(before);
  jobs_->change_settings(settings);
  retainer_->change_keep(keep_of(settings));
  wal_watch_->change_bytes_max(settings.wal_bytes_max);
  workers_->change_settings(workers_wanted(settings), settings);
  dispatcher_->forget_definitions();
  if (folders_) folders_->change_settings(settings);
}

void Service::tell_settings() const {
  for (const Diagnostic& warning : options_.settings.diagnostics)
    tell(Weight::warning, format_diagnostic(options_.settings_file.path, warning));
}

}  // namespace pawl
