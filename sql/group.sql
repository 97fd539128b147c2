-- name: group_ensure
-- The group, unless its topic is gone; whether that is there. $1 bigint topic_id, $2 text group
WITH made AS (INSERT INTO tidegate.consumer_group (topic_id, name, created_ms)
    SELECT topic_id, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM tidegate.topic WHERE topic_id = $1
    ON CONFLICT DO NOTHING)
SELECT EXISTS (SELECT FROM tidegate.topic WHERE topic_id = $1)

-- name: group_start_at_end
-- Partitions without a position begin at their end. $1 bigint topic_id, $2 text group
INSERT INTO tidegate.group_partition (topic_id, group_name, partition, committed_offset, handed_offset)
SELECT h.topic_id, $2, h.partition, h.next_offset, h.next_offset FROM tidegate.head h WHERE h.topic_id = $1
ON CONFLICT DO NOTHING

-- name: group_candidates
-- Partitions that have something for this consumer: its own first (their leases are renewed even when nothing is new), then
-- the least recently served.
-- $1 bigint topic_id, $2 text group, $3 text consumer ('' = anonymous), $4 int partition (-1 = any), $5 bigint limit
SELECT h.partition, l.is_leased
FROM tidegate.head h
LEFT JOIN tidegate.group_partition g ON g.topic_id = h.topic_id AND g.group_name = $2 AND g.partition = h.partition
CROSS JOIN LATERAL (SELECT g.holder IS NOT NULL
    AND g.lease_until_ms > (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS is_leased) l
WHERE h.topic_id = $1 AND ($4 = -1 OR h.partition = $4)
  AND (NOT l.is_leased OR (g.holder = $3 AND $3 <> ''))
  AND (l.is_leased OR h.next_offset > coalesce(g.committed_offset, 0))
ORDER BY l.is_leased DESC, coalesce(g.served_ms, 0), h.partition LIMIT $5

-- name: group_try_lock
-- $1 bigint key of (topic, group, partition)
SELECT pg_try_advisory_xact_lock($1)

-- name: group_lock
-- $1 bigint key
SELECT pg_advisory_xact_lock($1)

-- name: group_state
-- $1 bigint topic_id, $2 text group, $3 int partition
SELECT committed_offset, handed_offset, holder, lease_until_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM tidegate.group_partition WHERE topic_id = $1 AND group_name = $2 AND partition = $3

-- name: group_lease
-- $1 bigint topic_id, $2 text group, $3 int partition, $4 bigint committed_offset, $5 bigint handed_offset, $6 text holder,
-- $7 bigint lease_ms
INSERT INTO tidegate.group_partition (topic_id, group_name, partition, committed_offset, handed_offset, holder, lease_until_ms,
    served_ms)
SELECT $1, $2, $3, $4, $5, $6, now_ms + $7, now_ms
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) n
ON CONFLICT (topic_id, group_name, partition) DO UPDATE SET committed_offset = excluded.committed_offset,
    handed_offset = excluded.handed_offset, holder = excluded.holder, lease_until_ms = excluded.lease_until_ms,
    served_ms = excluded.served_ms
RETURNING lease_until_ms

-- name: group_put
-- $1 bigint topic_id, $2 text group, $3 int partition, $4 bigint committed_offset, $5 bigint handed_offset, $6 text holder,
-- $7 bigint lease_until_ms, $8 boolean whether somebody set it: its time is now
INSERT INTO tidegate.group_partition (topic_id, group_name, partition, committed_offset, handed_offset, holder, lease_until_ms,
    committed_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $8 THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint ELSE 0 END)
ON CONFLICT (topic_id, group_name, partition) DO UPDATE SET committed_offset = excluded.committed_offset,
    handed_offset = excluded.handed_offset, holder = excluded.holder, lease_until_ms = excluded.lease_until_ms,
    committed_ms = greatest(group_partition.committed_ms, excluded.committed_ms)

-- name: group_give_back
-- Undoes a lease that nobody received. $1 bigint topic_id, $2 text group, $3 int partition, $4 text holder, $5 bigint handed from,
-- $6 bigint handed to
UPDATE tidegate.group_partition SET handed_offset = $5, holder = CASE WHEN $5 <= committed_offset THEN NULL ELSE holder END
WHERE topic_id = $1 AND group_name = $2 AND partition = $3 AND holder = $4 AND handed_offset = $6

-- name: group_list
-- Every partition of the topic for one group, or for all. $1 bigint topic_id, $2 text group (NULL = all)
SELECT c.name, c.created_ms, h.partition, g.committed_offset, g.handed_offset, g.holder, g.lease_until_ms, h.next_offset,
       greatest(h.cap_floor, h.ttl_floor, h.source_floor), (extract(epoch FROM clock_timestamp()) * 1000)::bigint, g.committed_ms
FROM tidegate.consumer_group c
JOIN tidegate.head h ON h.topic_id = c.topic_id
LEFT JOIN tidegate.group_partition g ON g.topic_id = c.topic_id AND g.group_name = c.name AND g.partition = h.partition
WHERE c.topic_id = $1 AND ($2::text IS NULL OR c.name = $2) ORDER BY c.name, h.partition

-- name: group_delete
-- $1 bigint topic_id, $2 text group
DELETE FROM tidegate.consumer_group WHERE topic_id = $1 AND name = $2

-- name: group_delete_partitions
-- $1 bigint topic_id, $2 text group
DELETE FROM tidegate.group_partition WHERE topic_id = $1 AND group_name = $2

-- name: group_delete_partition
-- $1 bigint topic_id, $2 text group, $3 int partition
DELETE FROM tidegate.group_partition WHERE topic_id = $1 AND group_name = $2 AND partition = $3

-- name: group_positions
-- Positions of a tenant's groups, by topic, group and partition. $1 bigint tenant_id, $2 text group (NULL = all),
-- $3 text prefix of topics, $4 text topic, $5 text group, $6 int partition to begin after, $7 bigint limit
SELECT t.name, g.group_name, g.partition, g.committed_offset, g.committed_ms
FROM tidegate.topic t JOIN tidegate.group_partition g ON g.topic_id = t.topic_id
WHERE t.tenant_id = $1 AND ($2::text IS NULL OR g.group_name = $2) AND starts_with(t.name, $3) AND t.name >= $3 AND t.name >= $4
  AND (t.name, g.group_name, g.partition) > ($4, $5, $6)
ORDER BY t.name, g.group_name, g.partition LIMIT $7

-- name: group_heads
-- $1 bigint topic_id
SELECT partition, next_offset, greatest(cap_floor, ttl_floor, source_floor) FROM tidegate.head WHERE topic_id = $1 ORDER BY partition
