-- What tells the work of this home from that of any other: part of the idempotency keys of all runs
-- behind `home_id_after`. Work that began before goes on under the key that it has.
INSERT INTO setting VALUES ('home_id', lower(hex(randomblob(8))));
INSERT INTO setting SELECT 'home_id_after', value FROM counter WHERE name = 'run';
