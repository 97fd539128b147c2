-- name: janitor_elect
-- Session lock: the one janitor of the fleet. It goes with its connection.
SELECT pg_try_advisory_lock(7233156, 1)
