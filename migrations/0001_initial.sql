-- The first schema. Never edited once released: a change is a new file with the next number.
--
-- Times are milliseconds since 1970-01-01T00:00:00Z, durations milliseconds. States and reasons are
-- the words of the command line. What is not there is NULL. Tasks are numbered by their place in
-- the job's definition (`version_task` has their names), items from 0; item -1 is the task itself.
-- The views at the end are for people with the sqlite3 program.

-- What the store itself remembers: epoch, run, attempt, version, worker (the highest numbers given
-- out, so that a number never comes again after its row is pruned).
CREATE TABLE counter (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('attempt', 0), ('epoch', 0), ('run', 0), ('version', 0), ('worker', 0);

-- Boots of the machine under which a scheduler ran; a timer names the one it was set in.
CREATE TABLE boot (
  id      INTEGER PRIMARY KEY,
  boot_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
  name            TEXT PRIMARY KEY,
  version         INTEGER,
  file            TEXT,
  quarantined     TEXT,
  removed         INTEGER NOT NULL,
  first_loaded_at INTEGER,
  paused          INTEGER NOT NULL,
  pause_note      TEXT,
  paused_by       TEXT,
  paused_at       INTEGER,
  next_fire_at    INTEGER,
  decided_through INTEGER,           -- fires up to here have their run, or a row in dropped_fire
  failures        INTEGER NOT NULL   -- scheduled runs that failed in a row
) STRICT, WITHOUT ROWID;

-- Fires that have no run, or one that was taken out of the queue, and why.
CREATE TABLE dropped_fire (
  id     INTEGER PRIMARY KEY,
  job    TEXT NOT NULL,
  reason TEXT NOT NULL,
  first  INTEGER NOT NULL,
  last   INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  at     INTEGER NOT NULL
) STRICT;
CREATE INDEX dropped_fire_job ON dropped_fire (job);

CREATE TABLE job_version (
  id         INTEGER PRIMARY KEY,
  job        TEXT NOT NULL,
  hash       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  folder     TEXT NOT NULL,
  labels     TEXT NOT NULL,  -- JSON object of strings
  body       TEXT NOT NULL,
  UNIQUE (job, hash)
) STRICT;

-- What listings say of a task beside its rows; hooks follow the tasks.
CREATE TABLE version_task (
  version       INTEGER NOT NULL,
  task          INTEGER NOT NULL,
  id            TEXT NOT NULL,
  max_attempts  INTEGER NOT NULL,
  allow_failure INTEGER NOT NULL,
  mapped        INTEGER NOT NULL,
  source_task   INTEGER,          -- the mapped task whose items these are, through an `each`
  PRIMARY KEY (version, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
  id               INTEGER PRIMARY KEY,
  name             TEXT NOT NULL,
  job              TEXT NOT NULL,
  version          INTEGER NOT NULL,
  state            TEXT NOT NULL,
  reason           TEXT,
  "trigger"        TEXT NOT NULL,
  scheduled_for    INTEGER,
  logical_time     INTEGER NOT NULL,
  interval_start   INTEGER,
  interval_end     INTEGER,
  start_at         INTEGER,
  request_id       TEXT,
  default_slots    INTEGER NOT NULL,
  priority_class   INTEGER NOT NULL,
  max_active       INTEGER NOT NULL,  -- of a backfill: how many of the job's go at once; else 0
  parent           INTEGER,           -- the run it was made from: rerun, operator `job`
  parent_task      INTEGER,           -- of operator `job`: the attempt that it was made for
  parent_item      INTEGER,
  parent_attempt   INTEGER,
  parent_work      INTEGER,           -- as in `task`, of that attempt
  ancestors        TEXT,              -- jobs above it, the outermost first: a/b
  created_at       INTEGER NOT NULL,
  started_at       INTEGER,
  ended_at         INTEGER,
  resumes          INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL,
  outcome          TEXT,              -- while hooks run: the state that the run will have, and why
  outcome_reason   TEXT,
  params           TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX run_name ON run (name);
CREATE INDEX run_job ON run (job);
CREATE UNIQUE INDEX run_scheduled ON run (job, scheduled_for) WHERE scheduled_for IS NOT NULL;
CREATE UNIQUE INDEX run_request ON run (request_id) WHERE request_id IS NOT NULL;
CREATE UNIQUE INDEX run_caller ON run (parent, parent_task, parent_item, parent_attempt)
  WHERE parent_task IS NOT NULL;
CREATE INDEX run_open ON run (id) WHERE state IN ('queued', 'running', 'paused');

-- Items and unmapped tasks of a run by state. Apart from `run`, because it changes with every batch
-- and a run's parameters can be long.
CREATE TABLE run_counts (
  run             INTEGER PRIMARY KEY,
  waiting         INTEGER NOT NULL,
  queued          INTEGER NOT NULL,
  running         INTEGER NOT NULL,
  retrying        INTEGER NOT NULL,
  deferred        INTEGER NOT NULL,
  held            INTEGER NOT NULL,
  succeeded       INTEGER NOT NULL,
  failed          INTEGER NOT NULL,
  skipped         INTEGER NOT NULL,
  upstream_failed INTEGER NOT NULL,
  cancelled       INTEGER NOT NULL
) STRICT;

-- One row per task or item that has started or was decided. `first_attempt` is the attempt with
-- number 1; it and `attempt_again` find every attempt without a full index on the hottest table.
CREATE TABLE task (
  run               INTEGER NOT NULL,
  task              INTEGER NOT NULL,
  item              INTEGER NOT NULL,
  state             TEXT NOT NULL,
  reason            TEXT,
  detail            INTEGER NOT NULL,
  attempts          INTEGER NOT NULL,
  counted           INTEGER NOT NULL,
  interrupted_at     INTEGER,          -- the last two times that an attempt ended without a word
  interrupted_before INTEGER,          -- and the task could be why
  work              INTEGER NOT NULL,
  live_attempt      INTEGER,
  first_attempt     INTEGER,
  queued_at         INTEGER,
  started_at        INTEGER,
  ended_at          INTEGER,
  dismissed         INTEGER NOT NULL,
  error             TEXT,
  PRIMARY KEY (run, task, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_unresolved ON task (ended_at) WHERE state IN ('held', 'failed') AND dismissed = 0;

-- Of a mapped task as a whole, beside its row in `task`. Items from `next_fresh` on never started
-- and have no row; `rest_state` says what they are. Of a paired task items anywhere may have none:
-- those wait, or are what `rest_state` says when that is not `queued`.
CREATE TABLE mapped (
  run             INTEGER NOT NULL,
  task            INTEGER NOT NULL,
  items           INTEGER NOT NULL,
  complete        INTEGER NOT NULL,
  next_fresh      INTEGER NOT NULL,
  low_water       INTEGER NOT NULL,
  rest_state      TEXT NOT NULL,
  rest_reason     TEXT,
  waiting         INTEGER NOT NULL,
  queued          INTEGER NOT NULL,
  running         INTEGER NOT NULL,
  retrying        INTEGER NOT NULL,
  deferred        INTEGER NOT NULL,
  held            INTEGER NOT NULL,
  succeeded       INTEGER NOT NULL,
  failed          INTEGER NOT NULL,
  skipped         INTEGER NOT NULL,
  upstream_failed INTEGER NOT NULL,
  cancelled       INTEGER NOT NULL,
  retries         INTEGER NOT NULL,  -- attempts of its items after their first ones
  repeat          TEXT NOT NULL,     -- what a resume still has to queue again: none, failed, all,
  repeat_next     INTEGER NOT NULL,  -- following; of the items from this one on
  source          TEXT NOT NULL,
  paired          INTEGER NOT NULL,  -- 1: its items are those of another task, through an `each`
  PRIMARY KEY (run, task)
) STRICT, WITHOUT ROWID;

-- Items in chunks of about a thousand: for each item the length of its key, its key, the length of
-- its payload, its payload (lengths in LEB128).
CREATE TABLE item (
  run   INTEGER NOT NULL,
  task  INTEGER NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (run, task, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
  id                INTEGER PRIMARY KEY,
  run               INTEGER NOT NULL,
  task              INTEGER NOT NULL,
  item              INTEGER NOT NULL,
  number            INTEGER NOT NULL,
  state             TEXT NOT NULL,
  reason            TEXT,
  exit_code         INTEGER,
  signal            INTEGER,
  worker            INTEGER,
  slot              INTEGER NOT NULL,
  started_at        INTEGER NOT NULL,
  ended_at          INTEGER,
  cpu_us            INTEGER NOT NULL,
  peak_memory_bytes INTEGER NOT NULL,
  log_bytes         INTEGER NOT NULL,
  stays             INTEGER NOT NULL,  -- in workers, that ended in a deferral
  handle            TEXT,
  state_text        TEXT,              -- of its last deferral, while it is open
  error_class       TEXT,
  error_message     TEXT,
  error_trace       TEXT
) STRICT;
CREATE UNIQUE INDEX attempt_again ON attempt (run, task, item, number) WHERE number > 1;

CREATE TABLE output (
  run     INTEGER NOT NULL,
  task    INTEGER NOT NULL,
  item    INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  format  TEXT NOT NULL,
  bytes   INTEGER NOT NULL,
  file    TEXT,
  value   TEXT,
  PRIMARY KEY (run, task, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE timer (
  run      INTEGER NOT NULL,
  task     INTEGER NOT NULL,
  item     INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  due      INTEGER NOT NULL,  -- on the machine's clock, within `boot`
  due_wall INTEGER NOT NULL,
  delay    INTEGER NOT NULL,
  boot     INTEGER NOT NULL,
  PRIMARY KEY (run, task, item, kind)
) STRICT, WITHOUT ROWID;

-- Starts that rates still count, so that they hold over a restart: of a task in all runs of its job,
-- of a job's own pool, or (job '') of one of the settings.
CREATE TABLE rate (
  job     TEXT NOT NULL,
  pool    TEXT NOT NULL,
  task    TEXT NOT NULL,
  at      INTEGER NOT NULL,  -- on the machine's clock, within `boot`: ages count from here
  at_wall INTEGER NOT NULL,
  per     INTEGER NOT NULL,  -- an older start counts no more
  starts  TEXT NOT NULL,     -- `AGE:COUNT AGE:COUNT`, oldest first
  boot    INTEGER NOT NULL,
  PRIMARY KEY (job, pool, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  id    INTEGER PRIMARY KEY,
  at    INTEGER NOT NULL,
  actor TEXT NOT NULL,
  verb  TEXT NOT NULL,
  job   TEXT,
  run   INTEGER,
  task  INTEGER,
  item  INTEGER,
  text  TEXT
) STRICT;
CREATE INDEX event_run ON event (run) WHERE run IS NOT NULL;

-- Runs that retention has taken away and whose rows and logs are still to be deleted.
CREATE TABLE doomed (
  run  INTEGER PRIMARY KEY,
  name TEXT NOT NULL
) STRICT;

-- For people -------------------------------------------------------------------------------------

CREATE VIEW runs AS
SELECT run.id, run.name, run.job, run.state, run.reason, run."trigger",
       datetime(run.created_at / 1000, 'unixepoch') AS created,
       datetime(run.started_at / 1000, 'unixepoch') AS started,
       datetime(run.ended_at / 1000, 'unixepoch') AS ended,
       c.queued, c.running, c.retrying, c.held, c.succeeded, c.failed, c.skipped,
       c.upstream_failed, c.cancelled, run.params
FROM run LEFT JOIN run_counts AS c ON c.run = run.id;

CREATE VIEW tasks AS
SELECT run.name AS run, run.job, coalesce(n.id, task.task) AS task,
       nullif(task.item, -1) AS item, task.state, task.reason, task.detail, task.attempts,
       datetime(task.started_at / 1000, 'unixepoch') AS started,
       datetime(task.ended_at / 1000, 'unixepoch') AS ended, task.error
FROM task JOIN run ON run.id = task.run
LEFT JOIN version_task AS n ON n.version = run.version AND n.task = task.task;

CREATE VIEW dropped_fires AS
SELECT job, reason, count, datetime(first / 1000, 'unixepoch') AS first,
       datetime(last / 1000, 'unixepoch') AS last, datetime(at / 1000, 'unixepoch') AS decided
FROM dropped_fire;

CREATE VIEW attempts AS
SELECT a.id, run.name AS run, run.job, coalesce(n.id, a.task) AS task,
       nullif(a.item, -1) AS item, a.number, a.state, a.reason, a.exit_code, a.signal, a.worker,
       datetime(a.started_at / 1000, 'unixepoch') AS started,
       datetime(a.ended_at / 1000, 'unixepoch') AS ended, a.error_class, a.error_message
FROM attempt AS a JOIN run ON run.id = a.run
LEFT JOIN version_task AS n ON n.version = run.version AND n.task = a.task;
