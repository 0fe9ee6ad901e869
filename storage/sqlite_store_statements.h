#pragma once

// The statements of SqliteStore, compiled when the store is opened. Private to storage.

#include "storage/rows_sql.h"
#include "storage/sqlite_store.h"
#include "storage/statement.h"

namespace pawl {

struct SqliteStore::Statements {
  explicit Statements(Database& db);

  Statement begin, commit;
  Statement insert_version, insert_version_task;
  Statement insert_run, insert_counts, update_run, set_counts;
  Statement insert_task, update_task;
  Statement dismiss_items, set_mapped, insert_items, delete_items;
  Statement insert_attempt, inherit_handle, update_attempt, move_attempt, set_handle;
  Statement delete_attempt;
  Statement set_output, clear_outputs;
  Statement set_timer, clear_timer;
  Statement set_rate, clear_rate;
  Statement set_job, pause_job, set_schedule, extend_dropped, add_dropped, add_event;
  Statement raise_counter;
  Statement run_by_name, run_by_request;
};

}  // namespace pawl
