#include "storage/sqlite_store_statements.h"

namespace pawl {

#define PAWL_RUN_WHERE \
  "SELECT " PAWL_RUN_COLUMNS " FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id WHERE "

SqliteStore::Statements::Statements(Database& db)
    : begin(db, "BEGIN IMMEDIATE"),
      commit(db, "COMMIT"),
      insert_version(db,
                     "INSERT INTO job_version (id, job, hash, created_at, folder, labels, body) "
                     "VALUES (?, ?, ?, ?, ?, ?, ?)"),
      insert_version_task(db,
                          "INSERT INTO version_task (version, task, id, max_attempts, mapped, "
                          "source_task, allow_failure) VALUES (?, ?, ?, ?, ?, ?, ?)"),
      insert_run(
          db,
          "INSERT INTO run (id, name, job, version, state, reason, \"trigger\", "
          "scheduled_for, logical_time, interval_start, interval_end, start_at, request_id, "
          "default_slots, priority_class, max_active, parent, parent_task, parent_item, "
          "parent_attempt, parent_work, ancestors, created_at, started_at, ended_at, resumes, "
          "cancel_requested, outcome, outcome_reason, dismissed, params) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
          "?, "
          "?, ?, ?, ?)"),
      insert_counts(db, "INSERT INTO run_counts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      update_run(db,
                 "UPDATE run SET version = ?, state = ?, reason = ?, start_at = ?, "
                 "default_slots = ?, priority_class = ?, started_at = ?, ended_at = ?, "
                 "resumes = ?, cancel_requested = ?, outcome = ?, outcome_reason = ?, "
                 "dismissed = ? WHERE id = ? AND state = ?"),
      set_counts(db,
                 "UPDATE run_counts SET waiting = ?, queued = ?, running = ?, retrying = ?, "
                 "deferred = ?, held = ?, succeeded = ?, failed = ?, skipped = ?, "
                 "upstream_failed = ?, cancelled = ? WHERE run = ?"),
      insert_task(
          db,
          "INSERT INTO task (run, task, item, state, reason, detail, attempts, counted, "
          "interrupted_at, interrupted_before, work, live_attempt, first_attempt, queued_at, "
          "started_at, ended_at, dismissed, error) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      // In the order of the columns: a new first attempt replaces the pointer to it, else it stays.
      update_task(db,
                  "UPDATE task SET state = ?, reason = ?, detail = ?, attempts = ?, counted = ?, "
                  "interrupted_at = ?, interrupted_before = ?, work = ?, live_attempt = ?, "
                  "first_attempt = coalesce(?, first_attempt), queued_at = ?, started_at = ?, "
                  "ended_at = ?, dismissed = ?, error = ? "
                  "WHERE run = ? AND task = ? AND item = ? AND state = ? AND live_attempt IS ?"),
      // By the primary key: the index of what is unresolved is by time.
      dismiss_items(db,
                    "UPDATE task NOT INDEXED SET dismissed = 1 WHERE run = ? AND task = ? "
                    "AND item >= ? AND item < ? AND state IN ('failed', 'held') "
                    "AND dismissed = 0"),
      set_mapped(db,
                 "INSERT INTO mapped VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                 "?, ?, ?, ?, ?, ?) ON CONFLICT (run, task) DO UPDATE SET items = excluded.items, "
                 "complete = excluded.complete, next_fresh = excluded.next_fresh, "
                 "low_water = excluded.low_water, rest_state = excluded.rest_state, "
                 "rest_reason = excluded.rest_reason, waiting = excluded.waiting, "
                 "queued = excluded.queued, running = excluded.running, "
                 "retrying = excluded.retrying, deferred = excluded.deferred, "
                 "held = excluded.held, succeeded = excluded.succeeded, failed = excluded.failed, "
                 "skipped = excluded.skipped, upstream_failed = excluded.upstream_failed, "
                 "cancelled = excluded.cancelled, retries = excluded.retries, "
                 "repeat = excluded.repeat, repeat_next = excluded.repeat_next, "
                 "source = excluded.source, paired = excluded.paired"),
      insert_items(db, "INSERT INTO item (run, task, first, count, bytes) VALUES (?, ?, ?, ?, ?)"),
      delete_items(db, "DELETE FROM item WHERE run = ? AND task = ?"),
      insert_attempt(db,
                     "INSERT INTO attempt (id, run, task, item, number, state, reason, exit_code, "
                     "signal, worker, slot, started_at, ended_at, cpu_us, peak_memory_bytes, "
                     "log_bytes, stays, handle, state_text, error_class, error_message, "
                     "error_trace, memory_bound_bytes) VALUES "
                     "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      inherit_handle(db,
                     "UPDATE attempt SET handle = (SELECT before.handle FROM attempt AS before "
                     "WHERE before.id = CASE WHEN ?5 = 2 THEN (SELECT t.first_attempt FROM task AS "
                     "t WHERE t.run = ?2 AND t.task = ?3 AND t.item = ?4) ELSE (SELECT n.id FROM "
                     "attempt AS n WHERE n.run = ?2 AND n.task = ?3 AND n.item = ?4 AND "
                     "n.number = ?5 - 1 AND n.number > 1) END "
                     "AND before.state IN ('lost', 'interrupted')) WHERE id = ?1"),
      update_attempt(db,
                     "UPDATE attempt SET state = ?1, reason = ?2, exit_code = ?3, signal = ?4, "
                     "worker = ?5, slot = ?6, started_at = coalesce(?7, started_at), "
                     "ended_at = ?8, cpu_us = cpu_us + ?9, "
                     "peak_memory_bytes = max(peak_memory_bytes, ?10), "
                     "memory_bound_bytes = max(memory_bound_bytes, ?19), "
                     "log_bytes = max(log_bytes, ?11), stays = stays + ?12, "
                     "state_text = CASE WHEN ?12 > 0 THEN ?13 WHEN ?8 IS NULL THEN state_text END, "
                     "error_class = ?14, error_message = ?15, error_trace = ?16 "
                     "WHERE id = ?17 AND state = ?18"),
      move_attempt(db,
                   "UPDATE attempt SET state = ?1, reason = ?2, worker = coalesce(?3, worker), "
                   "slot = ?4, ended_at = ?5, "
                   "state_text = CASE WHEN ?5 IS NULL THEN state_text END "
                   "WHERE id = ?6 AND state = ?7"),
      set_handle(db, "UPDATE attempt SET handle = ? WHERE id = ? AND ended_at IS NULL"),
      delete_attempt(db, "DELETE FROM attempt WHERE id = ? AND ended_at IS NULL"),
      set_output(db,
                 "INSERT INTO output (run, task, item, attempt, format, bytes, file, value) "
                 "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, task, item) DO UPDATE SET "
                 "attempt = excluded.attempt, format = excluded.format, bytes = excluded.bytes, "
                 "file = excluded.file, value = excluded.value"),
      clear_outputs(db, "DELETE FROM output WHERE run = ? AND task = ?"),
      set_timer(db,
                "INSERT INTO timer (run, task, item, kind, due, due_wall, delay, boot) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, task, item, kind) DO UPDATE SET "
                "due = excluded.due, due_wall = excluded.due_wall, delay = excluded.delay, "
                "boot = excluded.boot"),
      clear_timer(db, "DELETE FROM timer WHERE run = ? AND task = ? AND item = ? AND kind = ?"),
      set_rate(db,
               "INSERT INTO rate (job, pool, task, at, at_wall, per, starts, boot) "
               "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job, pool, task) DO UPDATE SET "
               "at = excluded.at, at_wall = excluded.at_wall, per = excluded.per, "
               "starts = excluded.starts, boot = excluded.boot"),
      clear_rate(db, "DELETE FROM rate WHERE job = ? AND pool = ? AND task = ?"),
      set_job(db,
              "INSERT INTO job (name, version, file, quarantined, removed, first_loaded_at, "
              "paused, failures) VALUES (?, ?, ?, ?, ?, ?, 0, 0) "
              "ON CONFLICT (name) DO UPDATE SET version = excluded.version, file = excluded.file, "
              "quarantined = excluded.quarantined, removed = excluded.removed, "
              "first_loaded_at = excluded.first_loaded_at"),
      pause_job(db,
                "UPDATE job SET paused = ?2, pause_note = ?3, paused_by = ?4, paused_at = ?5, "
                "next_fire_at = NULL, failures = CASE WHEN ?2 THEN failures ELSE 0 END, "
                "decided_through = CASE WHEN ?2 OR decided_through IS NULL THEN decided_through "
                "ELSE max(decided_through, ?6) END WHERE name = ?1"),
      set_schedule(db,
                   "UPDATE job SET decided_through = ?, next_fire_at = ?, failures = ? "
                   "WHERE name = ? AND decided_through IS ?"),
      extend_dropped(db,
                     "UPDATE dropped_fire SET first = min(first, ?3), last = max(last, ?4), "
                     "count = count + ?5, at = ?6 WHERE id = (SELECT max(id) FROM dropped_fire "
                     "WHERE job = ?1) AND reason = ?2"),
      add_dropped(db,
                  "INSERT INTO dropped_fire (job, reason, first, last, count, at) "
                  "VALUES (?, ?, ?, ?, ?, ?)"),
      add_event(db,
                "INSERT INTO event (at, actor, verb, job, run, task, item, text) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
      raise_counter(db, "UPDATE counter SET value = max(value, ?) WHERE name = ?"),
      run_by_name(db, PAWL_RUN_WHERE "r.name = ?"),
      run_by_request(db, PAWL_RUN_WHERE "r.request_id = ?") {}

}  // namespace pawl
