-- name: quota_lock
-- While live bytes are limited, appends of the whole fleet come one after the other, so that the limit holds exactly.
SELECT pg_advisory_xact_lock(7233156, 0)

-- name: quota_total
SELECT coalesce(sum(live_bytes), 0)::bigint FROM tidegate.head
