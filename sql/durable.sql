-- name: durable_get
-- A topic as a stream; what belongs to this dialect is NULL when another one made the topic. $1 bigint topic_id
SELECT d.content_type, d.ttl_s, d.expires_ms, s.name, d.anchor_offset, d.anchor_byte, d.sub_offset, d.fork_offset, d.fork_byte,
       d.depth, t.origin::int
FROM tidegate.topic t
LEFT JOIN tidegate.durable_stream d ON d.topic_id = t.topic_id
LEFT JOIN tidegate.topic s ON s.topic_id = d.parent_id
WHERE t.topic_id = $1

-- name: durable_chain
-- The ancestors of a fork, the oldest first, each with the point up to which it is read. $1 bigint topic_id
WITH RECURSIVE chain AS (
    SELECT d.parent_id, d.fork_offset, d.fork_byte, 1 AS level
    FROM tidegate.durable_stream d WHERE d.topic_id = $1 AND d.parent_id IS NOT NULL
    UNION ALL
    SELECT d.parent_id, least(d.fork_offset, c.fork_offset),
           CASE WHEN d.fork_offset < c.fork_offset THEN d.fork_byte ELSE c.fork_byte END, c.level + 1
    FROM chain c JOIN tidegate.durable_stream d ON d.topic_id = c.parent_id
    WHERE d.parent_id IS NOT NULL AND c.level < 1000)
SELECT parent_id, fork_offset, fork_byte FROM chain ORDER BY level DESC

-- name: durable_state
-- An append is an access as well. One that has ended is still read if a fork of it, or of one that has ended too, has not:
-- that is looked for only below what has ended. $1 bigint topic_id
WITH RECURSIVE clock AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms),
stream AS MATERIALIZED (
    SELECT h.topic_id, h.is_closed, h.next_offset, h.next_byte, d.parent_id, d.ttl_s,
           n.now_ms - greatest(d.last_access_ms, h.last_ms) AS idle_ms, coalesce(d.is_deleted, false) AS is_deleted,
           coalesce(d.expires_ms <= n.now_ms OR greatest(d.last_access_ms, h.last_ms) + d.ttl_s * 1000 <= n.now_ms, false)
               AS is_expired
    FROM clock n CROSS JOIN tidegate.head h LEFT JOIN tidegate.durable_stream d ON d.topic_id = h.topic_id
    WHERE h.topic_id = $1 AND h.partition = 0),
reader AS (
    SELECT topic_id, is_deleted OR is_expired AS has_ended FROM stream
    UNION ALL
    SELECT d.topic_id, d.is_deleted OR coalesce(d.expires_ms <= n.now_ms
                       OR greatest(d.last_access_ms, h.last_ms) + d.ttl_s * 1000 <= n.now_ms, false)
    FROM clock n CROSS JOIN reader r
    JOIN tidegate.durable_stream d ON d.parent_id = r.topic_id
    JOIN tidegate.head h ON h.topic_id = d.topic_id AND h.partition = 0
    WHERE r.has_ended)
SELECT s.is_expired, s.is_deleted, s.is_closed,
       EXISTS (SELECT FROM tidegate.durable_stream c WHERE c.parent_id = s.topic_id) AS has_forks,
       EXISTS (SELECT FROM reader WHERE NOT has_ended) AS is_read,
       coalesce(s.idle_ms > least(s.ttl_s * 100, 1000), false) AS wants_touch,
       s.next_offset, s.next_byte, coalesce(s.parent_id, 0)
FROM stream s

-- name: durable_touch
-- $1 bigint topic_id
UPDATE tidegate.durable_stream
SET last_access_ms = greatest(last_access_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
WHERE topic_id = $1

-- name: durable_insert
-- $1 bigint topic_id, $2 text content_type, $3 bigint ttl_s, $4 bigint expires_ms, $5 bigint parent_id, $6 bigint anchor_offset,
-- $7 bigint anchor_byte, $8 bigint sub_offset, $9 bigint fork_offset, $10 bigint fork_byte, $11 int depth
INSERT INTO tidegate.durable_stream (topic_id, content_type, ttl_s, expires_ms, last_access_ms, due_ms, parent_id, anchor_offset,
    anchor_byte, sub_offset, fork_offset, fork_byte, depth)
SELECT $1, $2, $3, $4::bigint, n.now_ms, coalesce($4::bigint, n.now_ms + $3::bigint * 1000), $5, $6, $7, $8, $9, $10, $11
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) n

-- name: durable_adopt
-- Another dialect's topic gets a row, so that it can have forks. $1 bigint topic_id, $2 text content_type
INSERT INTO tidegate.durable_stream (topic_id, content_type, last_access_ms)
VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (topic_id) DO NOTHING

-- name: durable_mark_deleted
-- $1 bigint topic_id
UPDATE tidegate.durable_stream SET is_deleted = true, due_ms = NULL WHERE topic_id = $1

-- name: durable_find_due
-- Streams that may have expired. $1 bigint limit
SELECT topic_id FROM tidegate.durable_stream
WHERE due_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint AND NOT is_deleted ORDER BY due_ms LIMIT $1

-- name: durable_set_due
-- After a look that found it alive. $1 bigint topic_id
UPDATE tidegate.durable_stream d
SET due_ms = coalesce(d.expires_ms, greatest(d.last_access_ms, h.last_ms) + d.ttl_s * 1000)
FROM tidegate.head h
WHERE d.topic_id = $1 AND h.topic_id = $1 AND h.partition = 0 AND d.due_ms IS NOT NULL

-- name: durable_find_remains
-- Of a stream and its forks at any depth, those without forks: they go first. $1 bigint topic_id, $2 bigint limit
WITH RECURSIVE remains AS (
    SELECT $1::bigint AS topic_id
    UNION ALL
    SELECT d.topic_id FROM remains r JOIN tidegate.durable_stream d ON d.parent_id = r.topic_id)
SELECT r.topic_id FROM remains r
WHERE NOT EXISTS (SELECT FROM tidegate.durable_stream c WHERE c.parent_id = r.topic_id) LIMIT $2

-- name: durable_find_orphans
-- Softly deleted streams whose forks have gone by another way than this dialect's. $1 bigint limit
SELECT d.topic_id FROM tidegate.durable_stream d
WHERE d.is_deleted AND NOT EXISTS (SELECT FROM tidegate.durable_stream c WHERE c.parent_id = d.topic_id)
ORDER BY d.topic_id LIMIT $1
