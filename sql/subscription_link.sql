-- name: subscription_link_matching
-- Streams that are there already: from their tail. $1 bigint subscription_id
INSERT INTO tidegate.subscription_link (subscription_id, path, topic_id, is_explicit, is_glob, acked_offset, acked_byte,
    noted_offset)
SELECT s.subscription_id, t.name, t.topic_id, false, true, h.next_offset, h.next_byte, h.next_offset
FROM tidegate.subscription s
JOIN tidegate.topic t ON t.tenant_id = s.tenant_id AND starts_with(t.name, s.pattern_head) AND t.name >= s.pattern_head
JOIN tidegate.head h ON h.topic_id = t.topic_id AND h.partition = 0
LEFT JOIN tidegate.durable_stream d ON d.topic_id = t.topic_id
WHERE s.subscription_id = $1 AND t.partitions = 1 AND d.is_deleted IS NOT TRUE AND '/' || t.name ~ s.pattern_regex
  AND s.wake_stream IS DISTINCT FROM t.name

-- name: subscription_link_explicit
-- From their tail; from zero where there is none. $1 bigint subscription_id, $2 text[] paths
INSERT INTO tidegate.subscription_link (subscription_id, path, topic_id, is_explicit, is_glob, acked_offset, acked_byte,
    noted_offset)
SELECT s.subscription_id, p.path, t.topic_id, true, false, coalesce(h.next_offset, 0), coalesce(h.next_byte, 0),
       coalesce(h.next_offset, 0)
FROM tidegate.subscription s
CROSS JOIN (SELECT DISTINCT path FROM unnest($2::text[]) AS path) p
LEFT JOIN tidegate.topic t ON t.tenant_id = s.tenant_id AND t.name = p.path AND t.partitions = 1
    AND NOT EXISTS (SELECT FROM tidegate.durable_stream d WHERE d.topic_id = t.topic_id AND d.is_deleted)
LEFT JOIN tidegate.head h ON h.topic_id = t.topic_id AND h.partition = 0
WHERE s.subscription_id = $1
ON CONFLICT (subscription_id, path) DO UPDATE SET is_explicit = true

-- name: subscription_link_count
-- $1 bigint subscription_id
SELECT count(*) FROM tidegate.subscription_link WHERE subscription_id = $1

-- name: subscription_link_remove
-- $1 bigint subscription_id, $2 text path
WITH kept AS (
    UPDATE tidegate.subscription_link SET is_explicit = false WHERE subscription_id = $1 AND path = $2 AND is_glob)
DELETE FROM tidegate.subscription_link WHERE subscription_id = $1 AND path = $2 AND NOT is_glob

-- name: subscription_link_list
-- With their tails; those of the wake first. $1 bigint subscription_id, $2 bigint limit
SELECT l.path, l.is_explicit, l.acked_offset, l.acked_byte, l.wake_offset, l.wake_byte, coalesce(h.next_offset, 0),
       coalesce(h.next_byte, 0)
FROM (
    (SELECT w.*, 0 AS part FROM tidegate.subscription_link w WHERE w.subscription_id = $1 AND w.wake_offset IS NOT NULL
     ORDER BY w.path LIMIT $2)
    UNION ALL
    (SELECT o.*, 1 FROM tidegate.subscription_link o WHERE o.subscription_id = $1 AND o.wake_offset IS NULL
     ORDER BY o.path LIMIT $2)
) l
LEFT JOIN tidegate.head h ON h.topic_id = l.topic_id AND h.partition = 0
ORDER BY l.part, l.path LIMIT $2

-- name: subscription_link_find
-- $1 bigint subscription_id, $2 text[] paths
SELECT l.path, l.is_explicit, l.acked_offset, l.acked_byte, l.wake_offset, l.wake_byte, coalesce(h.next_offset, 0),
       coalesce(h.next_byte, 0)
FROM tidegate.subscription_link l LEFT JOIN tidegate.head h ON h.topic_id = l.topic_id AND h.partition = 0
WHERE l.subscription_id = $1 AND l.path = ANY ($2::text[])

-- name: subscription_link_snapshot
-- What is known to be pending becomes part of a wake, as far as it goes now. $1 bigint subscription_id, $2 bigint generation,
-- $3 bigint limit
WITH pending AS (
    SELECT l.path, h.next_offset, h.next_byte
    FROM tidegate.subscription_link l JOIN tidegate.head h ON h.topic_id = l.topic_id AND h.partition = 0
    WHERE l.subscription_id = $1 AND l.noted_offset > greatest(l.acked_offset, 0)
    ORDER BY l.wake_generation, l.path LIMIT $3)
UPDATE tidegate.subscription_link l
SET wake_offset = p.next_offset, wake_byte = p.next_byte, wake_generation = $2,
    noted_offset = greatest(l.noted_offset, p.next_offset)
FROM pending p WHERE l.subscription_id = $1 AND l.path = p.path

-- name: subscription_link_note_all
-- $1 bigint subscription_id
UPDATE tidegate.subscription_link l SET noted_offset = h.next_offset FROM tidegate.head h
WHERE l.subscription_id = $1 AND h.topic_id = l.topic_id AND h.partition = 0 AND l.noted_offset < h.next_offset

-- name: subscription_link_note_wake
-- Those of the wake in flight. $1 bigint subscription_id
UPDATE tidegate.subscription_link l SET noted_offset = h.next_offset FROM tidegate.head h
WHERE l.subscription_id = $1 AND l.wake_offset IS NOT NULL AND h.topic_id = l.topic_id AND h.partition = 0
  AND l.noted_offset < h.next_offset

-- name: subscription_link_note_range
-- Of subscriptions after $1 bigint up to $2 bigint
UPDATE tidegate.subscription_link l SET noted_offset = h.next_offset FROM tidegate.head h
WHERE l.subscription_id > $1 AND l.subscription_id <= $2 AND h.topic_id = l.topic_id AND h.partition = 0
  AND l.noted_offset < h.next_offset

-- name: subscription_link_find_news
-- Which of these topics have links that do not know of their tail yet. $1 bigint[] topic ids
SELECT DISTINCT l.topic_id
FROM tidegate.subscription_link l JOIN tidegate.head h ON h.topic_id = l.topic_id AND h.partition = 0
WHERE l.topic_id = ANY ($1::bigint[]) AND l.noted_offset < h.next_offset

-- name: subscription_link_note_topic
-- Rows in one order for everybody, and one topic at a time: nobody deadlocks with a wake that holds links of one subscription.
-- $1 bigint topic_id
WITH news AS (
    SELECT l.subscription_id, l.path, h.next_offset
    FROM tidegate.subscription_link l JOIN tidegate.head h ON h.topic_id = l.topic_id AND h.partition = 0
    WHERE l.topic_id = $1 AND l.noted_offset < h.next_offset
    ORDER BY l.subscription_id, l.path FOR NO KEY UPDATE OF l)
UPDATE tidegate.subscription_link l SET noted_offset = greatest(l.noted_offset, n.next_offset)
FROM news n WHERE l.subscription_id = n.subscription_id AND l.path = n.path
RETURNING l.subscription_id

-- name: subscription_link_forget_snapshot
-- $1 bigint subscription_id
UPDATE tidegate.subscription_link SET wake_offset = NULL, wake_byte = NULL WHERE subscription_id = $1 AND wake_offset IS NOT NULL

-- name: subscription_link_ack_snapshot
-- $1 bigint subscription_id
UPDATE tidegate.subscription_link SET acked_offset = wake_offset, acked_byte = wake_byte
WHERE subscription_id = $1 AND wake_offset IS NOT NULL AND (wake_offset, wake_byte) > (acked_offset, acked_byte)

-- name: subscription_link_ack
-- $1 bigint subscription_id, $2 text path, $3 bigint offset, $4 bigint byte
UPDATE tidegate.subscription_link SET acked_offset = $3, acked_byte = $4
WHERE subscription_id = $1 AND path = $2 AND (acked_offset, acked_byte) < ($3, $4)

-- name: subscription_link_drop_topic
-- A stream that is gone although its records are not. $1 bigint topic_id
DELETE FROM tidegate.subscription_link WHERE topic_id = $1
