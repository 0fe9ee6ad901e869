-- What an attempt took of memory at most, where its own peak cannot be told: of a process that it
-- shared with others, say.
ALTER TABLE attempt ADD COLUMN memory_bound_bytes INTEGER NOT NULL DEFAULT 0;
