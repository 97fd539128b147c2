-- name: head_insert
-- $1 bigint topic_id, $2 int first partition, $3 int one past the last, $4 boolean is_plain, $5 boolean is_ephemeral
INSERT INTO tidegate.head (topic_id, partition, is_plain, is_ephemeral, is_source, is_dest)
SELECT $1, p, $4, $5, EXISTS (SELECT FROM tidegate.router r WHERE r.topic_id = $1),
       EXISTS (SELECT FROM tidegate.router r WHERE r.dest_id = $1)
FROM generate_series($2, $3 - 1) AS p

-- name: head_insert_started
-- Of a topic that begins with records, or not at offset 0. $1 bigint topic_id, $2 boolean is_plain, $3 boolean is_closed,
-- $4 bigint next_offset, $5 bigint next_byte, $6 bigint first offset, $7 bigint live_records, $8 bigint live_bytes
INSERT INTO tidegate.head (topic_id, partition, is_plain, is_closed, next_offset, next_byte, last_ms, cap_floor, reclaimed,
    live_records, live_bytes)
VALUES ($1, 0, $2, $3, $4, $5, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $6::bigint, $6::bigint, $7, $8)
RETURNING last_ms

-- name: head_lock_first
-- The newest topic first: a fork before its source. $1 bigint[] topic_id
SELECT topic_id FROM tidegate.head WHERE topic_id = ANY($1) AND partition = 0 ORDER BY topic_id DESC FOR UPDATE

-- name: head_close
-- $1 bigint topic_id
UPDATE tidegate.head SET is_closed = true, is_plain = false WHERE topic_id = $1

-- name: head_mark_ephemeral
-- Only where nothing is lost, or the loss has been written down. $1 bigint topic_id, $2 int partition, NULL = all
INSERT INTO tidegate.ephemeral_mark (topic_id, partition) SELECT topic_id, partition FROM tidegate.head
WHERE topic_id = $1 AND ($2::int IS NULL OR partition = $2)
ON CONFLICT DO NOTHING

-- name: head_lock
-- In order, as every transaction that locks several. $1 bigint topic_id, $2 int[] partitions, NULL = all
SELECT h.partition, h.is_plain, h.is_closed, h.is_ephemeral, h.next_offset, h.next_byte, h.last_ms, h.cap_floor, h.ttl_floor,
       h.live_records, h.live_bytes, h.sequence_token,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms, h.source_floor, h.is_source
FROM tidegate.head h WHERE h.topic_id = $1 AND ($2::int[] IS NULL OR h.partition = ANY ($2)) ORDER BY h.partition FOR UPDATE

-- name: head_rules
-- What judging needs to know of the topic, read after the heads were locked. $1 bigint topic_id
SELECT ttl_ms, cap_records, cap_bytes, discard_old, idempotency_window_ms,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms, durability::int, origin::int
FROM tidegate.topic WHERE topic_id = $1

-- name: head_has_mark
-- $1 bigint topic_id, $2 int partition
SELECT EXISTS (SELECT FROM tidegate.ephemeral_mark WHERE topic_id = $1 AND partition = $2)

-- name: head_update
-- $1 bigint topic_id, $2 int partition, $3 bigint next_offset, $4 next_byte, $5 last_ms, $6 cap_floor, $7 ttl_floor,
-- $8 live_records, $9 live_bytes, $10 boolean is_closed, $11 bytea sequence_token, $12 bigint source_floor
UPDATE tidegate.head SET next_offset = $3, next_byte = $4, last_ms = $5, cap_floor = $6, ttl_floor = $7, live_records = $8,
    live_bytes = $9, is_closed = $10, is_plain = is_plain AND NOT $10, sequence_token = $11,
    source_floor = $12
WHERE topic_id = $1 AND partition = $2

-- name: head_set_rules
-- A plain head may become judged, never the other way round. $1 bigint topic_id, $2 boolean may_be_plain, $3 boolean is_ephemeral
UPDATE tidegate.head SET is_plain = is_plain AND $2, is_ephemeral = $3 WHERE topic_id = $1

-- name: head_marks
-- For the slow poll: a number per partition that changes with what readers see; no partition: the topic is gone.
-- $1 bigint[] topic ids
SELECT i.topic_id, h.partition, h.next_offset * 2 + h.is_closed::int AS mark
FROM unnest($1::bigint[]) AS i (topic_id) LEFT JOIN tidegate.head h ON h.topic_id = i.topic_id

-- name: head_next_offsets
-- $1 bigint[] topic ids
SELECT topic_id, partition, next_offset FROM tidegate.head WHERE topic_id = ANY ($1)

-- name: head_info
-- Each partition with its first kept record. $1 bigint topic_id
SELECT h.partition, h.next_offset, h.live_records, h.live_bytes, h.last_ms, h.is_closed,
       coalesce((SELECT greatest(b.base_offset, h.cap_floor, h.ttl_floor, h.source_floor) FROM tidegate.batch b
                 WHERE b.topic_id = h.topic_id AND b.partition = h.partition
                   AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
                 ORDER BY b.last_offset LIMIT 1),
                (SELECT greatest(b.base_offset, h.cap_floor, h.ttl_floor, h.source_floor) FROM tidegate.batch_ephemeral b
                 WHERE b.topic_id = h.topic_id AND b.partition = h.partition
                   AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
                 ORDER BY b.last_offset LIMIT 1),
                h.next_offset) AS start_offset, h.is_dest
FROM tidegate.head h WHERE h.topic_id = $1 ORDER BY h.partition

-- name: head_offset_at
-- First offset at or after a time. $1 bigint topic_id, $2 int partition, $3 bigint timestamp_ms
SELECT coalesce((SELECT min(greatest(b.base_offset, h.cap_floor, h.ttl_floor, h.source_floor)) FROM tidegate.batch b
                 WHERE b.topic_id = $1 AND b.partition = $2 AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
                   AND b.committed_ms >= $3),
                (SELECT min(greatest(b.base_offset, h.cap_floor, h.ttl_floor, h.source_floor)) FROM tidegate.batch_ephemeral b
                 WHERE b.topic_id = $1 AND b.partition = $2 AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
                   AND b.committed_ms >= $3),
                h.next_offset)
FROM tidegate.head h WHERE h.topic_id = $1 AND h.partition = $2
