-- A list of three words is looked up in a table that SQLite makes at each write of a run's state:
-- half of what ending a run cost. Comparisons need none. Queries name the states in these words.
DROP INDEX run_open;
CREATE INDEX run_open ON run (id)
WHERE state = 'queued' OR state = 'running' OR state = 'paused';
-- Runs that stand for a schedule's fires, by the time of the fire: a backfill looks at its span
-- instead of at all runs of the job.
CREATE INDEX run_fire ON run (job, logical_time)
WHERE scheduled_for IS NOT NULL OR "trigger" = 'backfill' OR "trigger" = 'rerun';
