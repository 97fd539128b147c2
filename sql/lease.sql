-- name: lease_lock
-- All arithmetic on the leases of one consumer and partition. $1 bigint topic_id, $2 text consumer, $3 int partition
SELECT pg_advisory_xact_lock(hashtextextended($2::text, $1::bigint # ($3::int::bigint << 40) # 7233157))

-- name: lease_open
-- Head, rules and cursor, read under the lock. $1 bigint topic_id, $2 text consumer, $3 int partition
SELECT n.now_ms, h.next_offset, greatest(h.cap_floor, h.ttl_floor, h.source_floor), h.live_records,
       t.durability::int, t.leases_durable, t.max_deliveries, t.dead_letter, t.claim_jitter_ms,
       h.is_ephemeral AND NOT EXISTS (SELECT FROM tidegate.ephemeral_mark m WHERE m.topic_id = $1 AND m.partition = $3)
       OR t.ttl_ms > 0 AND h.live_records > 0 AND coalesce(
           (SELECT b.committed_ms FROM tidegate.batch b WHERE b.topic_id = $1 AND b.partition = $3
              AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor) ORDER BY b.last_offset LIMIT 1),
           (SELECT b.committed_ms FROM tidegate.batch_ephemeral b WHERE b.topic_id = $1 AND b.partition = $3
              AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor) ORDER BY b.last_offset LIMIT 1),
           n.now_ms) < n.now_ms - t.ttl_ms AS is_unsettled,
       h.is_dest, h.is_ephemeral,
       c.next_offset, c.floor_offset, c.last_number, c.held, c.postponed, c.returned, c.due_ms, c.dead_lettered, c.window_ends_ms
FROM tidegate.head h
JOIN tidegate.topic t ON t.topic_id = h.topic_id
CROSS JOIN (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) n
LEFT JOIN tidegate.lease_cursor c ON c.topic_id = h.topic_id AND c.consumer = $2 AND c.partition = h.partition
WHERE h.topic_id = $1 AND h.partition = $3

-- name: lease_find
-- One by one: the planner does not know how few they are. $1 bigint topic_id, $2 text consumer, $3 int partition,
-- $4 bigint[] offsets
SELECT l.record_offset, l.holder, l.number, l.free_ms, l.deliveries FROM unnest($4::bigint[]) AS w (record_offset)
CROSS JOIN LATERAL (SELECT * FROM tidegate.lease
                    WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND record_offset = w.record_offset OFFSET 0) l
ORDER BY l.record_offset

-- name: lease_find_returned
-- The first that are ready again. $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint from, $5 bigint limit
SELECT record_offset, holder, number, free_ms, deliveries FROM tidegate.lease
WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND free_ms = 0 AND record_offset >= $4
ORDER BY record_offset LIMIT $5

-- name: lease_put
-- $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint[] offsets, $5 bytea[] holders, $6 bigint[] numbers,
-- $7 bigint[] free_ms, $8 bigint[] deliveries
INSERT INTO tidegate.lease (topic_id, consumer, partition, record_offset, holder, number, free_ms, deliveries)
SELECT $1, $2, $3, u.record_offset, u.holder, u.number, u.free_ms, u.deliveries
FROM unnest($4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[])
    AS u (record_offset, holder, number, free_ms, deliveries)
ON CONFLICT (topic_id, consumer, partition, record_offset) DO UPDATE SET holder = excluded.holder, number = excluded.number,
    free_ms = excluded.free_ms, deliveries = excluded.deliveries

-- name: lease_drop
-- $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint[] offsets
DELETE FROM tidegate.lease
WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND record_offset = ANY ($4::bigint[])
  AND record_offset >= (SELECT min(o) FROM unnest($4::bigint[]) AS u(o))
  AND record_offset <= (SELECT max(o) FROM unnest($4::bigint[]) AS u(o))

-- name: lease_drop_below
-- Records that were lost to caps or age. $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint floor
DELETE FROM tidegate.lease WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND record_offset < $4

-- name: lease_free
-- What is over by now. $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint now_ms
UPDATE tidegate.lease SET holder = NULL, free_ms = 0
WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND free_ms > 0 AND free_ms <= $4

-- name: lease_count
-- $1 bigint topic_id, $2 text consumer, $3 int partition
SELECT count(*) FILTER (WHERE free_ms > 0 AND holder IS NOT NULL), count(*) FILTER (WHERE free_ms > 0 AND holder IS NULL),
       count(*) FILTER (WHERE free_ms = 0), coalesce(min(free_ms) FILTER (WHERE free_ms > 0), 0)
FROM tidegate.lease WHERE topic_id = $1 AND consumer = $2 AND partition = $3

-- name: lease_put_cursor
-- $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint next_offset, $5 floor_offset, $6 last_number, $7 held,
-- $8 postponed, $9 returned, $10 due_ms, $11 dead_lettered, $12 window_ends_ms
INSERT INTO tidegate.lease_cursor (topic_id, consumer, partition, next_offset, floor_offset, last_number, held, postponed,
    returned, due_ms, dead_lettered, window_ends_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (topic_id, consumer, partition) DO UPDATE SET next_offset = excluded.next_offset,
    floor_offset = excluded.floor_offset, last_number = excluded.last_number, held = excluded.held,
    postponed = excluded.postponed, returned = excluded.returned, due_ms = excluded.due_ms,
    dead_lettered = excluded.dead_lettered, window_ends_ms = excluded.window_ends_ms

-- name: lease_relax
-- This transaction's commit does not wait for the disk.
SELECT set_config('synchronous_commit', 'off', true)

-- name: lease_describe
-- As things stand by the clock, without the lock. $1 bigint topic_id, $2 text consumer, $3 int partition
SELECT greatest(h.live_records - l.held - l.postponed, 0), l.held, coalesce(c.dead_lettered, 0)
FROM tidegate.head h
LEFT JOIN tidegate.lease_cursor c ON c.topic_id = h.topic_id AND c.consumer = $2 AND c.partition = h.partition
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.holder IS NOT NULL) AS held, count(*) FILTER (WHERE r.holder IS NULL) AS postponed
    FROM tidegate.lease r
    WHERE r.topic_id = h.topic_id AND r.consumer = $2 AND r.partition = h.partition
      AND r.record_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
      AND r.free_ms > (extract(epoch FROM clock_timestamp()) * 1000)::bigint) l
WHERE h.topic_id = $1 AND h.partition = $3

-- name: lease_delete_discarded
-- $1 bigint topic_id, $2 bigint limit
DELETE FROM tidegate.lease WHERE topic_id = $1 AND (consumer, partition, record_offset) IN (
    SELECT consumer, partition, record_offset FROM tidegate.lease WHERE topic_id = $1 LIMIT $2)

-- name: lease_forget_discarded
-- $1 bigint topic_id
WITH claims AS (DELETE FROM tidegate.lease_claim WHERE topic_id = $1)
DELETE FROM tidegate.lease_cursor WHERE topic_id = $1

-- name: lease_forget_erased
-- Leases of records that are gone, below an offset; their consumers count anew at the next look. $1 bigint topic_id,
-- $2 int partition, $3 bigint below
WITH gone AS (
    DELETE FROM tidegate.lease l
    WHERE l.topic_id = $1 AND l.partition = $2 AND l.record_offset < $3
      AND NOT EXISTS (SELECT FROM (SELECT b.* FROM tidegate.batch b WHERE b.topic_id = $1 AND b.partition = $2
                                     AND b.last_offset >= l.record_offset ORDER BY b.last_offset LIMIT 1) r
                      WHERE r.base_offset <= l.record_offset AND (r.records = r.last_offset - r.base_offset + 1
                          OR r.vals[(l.record_offset - r.base_offset + 1)::int] IS NOT NULL))
      AND NOT EXISTS (SELECT FROM (SELECT b.* FROM tidegate.batch_ephemeral b WHERE b.topic_id = $1 AND b.partition = $2
                                     AND b.last_offset >= l.record_offset ORDER BY b.last_offset LIMIT 1) r
                      WHERE r.base_offset <= l.record_offset AND (r.records = r.last_offset - r.base_offset + 1
                          OR r.vals[(l.record_offset - r.base_offset + 1)::int] IS NOT NULL))
    RETURNING l.consumer)
UPDATE tidegate.lease_cursor c SET due_ms = 1
WHERE c.topic_id = $1 AND c.partition = $2 AND c.consumer IN (SELECT consumer FROM gone)

-- name: lease_claim_put
-- Claims that wait for the end of a window. $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint ends_ms,
-- $5 bigint[] claim ids, $6 bytea[] holders, $7 bigint[] wanted, $8 bigint[] lease_ms
INSERT INTO tidegate.lease_claim (topic_id, consumer, partition, ends_ms, claim_id, holder, wanted, lease_ms)
SELECT $1, $2, $3, $4, u.claim_id, u.holder, u.wanted::int, u.lease_ms
FROM unnest($5::bigint[], $6::bytea[], $7::bigint[], $8::bigint[]) AS u (claim_id, holder, wanted, lease_ms)

-- name: lease_claim_list
-- Those that were dealt nothing yet, in the order of arrival. $1 bigint topic_id, $2 text consumer, $3 int partition
SELECT claim_id, holder, wanted, lease_ms, ends_ms FROM tidegate.lease_claim
WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND offsets IS NULL ORDER BY claim_id

-- name: lease_claim_find
-- What another worker dealt. $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint[] claim ids
SELECT claim_id, offsets FROM tidegate.lease_claim
WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND claim_id = ANY ($4::bigint[]) AND offsets IS NOT NULL

-- name: lease_claim_deal
-- $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint claim id, $5 bigint[] offsets
UPDATE tidegate.lease_claim SET offsets = $5 WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND claim_id = $4

-- name: lease_claim_drop
-- Answered ones, and what dead workers left. $1 bigint topic_id, $2 text consumer, $3 int partition, $4 bigint[] claim ids,
-- $5 bigint ended before
DELETE FROM tidegate.lease_claim
WHERE topic_id = $1 AND consumer = $2 AND partition = $3 AND (claim_id = ANY ($4::bigint[]) OR ends_ms < $5)

-- name: lease_lock_head
-- $1 bigint topic_id, $2 int partition
SELECT FROM tidegate.head WHERE topic_id = $1 AND partition = $2 FOR UPDATE

-- name: lease_erase
-- twin: lease_erase_ephemeral
-- Jobs that are done with leave their rows, as in erase_records, but in one statement: the transaction goes on without an answer.
-- Behind lease_lock_head. What is left of the queue comes back. $1 bigint topic_id, $2 int partition, $3 bigint[] offsets
WITH place AS (
    SELECT greatest(cap_floor, ttl_floor, source_floor) AS floor FROM tidegate.head WHERE topic_id = $1 AND partition = $2),
wanted AS (
    SELECT r.last_offset, array_agg(w.record_offset) AS offsets
    FROM place p CROSS JOIN unnest($3::bigint[]) AS w(record_offset)
    CROSS JOIN LATERAL (SELECT l.last_offset, l.base_offset FROM tidegate.batch l
                        WHERE l.topic_id = $1 AND l.partition = $2 AND l.last_offset >= w.record_offset
                        ORDER BY l.last_offset LIMIT 1) r
    WHERE r.base_offset <= w.record_offset AND w.record_offset >= p.floor
    GROUP BY r.last_offset),
after AS MATERIALIZED (
    SELECT b.last_offset, x.*
    FROM place p CROSS JOIN wanted w
    CROSS JOIN LATERAL (SELECT l.* FROM tidegate.batch l
                        WHERE l.topic_id = $1 AND l.partition = $2 AND l.last_offset = w.last_offset OFFSET 0) b
    CROSS JOIN LATERAL (
        SELECT array_agg(CASE WHEN u.stays THEN u.v END ORDER BY u.element) AS vals,
               array_agg(CASE WHEN u.stays THEN u.k END ORDER BY u.element) FILTER (WHERE b.keys IS NOT NULL) AS keys,
               array_agg(CASE WHEN u.stays THEN u.h END ORDER BY u.element) FILTER (WHERE b.headers IS NOT NULL) AS headers,
               array_agg(CASE WHEN u.stays THEN u.g END ORDER BY u.element) FILTER (WHERE b.tags IS NOT NULL) AS tags,
               array_agg(CASE WHEN u.stays THEN u.n END ORDER BY u.element) FILTER (WHERE b.nodes IS NOT NULL) AS nodes,
               array_agg(CASE WHEN u.stays THEN u.m END ORDER BY u.element) FILTER (WHERE b.metas IS NOT NULL) AS metas,
               count(u.v) FILTER (WHERE u.stays) AS records,
               count(u.v) FILTER (WHERE u.stays AND u.record_offset >= p.floor) AS kept,
               count(u.v) FILTER (WHERE NOT u.stays) AS erased,
               coalesce(sum(octet_length(u.v) + coalesce(octet_length(u.k), 0) + coalesce(octet_length(u.h), 0)
                            + coalesce(octet_length(u.m), 0)) FILTER (WHERE NOT u.stays), 0) AS erased_bytes,
               array_agg(u.g) FILTER (WHERE NOT u.stays AND u.g IS NOT NULL) AS erased_tags,
               array_agg(u.record_offset) FILTER (WHERE NOT u.stays AND u.g IS NOT NULL) AS erased_offsets
        FROM (SELECT i.*, b.base_offset + i.element - 1 AS record_offset,
                     b.base_offset + i.element - 1 <> ALL (w.offsets) AS stays
              FROM unnest(b.vals, b.keys, b.headers, b.tags, b.nodes, b.metas) WITH ORDINALITY
                  AS i(v, k, h, g, n, m, element) OFFSET 0) u) x
    WHERE x.erased > 0),
gone AS (
    DELETE FROM tidegate.batch
    WHERE topic_id = $1 AND partition = $2 AND last_offset >= (SELECT min(last_offset) FROM after)
      AND last_offset <= (SELECT max(last_offset) FROM after)
      AND last_offset = ANY (ARRAY(SELECT last_offset FROM after WHERE kept = 0))),
thinned AS (
    UPDATE tidegate.batch b SET (vals, keys, headers, tags, nodes, metas, records, bytes) = (
        SELECT a.vals, a.keys, a.headers, a.tags, a.nodes, a.metas, a.records::int, b.bytes - a.erased_bytes::int
        FROM after a WHERE a.last_offset = b.last_offset)
    WHERE topic_id = $1 AND partition = $2 AND last_offset >= (SELECT min(last_offset) FROM after)
      AND last_offset <= (SELECT max(last_offset) FROM after)
      AND last_offset = ANY (ARRAY(SELECT last_offset FROM after WHERE kept > 0))),
untagged AS (
    DELETE FROM tidegate.batch_tag WHERE ctid = ANY (ARRAY(
        SELECT t.place
        FROM after a CROSS JOIN LATERAL unnest(a.erased_tags, a.erased_offsets) AS u(tag, record_offset)
        CROSS JOIN LATERAL (SELECT ctid AS place FROM tidegate.batch_tag
                            WHERE topic_id = $1 AND partition = $2 AND tag = u.tag
                              AND record_offset = u.record_offset OFFSET 0) t)))
UPDATE tidegate.head h SET live_records = h.live_records - s.erased,
    live_bytes = CASE WHEN h.live_records > s.erased THEN h.live_bytes - s.erased_bytes ELSE 0 END
FROM (SELECT coalesce(sum(erased), 0)::bigint AS erased, coalesce(sum(erased_bytes), 0)::bigint AS erased_bytes FROM after) s
WHERE h.topic_id = $1 AND h.partition = $2
RETURNING h.live_records
