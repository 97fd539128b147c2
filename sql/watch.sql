-- name: watch_session_lock
-- Whoever counts sessions of a tenant does it alone. $1 bigint tenant_id
SELECT pg_advisory_xact_lock(7233156, hashint8($1))

-- name: watch_session_count
-- $1 bigint tenant_id, $2 bigint ttl in ms
SELECT count(*) FROM tidegate.watch_session
WHERE tenant_id = $1 AND used_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $2

-- name: watch_session_insert
-- $1 bytea wid, $2 bigint tenant_id, $3 text key_id, $4 int heartbeat_ms, $5 int max_records, $6 int max_bytes,
-- $7 boolean has_meta, $8 boolean has_tags, $9 boolean has_data, $10 bytea[] nodes, $11 text[] names,
-- $12 bigint[] topic_ids, $13 bigint[] positions
INSERT INTO tidegate.watch_session (wid, tenant_id, key_id, used_ms, heartbeat_ms, max_records, max_bytes, has_meta, has_tags,
    has_data, nodes, names, topic_ids, positions)
VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: watch_session_owner
-- Whose session it is; no row when it is not there or was forgotten. $1 bytea wid, $2 bigint ttl in ms
SELECT tenant_id, key_id FROM tidegate.watch_session
WHERE wid = $1 AND used_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $2

-- name: watch_session_open
-- For a new stream: the session is its own from now on, which the worker of an older one is told. $1 bytea wid,
-- $2 bigint ttl in ms
WITH opened AS (
    UPDATE tidegate.watch_session SET generation = generation + 1, used_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE wid = $1 AND used_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $2
    RETURNING generation, heartbeat_ms, max_records, max_bytes, has_meta, has_tags, has_data, nodes, names, topic_ids, positions)
SELECT generation, heartbeat_ms, max_records, max_bytes, has_meta, has_tags, has_data, nodes, names, topic_ids, positions,
       CASE WHEN generation > 1 THEN pg_notify('tidegate_watch', encode($1, 'hex') || ' ' || generation) END
FROM opened

-- name: watch_session_save
-- Of many sessions at once; a row comes back for each that is still its writer's. $1 bytea[] wids, $2 bigint[] generations,
-- $3 text[] topic ids as arrays, $4 text[] positions as arrays
UPDATE tidegate.watch_session s SET used_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    topic_ids = n.topic_ids::bigint[], positions = n.positions::bigint[]
FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[]) AS n(wid, generation, topic_ids, positions)
WHERE s.wid = n.wid AND s.generation = n.generation
RETURNING s.wid

-- name: watch_session_forget
-- Some of those that nobody used for long. $1 bigint ttl in ms, $2 bigint at most
DELETE FROM tidegate.watch_session WHERE wid IN (
    SELECT wid FROM tidegate.watch_session
    WHERE used_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
