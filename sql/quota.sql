-- name: quota_lock
-- While live bytes are limited, appends of the whole fleet come one after the other, so that the limit holds exactly.
SELECT pg_advisory_xact_lock(7233156, 0)

-- name: quota_tenant_total
-- What the topics of one tenant hold. $1 bigint tenant_id
SELECT coalesce(sum(h.live_bytes), 0)::bigint
FROM tidegate.topic t JOIN tidegate.head h ON h.topic_id = t.topic_id WHERE t.tenant_id = $1

-- name: quota_total
SELECT coalesce(sum(live_bytes), 0)::bigint FROM tidegate.head
