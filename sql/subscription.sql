-- name: subscription_lock_links
-- Nobody makes a topic of the tenant until the end of this transaction: the other side is the trigger link_new_topic.
-- $1 bigint tenant_id
SELECT pg_advisory_xact_lock(7233160, hashint8($1))

-- name: subscription_insert
-- $1 bigint tenant_id, $2 text name, $3 boolean is_webhook, $4 text pattern, $5 text pattern_head, $6 text pattern_regex,
-- $7 text webhook_url, $8 text wake_stream, $9 bigint lease_ttl_ms, $10 text description, $11 bytea config_hash, $12 text base_url
INSERT INTO tidegate.subscription (tenant_id, name, is_webhook, pattern, pattern_head, pattern_regex, webhook_url, wake_stream,
    lease_ttl_ms, description, config_hash, base_url, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (tenant_id, name) DO NOTHING RETURNING subscription_id

-- name: subscription_count
-- $1 bigint tenant_id
SELECT count(*) FROM tidegate.subscription WHERE tenant_id = $1

-- name: subscription_find
-- $1 bigint tenant_id, $2 text name
SELECT subscription_id, tenant_id, name, is_webhook, pattern, webhook_url, wake_stream, lease_ttl_ms, description, config_hash,
       base_url, created_ms, generation, wake_id, holder, lease_until_ms, tell_ms, tell_until_ms, failures,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
FROM tidegate.subscription WHERE tenant_id = $1 AND name = $2

-- name: subscription_lock_name
-- New topics may link to it meanwhile. $1 bigint tenant_id, $2 text name
SELECT subscription_id, tenant_id, name, is_webhook, pattern, webhook_url, wake_stream, lease_ttl_ms, description, config_hash,
       base_url, created_ms, generation, wake_id, holder, lease_until_ms, tell_ms, tell_until_ms, failures,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
FROM tidegate.subscription WHERE tenant_id = $1 AND name = $2 FOR NO KEY UPDATE

-- name: subscription_lock
-- $1 bigint subscription_id
SELECT subscription_id, tenant_id, name, is_webhook, pattern, webhook_url, wake_stream, lease_ttl_ms, description, config_hash,
       base_url, created_ms, generation, wake_id, holder, lease_until_ms, tell_ms, tell_until_ms, failures,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
FROM tidegate.subscription WHERE subscription_id = $1 FOR NO KEY UPDATE

-- name: subscription_delete
-- $1 bigint subscription_id
DELETE FROM tidegate.subscription WHERE subscription_id = $1

-- name: subscription_begin_wake
-- $1 bigint subscription_id, $2 text wake_id
UPDATE tidegate.subscription SET generation = generation + 1, wake_id = $2, holder = NULL, failures = 0, tell_until_ms = NULL,
    tell_ms = now_ms, lease_until_ms = CASE WHEN is_webhook THEN now_ms + lease_ttl_ms END
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) n WHERE subscription_id = $1

-- name: subscription_end_wake
-- $1 bigint subscription_id
UPDATE tidegate.subscription SET wake_id = NULL, holder = NULL, lease_until_ms = NULL, tell_ms = NULL, tell_until_ms = NULL,
    failures = 0
WHERE subscription_id = $1

-- name: subscription_hold
-- A lease for a worker, which knows of its wake by now. $1 bigint subscription_id, $2 text holder, $3 bigint lease_ttl_ms
UPDATE tidegate.subscription SET holder = $2, tell_ms = NULL, tell_until_ms = NULL, failures = 0,
    lease_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3
WHERE subscription_id = $1

-- name: subscription_extend
-- $1 bigint subscription_id, $2 bigint lease_ttl_ms
UPDATE tidegate.subscription SET lease_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2
WHERE subscription_id = $1

-- name: subscription_start_telling
-- $1 bigint subscription_id, $2 bigint longest_ms
UPDATE tidegate.subscription SET tell_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2
WHERE subscription_id = $1 RETURNING tell_until_ms

-- name: subscription_tell_again
-- $1 bigint subscription_id, $2 bigint delay_ms, $3 int failures
UPDATE tidegate.subscription SET tell_until_ms = NULL, failures = $3,
    tell_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2
WHERE subscription_id = $1

-- name: subscription_told
-- $1 bigint subscription_id
UPDATE tidegate.subscription SET tell_ms = NULL, tell_until_ms = NULL, failures = 0 WHERE subscription_id = $1

-- name: subscription_tenants
-- Whose appends are worth a look. $1 bigint limit
SELECT DISTINCT tenant_id FROM tidegate.subscription LIMIT $1

-- name: subscription_find_due
-- Something is to be told, or a lease has run out. $1 bigint limit
(SELECT subscription_id FROM tidegate.subscription
 WHERE tell_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
   AND (tell_until_ms IS NULL OR tell_until_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
 ORDER BY tell_ms LIMIT $1)
UNION ALL
(SELECT subscription_id FROM tidegate.subscription
 WHERE lease_until_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint AND tell_ms IS NULL
 ORDER BY lease_until_ms LIMIT $1)

-- name: subscription_next_due
-- In how many milliseconds a retry or the end of a lease is next; NULL: not at all.
SELECT least(
    (SELECT s.tell_ms FROM tidegate.subscription s WHERE s.tell_ms > n.now_ms AND s.tell_until_ms IS NULL ORDER BY s.tell_ms LIMIT 1),
    (SELECT s.lease_until_ms FROM tidegate.subscription s WHERE s.lease_until_ms > n.now_ms AND s.tell_ms IS NULL
     ORDER BY s.lease_until_ms LIMIT 1)) - n.now_ms
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) n

-- name: subscription_find_missed
-- The next $2 bigint subscriptions after $1 bigint, and whether one is idle although something is known to be pending.
SELECT s.subscription_id, s.wake_id IS NULL AND EXISTS (
    SELECT FROM tidegate.subscription_link l
    WHERE l.subscription_id = s.subscription_id AND l.noted_offset > greatest(l.acked_offset, 0))
FROM tidegate.subscription s WHERE s.subscription_id > $1 ORDER BY s.subscription_id LIMIT $2

-- name: subscription_range
-- Where a range of $2 bigint subscriptions after $1 bigint ends, and how many they are.
SELECT coalesce(max(s.subscription_id), 0), count(*)
FROM (SELECT subscription_id FROM tidegate.subscription WHERE subscription_id > $1 ORDER BY subscription_id LIMIT $2) s
