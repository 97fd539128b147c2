-- name: notify_send
-- $1 text payload
SELECT pg_notify('tidegate', $1)
