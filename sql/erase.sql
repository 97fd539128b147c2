-- Deleting single records: their elements become NULL, a row without a live record goes. All of it under the head's lock.
-- Rows and tags are looked up one by one (OFFSET 0 keeps the planner from joining), or between the first and the last of them: it
-- cannot know how few they are, and would read the whole index of a topic with a million of them for one.

-- name: erase_find_equal
-- $1 bigint topic_id, $2 int partition, $3 bytea tag, $4 bigint from, $5 bigint below, $6 bigint limit
SELECT record_offset FROM tidegate.batch_tag
WHERE topic_id = $1 AND partition = $2 AND tag = $3 AND record_offset >= $4 AND record_offset < $5
ORDER BY record_offset LIMIT $6

-- name: erase_find_between
-- Tags from $3 on and below $4, of records in [$5, $6). $1 bigint topic_id, $2 int partition, $7 bigint limit
SELECT record_offset FROM tidegate.batch_tag
WHERE topic_id = $1 AND partition = $2 AND tag >= $3 AND tag < $4 AND record_offset >= $5 AND record_offset < $6
ORDER BY tag, record_offset LIMIT $7

-- name: erase_find_from
-- Tags from $3 on, without an end: an end that may be missing would not bound the scan of the index. $1 bigint topic_id,
-- $2 int partition, $4 bigint from, $5 bigint below, $6 bigint limit
SELECT record_offset FROM tidegate.batch_tag
WHERE topic_id = $1 AND partition = $2 AND tag >= $3 AND record_offset >= $4 AND record_offset < $5
ORDER BY tag, record_offset LIMIT $6

-- name: erase_forget_tags
-- Tags of records that a crash took. $1 bigint topic_id, $2 int partition, $3 bigint below
DELETE FROM tidegate.batch_tag WHERE topic_id = $1 AND partition = $2 AND record_offset < $3

-- name: erase_row_at
-- twin: erase_row_at_ephemeral
-- The row that holds an offset, or the first one behind it. $1 bigint topic_id, $2 int partition, $3 bigint offset
SELECT base_offset, last_offset FROM tidegate.batch WHERE topic_id = $1 AND partition = $2 AND last_offset >= $3
ORDER BY last_offset LIMIT 1

-- name: erase_rows
-- twin: erase_rows_ephemeral
-- Whole rows and their tags. $1 bigint topic_id, $2 int partition, $3 bigint from, $4 bigint below, $5 bigint most rows
WITH gone AS (
    DELETE FROM tidegate.batch WHERE topic_id = $1 AND partition = $2 AND last_offset IN (
        SELECT last_offset FROM tidegate.batch WHERE topic_id = $1 AND partition = $2 AND last_offset >= $3 AND last_offset < $4
          AND base_offset >= $3 ORDER BY last_offset LIMIT $5)
    RETURNING base_offset, records, bytes, tags),
untagged AS (
    DELETE FROM tidegate.batch_tag WHERE ctid = ANY (ARRAY(
        SELECT t.place
        FROM gone g CROSS JOIN LATERAL unnest(g.tags) WITH ORDINALITY AS u(tag, element)
        CROSS JOIN LATERAL (SELECT ctid AS place FROM tidegate.batch_tag
                            WHERE topic_id = $1 AND partition = $2 AND tag = u.tag
                              AND record_offset = g.base_offset + u.element - 1 OFFSET 0) t)))
SELECT count(*), coalesce(sum(records), 0)::bigint, coalesce(sum(bytes), 0)::bigint FROM gone

-- name: erase_find_rows
-- twin: erase_find_rows_ephemeral
-- The first rows that hold any of the offsets. $1 bigint topic_id, $2 int partition, $3 bigint[] offsets, $4 bigint most rows
SELECT DISTINCT b.last_offset, b.base_offset
FROM unnest($3::bigint[]) AS w(record_offset)
CROSS JOIN LATERAL (SELECT l.last_offset, l.base_offset FROM tidegate.batch l
                    WHERE l.topic_id = $1 AND l.partition = $2 AND l.last_offset >= w.record_offset
                    ORDER BY l.last_offset LIMIT 1) b
WHERE b.base_offset <= w.record_offset ORDER BY b.last_offset LIMIT $4

-- name: erase_records
-- twin: erase_records_ephemeral
-- Makes records NULL; a row that then keeps none at or above the floor is deleted. Tells how many live records and bytes went.
-- $1 bigint topic_id, $2 int partition, $3 bigint[] the rows' last offsets, $4 bytea[] a byte per element of each: 1 = erase,
-- $5 bigint floor
WITH after AS MATERIALIZED (
    SELECT b.last_offset, x.*
    FROM unnest($3::bigint[], $4::bytea[]) AS w(last_offset, mask)
    CROSS JOIN LATERAL (SELECT l.* FROM tidegate.batch l
                        WHERE l.topic_id = $1 AND l.partition = $2 AND l.last_offset = w.last_offset OFFSET 0) b
    CROSS JOIN LATERAL (
        SELECT array_agg(u.v ORDER BY u.element) AS vals,
               array_agg(u.k ORDER BY u.element) FILTER (WHERE b.keys IS NOT NULL) AS keys,
               array_agg(u.h ORDER BY u.element) FILTER (WHERE b.headers IS NOT NULL) AS headers,
               array_agg(u.g ORDER BY u.element) FILTER (WHERE b.tags IS NOT NULL) AS tags,
               array_agg(u.n ORDER BY u.element) FILTER (WHERE b.nodes IS NOT NULL) AS nodes,
               array_agg(u.m ORDER BY u.element) FILTER (WHERE b.metas IS NOT NULL) AS metas,
               count(*) FILTER (WHERE u.v IS NOT NULL) AS records,
               count(*) FILTER (WHERE u.v IS NOT NULL AND u.record_offset >= $5::bigint) AS kept,
               count(*) FILTER (WHERE u.is_erased) AS erased,
               coalesce(sum(u.size) FILTER (WHERE u.is_erased), 0)::bigint AS erased_bytes,
               array_agg(u.tag) FILTER (WHERE u.is_erased AND u.tag IS NOT NULL) AS erased_tags,
               array_agg(u.record_offset) FILTER (WHERE u.is_erased AND u.tag IS NOT NULL) AS erased_offsets
        FROM (SELECT CASE WHEN e.hit = 0 THEN e.v END AS v, CASE WHEN e.hit = 0 THEN e.k END AS k,
                     CASE WHEN e.hit = 0 THEN e.h END AS h, CASE WHEN e.hit = 0 THEN e.g END AS g,
                     CASE WHEN e.hit = 0 THEN e.n END AS n, CASE WHEN e.hit = 0 THEN e.m END AS m,
                     e.g AS tag, e.element, b.base_offset + e.element - 1 AS record_offset,
                     e.hit = 1 AND e.v IS NOT NULL AS is_erased,
                     (octet_length(e.v) + coalesce(octet_length(e.k), 0) + coalesce(octet_length(e.h), 0)
                      + coalesce(octet_length(e.m), 0))::bigint AS size
              FROM (SELECT i.*, get_byte(w.mask, i.element::int - 1) AS hit
                    FROM unnest(b.vals, b.keys, b.headers, b.tags, b.nodes, b.metas) WITH ORDINALITY
                        AS i(v, k, h, g, n, m, element)) e) u) x
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
SELECT coalesce(sum(erased), 0)::bigint, coalesce(sum(erased_bytes), 0)::bigint FROM after
