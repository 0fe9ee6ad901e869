-- Runs that failed by a limit of their own and not, or not only, by a task: they wait for somebody
-- as failed tasks do. `dismissed` 1: seen, not to be shown again.
ALTER TABLE run ADD COLUMN dismissed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_unresolved ON run (ended_at)
WHERE state = 'failed' AND reason IN ('run_timeout', 'fail_fast') AND dismissed = 0;
