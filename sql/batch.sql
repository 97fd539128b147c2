-- name: append_batch
-- The plain append: head and batch in one statement. No row comes back when the head is gone or needs judgement.
-- $1 bigint topic_id, $2 int partition, $3 bigint records, $4 bigint value bytes, $5 bigint bytes, $6 bytea[] keys,
-- $7 bytea[] vals, $8 bigint[] ts, $9 bytea[] headers, $10 bytea[] tags, $11 bytea[] nodes, $12 bytea[] metas, $13 int[] appends
WITH head AS (
    UPDATE tidegate.head SET next_offset = next_offset + $3, next_byte = next_byte + $4, live_records = live_records + $3,
        live_bytes = live_bytes + $5,
        last_ms = greatest(last_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    WHERE topic_id = $1 AND partition = $2 AND is_plain
    RETURNING next_offset, next_byte, last_ms, is_source)
INSERT INTO tidegate.batch (topic_id, partition, last_offset, base_offset, base_byte, committed_ms, records, bytes, keys, vals,
    ts, headers, tags, nodes, metas, appends)
SELECT $1, $2, next_offset - 1, next_offset - $3, next_byte - $4, last_ms, $3::int, $5::int, $6, $7, $8, $9, $10, $11, $12, $13
FROM head
RETURNING base_offset, base_byte, committed_ms, (SELECT is_source FROM head)

-- name: append_lock
-- In order, as every transaction that locks several. $1 bigint topic_id, $2 int[] partitions
SELECT FROM tidegate.head WHERE topic_id = $1 AND partition = ANY ($2) ORDER BY partition FOR UPDATE

-- name: append_batch_next
-- As append_batch, by a producer whose next append this is. No row comes back, and nothing is written, when it is not. The head
-- is locked before the producer, as by everyone. $14 bytea producer_id, $15 bigint epoch, $16 bigint sequence, $17 bytea the
-- answer, to be kept, $18 int where in it the base offset belongs
WITH head AS MATERIALIZED (
    SELECT next_offset FROM tidegate.head WHERE topic_id = $1 AND partition = $2 AND is_plain FOR UPDATE),
producer AS (
    UPDATE tidegate.producer p SET last_sequence = $16, updated_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
        result = overlay($17::bytea PLACING int8send(head.next_offset) FROM $18)
    FROM head WHERE p.topic_id = $1 AND p.producer_id = $14 AND p.epoch = $15 AND p.last_sequence = $16::bigint - 1
    RETURNING 1),
moved AS (
    UPDATE tidegate.head h SET next_offset = h.next_offset + $3, next_byte = h.next_byte + $4, live_records = h.live_records + $3,
        live_bytes = h.live_bytes + $5,
        last_ms = greatest(h.last_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    FROM producer WHERE h.topic_id = $1 AND h.partition = $2
    RETURNING h.next_offset, h.next_byte, h.last_ms, h.is_source)
INSERT INTO tidegate.batch (topic_id, partition, last_offset, base_offset, base_byte, committed_ms, records, bytes, keys, vals,
    ts, headers, tags, nodes, metas, appends)
SELECT $1, $2, next_offset - 1, next_offset - $3, next_byte - $4, last_ms, $3::int, $5::int, $6, $7, $8, $9, $10, $11, $12, $13
FROM moved
RETURNING base_offset, base_byte, committed_ms, (SELECT is_source FROM moved)

-- name: append_batch_tagged
-- The same with tags, whose places are kept apart, so that deleting by tag finds them.
WITH head AS (
    UPDATE tidegate.head SET next_offset = next_offset + $3, next_byte = next_byte + $4, live_records = live_records + $3,
        live_bytes = live_bytes + $5,
        last_ms = greatest(last_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    WHERE topic_id = $1 AND partition = $2 AND is_plain
    RETURNING next_offset, next_byte, last_ms, is_source),
added AS (
    INSERT INTO tidegate.batch (topic_id, partition, last_offset, base_offset, base_byte, committed_ms, records, bytes, keys, vals,
        ts, headers, tags, nodes, metas, appends)
    SELECT $1, $2, next_offset - 1, next_offset - $3, next_byte - $4, last_ms, $3::int, $5::int, $6, $7, $8, $9, $10, $11, $12, $13
    FROM head
    RETURNING base_offset, base_byte, committed_ms),
tagged AS (
    INSERT INTO tidegate.batch_tag (topic_id, partition, tag, record_offset)
    SELECT $1, $2, u.tag, a.base_offset + u.element - 1
    FROM added a CROSS JOIN LATERAL unnest($10::bytea[]) WITH ORDINALITY AS u(tag, element) WHERE u.tag IS NOT NULL)
SELECT base_offset, base_byte, committed_ms, (SELECT is_source FROM head) FROM added

-- name: batch_insert_tags
-- $1 bigint topic_id, $2 int partition, $3 bigint base_offset, $4 bytea[] tags
INSERT INTO tidegate.batch_tag (topic_id, partition, tag, record_offset)
SELECT $1, $2, u.tag, $3 + u.element - 1 FROM unnest($4::bytea[]) WITH ORDINALITY AS u(tag, element) WHERE u.tag IS NOT NULL

-- name: batch_insert
-- twin: batch_insert_ephemeral
-- After judging: the place is known. $1 bigint topic_id, $2 int partition, $3 bigint base_offset, $4 bigint base_byte,
-- $5 bigint committed_ms, $6 bigint records, $7 bigint bytes, $8 bytea[] keys, $9 bytea[] vals, $10 bigint[] ts,
-- $11 bytea[] headers, $12 bytea[] tags, $13 bytea[] nodes, $14 bytea[] metas, $15 int[] appends, $16 int hops
INSERT INTO tidegate.batch (topic_id, partition, last_offset, base_offset, base_byte, committed_ms, records, bytes, keys, vals,
    ts, headers, tags, nodes, metas, appends, hops)
VALUES ($1, $2, $3::bigint + $6::bigint - 1, $3::bigint, $4, $5, $6::bigint::int, $7::bigint::int, $8, $9, $10, $11, $12, $13, $14, $15,
    $16::int)

-- name: batch_read
-- Head and batches of one snapshot, so that a floor is never missed. The head's columns repeat; without a batch there is one
-- row of them. $1 bigint topic_id, $2 int partition, $3 bigint from, $4 bigint most rows, $5 bigint most bytes before a row,
-- $6 bigint most records before a row
SELECT h.next_offset, h.next_byte, h.cap_floor, h.ttl_floor, h.is_closed, h.is_ephemeral,
       CASE WHEN t.ttl_ms > 0 THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint - t.ttl_ms ELSE 0 END AS expired_before_ms,
       b.last_offset, b.base_offset, b.base_byte, b.committed_ms, b.bytes, b.keys, b.vals, b.ts, b.headers, b.tags, b.nodes, b.metas,
       b.appends,
       h.source_floor, h.is_dest, b.hops::int, t.dedupe_node
FROM tidegate.head h
JOIN tidegate.topic t ON t.topic_id = h.topic_id
LEFT JOIN LATERAL (
    SELECT w.* FROM (
        SELECT a.*, sum(a.bytes) OVER (ORDER BY a.last_offset) - a.bytes AS bytes_before,
               sum((a.last_offset - a.base_offset + 1)::int) OVER (ORDER BY a.last_offset) - (a.last_offset - a.base_offset + 1)
                   AS records_before
        FROM (SELECT l.* FROM tidegate.batch l
              WHERE l.topic_id = $1 AND l.partition = $2 AND l.last_offset >= greatest($3, h.cap_floor, h.ttl_floor, h.source_floor)
              ORDER BY l.last_offset LIMIT $4) a) w
    WHERE w.bytes_before < $5::bigint AND w.records_before < $6::bigint
) b ON true
WHERE h.topic_id = $1 AND h.partition = $2
ORDER BY b.last_offset

-- name: batch_first_kept
-- twin: batch_first_kept_ephemeral
-- Where the batches begin that have not expired. $1 bigint topic_id, $2 int partition, $3 bigint from, $4 bigint expired before
SELECT base_offset FROM tidegate.batch
WHERE topic_id = $1 AND partition = $2 AND last_offset >= $3 AND committed_ms >= $4 ORDER BY last_offset LIMIT 1

-- name: batch_read_ephemeral
-- As batch_read, from the unlogged twin; has_mark tells whether a crash emptied it.
SELECT h.next_offset, h.next_byte, h.cap_floor, h.ttl_floor, h.is_closed, h.is_ephemeral,
       CASE WHEN t.ttl_ms > 0 THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint - t.ttl_ms ELSE 0 END AS expired_before_ms,
       b.last_offset, b.base_offset, b.base_byte, b.committed_ms, b.bytes, b.keys, b.vals, b.ts, b.headers, b.tags, b.nodes, b.metas,
       b.appends,
       h.source_floor, h.is_dest, b.hops::int, t.dedupe_node,
       EXISTS (SELECT FROM tidegate.ephemeral_mark m WHERE m.topic_id = $1 AND m.partition = $2) AS has_mark
FROM tidegate.head h
JOIN tidegate.topic t ON t.topic_id = h.topic_id
LEFT JOIN LATERAL (
    SELECT w.* FROM (
        SELECT a.*, sum(a.bytes) OVER (ORDER BY a.last_offset) - a.bytes AS bytes_before,
               sum((a.last_offset - a.base_offset + 1)::int) OVER (ORDER BY a.last_offset) - (a.last_offset - a.base_offset + 1)
                   AS records_before
        FROM (SELECT l.* FROM tidegate.batch_ephemeral l
              WHERE l.topic_id = $1 AND l.partition = $2 AND l.last_offset >= greatest($3, h.cap_floor, h.ttl_floor, h.source_floor)
              ORDER BY l.last_offset LIMIT $4) a) w
    WHERE w.bytes_before < $5::bigint AND w.records_before < $6::bigint
) b ON true
WHERE h.topic_id = $1 AND h.partition = $2
ORDER BY b.last_offset
