#pragma once

// The worker program: `pawl worker --home DIR --id N --class supervisor|host`, started by the
// scheduler and by nobody else.
//
// It has the folder <home>/workers/<id>/: `sock` (it listens, the scheduler connects), `lock` (held
// while it lives; boot id, pid and start time in it), `journal.*`, `log`, `scripts`, `scratch`. It
// leads a session of its own and outlives the scheduler; without one it finishes its attempts,
// journals them and exits after a while idle.
//
// SIGTERM, SIGINT and SIGHUP never make it give up an attempt: it exits as soon as nothing runs and
// no scheduler is connected, without the idle time. SIGKILL loses nothing that has ended.

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/worker/supervision.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"

namespace pawl {

struct WorkerOptions {
  std::string home;  ///< absolute
  WorkerId id;
  std::string worker_class = "supervisor";  ///< starts programs; or `host`: runs operators
  std::string version;                      ///< of pawl, for people
  Duration idle_exit = std::chrono::seconds(60);
  Supervision::Options supervision;
  /// Soft limit of open descriptors for programs; 0: what this process itself was given.
  std::uint64_t program_descriptors = 0;
  /// Where attempts with limits get control groups: a folder, `auto`, `none` (control_group.h).
  std::string control_groups = "auto";
  std::vector<std::string> plugins;    ///< of a host: what it loads
  std::vector<std::string> operators;  ///< of a host: what it was started for
  std::uint64_t recycle_after = 0;     ///< of a host: attempts until a fresh one follows; 0: never
  std::uint64_t memory_bytes_max = 0;  ///< of a host: resident, until a fresh one follows; 0: never
  /// Of a host: how long its others may go on when an operator does not listen.
  Duration retire_within = std::chrono::seconds(30);
  /// Of a host: how long an operator may hold up its loop.
  Duration loop_patience = std::chrono::seconds(30);
  /// Of a host that has nothing left to do: how long it may take to end, with its libraries.
  /// Programs alone may need eleven seconds (program_host.cpp), and whoever looks for it meanwhile
  /// waits.
  Duration end_within = std::chrono::seconds(15);
};

/// Runs until there is nothing left to do. Returns an exit code: 0, 2 (unknown class), 73 (the
/// folder cannot be used), 75 (another worker holds it). Call it on the main thread of a process
/// that has no other.
int worker_main(const WorkerOptions& options);

/// A line in the worker's log, which is its standard error.
void write_worker_note(WorkerId worker, const std::string& text);

/// `<home>/workers/<id>`.
std::string worker_folder(const std::string& home, WorkerId id);
/// In that folder.
std::string worker_log_path(const std::string& worker_folder);

}  // namespace pawl
