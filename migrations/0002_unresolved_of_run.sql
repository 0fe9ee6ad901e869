-- What nobody has settled, task by task: counts of a million failures are read from here alone,
-- where task_unresolved has them in the order of time. `dismissed` spares a look at each row.
CREATE INDEX task_unresolved_of_run ON task (run, task, state, reason, ended_at, dismissed)
WHERE state IN ('held', 'failed') AND dismissed = 0;
