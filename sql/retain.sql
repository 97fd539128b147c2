-- name: retain_rows
-- twin: retain_rows_ephemeral
-- What batches hold, without their content. $1 bigint topic_id, $2 int partition, $3 bigint from, $4 bigint limit
SELECT last_offset, base_offset, committed_ms, records, bytes FROM tidegate.batch
WHERE topic_id = $1 AND partition = $2 AND last_offset >= $3 ORDER BY last_offset LIMIT $4

-- name: retain_sizes
-- twin: retain_sizes_ephemeral
-- The live records of one batch. $1 bigint topic_id, $2 int partition, $3 bigint last_offset
SELECT b.base_offset + u.element - 1 AS record_offset,
       (octet_length(u.v) + coalesce(octet_length(u.k), 0) + coalesce(octet_length(u.h), 0) + coalesce(octet_length(u.m), 0))::bigint
FROM tidegate.batch b CROSS JOIN LATERAL unnest(b.vals, b.keys, b.headers, b.metas) WITH ORDINALITY AS u(v, k, h, m, element)
WHERE b.topic_id = $1 AND b.partition = $2 AND b.last_offset = $3 AND u.v IS NOT NULL ORDER BY u.element

-- name: retain_find_expired
-- Partitions whose oldest kept batch has expired. $1 bigint limit
SELECT h.topic_id, h.partition
FROM tidegate.topic t
JOIN tidegate.head h ON h.topic_id = t.topic_id
WHERE t.ttl_ms > 0 AND h.live_records > 0 AND coalesce(
    (SELECT b.committed_ms FROM tidegate.batch b WHERE b.topic_id = h.topic_id AND b.partition = h.partition
       AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor) ORDER BY b.last_offset LIMIT 1),
    (SELECT b.committed_ms FROM tidegate.batch_ephemeral b WHERE b.topic_id = h.topic_id AND b.partition = h.partition
       AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor) ORDER BY b.last_offset LIMIT 1))
    < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - t.ttl_ms
ORDER BY h.topic_id, h.partition LIMIT $1

-- name: retain_find_reclaimable
-- Partitions with batches wholly below their floor. $1 bigint limit
SELECT topic_id, partition, greatest(cap_floor, ttl_floor, source_floor), is_ephemeral FROM tidegate.head
WHERE greatest(cap_floor, ttl_floor, source_floor) > reclaimed ORDER BY topic_id, partition LIMIT $1

-- name: retain_delete_below
-- twin: retain_delete_below_ephemeral
-- Tags one by one, as in erase.sql.
-- $1 bigint topic_id, $2 int partition, $3 bigint floor, $4 bigint limit
WITH gone AS (
    DELETE FROM tidegate.batch WHERE topic_id = $1 AND partition = $2 AND last_offset IN (
        SELECT last_offset FROM tidegate.batch WHERE topic_id = $1 AND partition = $2 AND last_offset < $3
        ORDER BY last_offset LIMIT $4)
    RETURNING base_offset, tags),
untagged AS (
    DELETE FROM tidegate.batch_tag WHERE ctid = ANY (ARRAY(
        SELECT t.place
        FROM gone g CROSS JOIN LATERAL unnest(g.tags) WITH ORDINALITY AS u(tag, element)
        CROSS JOIN LATERAL (SELECT ctid AS place FROM tidegate.batch_tag
                            WHERE topic_id = $1 AND partition = $2 AND tag = u.tag
                              AND record_offset = g.base_offset + u.element - 1 OFFSET 0) t)))
SELECT FROM gone

-- name: retain_set_reclaimed
-- Unless the batches have moved to the other table meanwhile. $1 bigint topic_id, $2 int partition, $3 bigint floor,
-- $4 boolean is_ephemeral
UPDATE tidegate.head SET reclaimed = greatest(reclaimed, $3) WHERE topic_id = $1 AND partition = $2 AND is_ephemeral = $4

-- name: retain_find_discarded
-- $1 bigint limit
SELECT topic_id, created_ms FROM tidegate.discarded ORDER BY topic_id LIMIT $1

-- name: retain_delete_discarded
-- twin: retain_delete_discarded_ephemeral
-- $1 bigint topic_id, $2 bigint limit
DELETE FROM tidegate.batch WHERE topic_id = $1 AND (partition, last_offset) IN (
    SELECT partition, last_offset FROM tidegate.batch WHERE topic_id = $1 LIMIT $2)

-- name: retain_delete_discarded_tags
-- $1 bigint topic_id, $2 bigint limit
DELETE FROM tidegate.batch_tag WHERE topic_id = $1 AND (partition, tag, record_offset) IN (
    SELECT partition, tag, record_offset FROM tidegate.batch_tag WHERE topic_id = $1 LIMIT $2)

-- name: retain_forget_discarded
-- $1 bigint topic_id
DELETE FROM tidegate.discarded WHERE topic_id = $1

-- name: retain_delete_idempotency
-- $1 bigint limit
DELETE FROM tidegate.idempotency WHERE (topic_id, key) IN (
    SELECT topic_id, key FROM tidegate.idempotency
    WHERE expires_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint ORDER BY expires_ms LIMIT $1)
