-- name: migrate_lock
-- One migrator at a time, across all workers.
SELECT pg_advisory_xact_lock(7233154, 1)

-- name: migrate_has_table
SELECT to_regclass('tidegate.migration') IS NOT NULL

-- name: migrate_version
SELECT coalesce(max(number), 0)::int FROM tidegate.migration

-- name: migrate_record
-- $1 int number, $2 text name
INSERT INTO tidegate.migration (number, name) VALUES ($1, $2)
