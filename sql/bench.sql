-- What `tidegate bench` says to the database: a log of its own in the server's tables (topic -1, which no topic has), and
-- questions. The appends themselves are append_batch, the server's.

-- name: bench_head_insert
INSERT INTO tidegate.head (topic_id, partition, is_plain) VALUES (-1, 0, true)

-- name: bench_head_delete
DELETE FROM tidegate.head WHERE topic_id = -1

-- name: bench_batch_delete
DELETE FROM tidegate.batch WHERE topic_id = -1

-- name: bench_count
-- Records that the head promises, records that are there, and whether each batch begins where the one before ends.
SELECT (SELECT next_offset FROM tidegate.head WHERE topic_id = -1 AND partition = 0),
       coalesce(sum(b.records), 0)::bigint,
       coalesce(bool_and(b.base_offset = b.expected_offset), true)
FROM (SELECT records, base_offset, coalesce(lag(last_offset) OVER (ORDER BY last_offset) + 1, 0) AS expected_offset
      FROM tidegate.batch WHERE topic_id = -1 AND partition = 0) b

-- name: bench_is_erased
-- Nothing is left of topics that were deleted.
SELECT NOT EXISTS (SELECT FROM tidegate.discarded)

-- name: bench_setting
-- $1 text name
SELECT current_setting($1::text)

-- name: bench_backend
SELECT pg_backend_pid()

-- name: bench_tenants_insert
-- $1 int how many more
INSERT INTO tidegate.tenant (name, created_ms)
SELECT 'bench-' || n, 0 FROM generate_series(1, $1::int) n

-- name: bench_keys_insert
-- Keys that nobody knows, for all tenants in turn. $1 int how many
INSERT INTO tidegate.api_key (key_id, tenant_id, name, secret_hash, scopes, prefixes, created_ms)
SELECT substr(md5('bench' || n), 1, 12), t.ids[1 + n % cardinality(t.ids)], 'bench', sha256(n::text::bytea),
       ARRAY['read', 'write'], ARRAY[]::text[], 0
FROM generate_series(1, $1::int) n, (SELECT array_agg(tenant_id) AS ids FROM tidegate.tenant) t
