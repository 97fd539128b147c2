-- name: router_lock_tenant
-- Definitions of one tenant change one at a time: loops, fan-in and the limit are judged on what is. $1 bigint tenant_id
SELECT pg_advisory_xact_lock(7233157, hashint8($1))

-- name: router_lock_tenant_shared
-- Nobody defines a router meanwhile. $1 bigint tenant_id
SELECT pg_advisory_xact_lock_shared(7233157, hashint8($1))

-- name: router_find_topic
-- $1 bigint tenant_id, $2 text name
SELECT topic_id, created_ms FROM tidegate.topic WHERE tenant_id = $1 AND name = $2

-- name: router_has_fan_in
-- Whether another router brings records of another source to a topic. $1 bigint dest_id, $2 text router, $3 bigint source id
SELECT EXISTS (SELECT FROM tidegate.router WHERE dest_id = $1 AND name <> $2 AND topic_id <> $3)

-- name: router_count
-- $1 bigint tenant_id
SELECT count(*) FROM tidegate.router WHERE tenant_id = $1

-- name: router_edges_upstream
-- Every way into a topic, by other routers. $1 bigint topic_id, $2 text router
WITH RECURSIVE up(topic_id) AS (
    SELECT $1::bigint
    UNION
    SELECT r.topic_id FROM up JOIN tidegate.router r ON r.dest_id = up.topic_id AND r.name <> $2)
SELECT DISTINCT r.source, r.dest FROM up JOIN tidegate.router r ON r.dest_id = up.topic_id AND r.name <> $2 ORDER BY 1, 2

-- name: router_get
-- $1 bigint tenant_id, $2 text name
SELECT name, source, dest, preserve_node, preserve_tag, allow_cycle, exactly_once, filter_kind::int, filter_text, forwarded_total,
       topic_id, router_id, dest_id
FROM tidegate.router WHERE tenant_id = $1 AND name = $2

-- name: router_list
-- $1 bigint tenant_id, $2 text prefix, $3 text after, $4 bigint limit, $5 text source or NULL, $6 text dest or NULL
SELECT name, source, dest, preserve_node, preserve_tag, allow_cycle, exactly_once, filter_kind::int, filter_text, forwarded_total,
       topic_id, router_id, dest_id
FROM tidegate.router WHERE tenant_id = $1 AND starts_with(name, $2) AND name > $3 AND name >= $2
  AND ($5::text IS NULL OR source = $5) AND ($6::text IS NULL OR dest = $6) ORDER BY name LIMIT $4

-- name: router_lock_heads
-- In order, as everyone who locks several. $1 bigint source id, $2 bigint dest_id
SELECT topic_id, partition, next_offset FROM tidegate.head WHERE topic_id = $1 OR topic_id = $2
ORDER BY topic_id, partition FOR UPDATE

-- name: router_mark_heads
-- Those locked before. $1 bigint source id, $2 bigint dest_id
UPDATE tidegate.head h SET
    is_source = EXISTS (SELECT FROM tidegate.router r WHERE r.topic_id = h.topic_id),
    is_dest = EXISTS (SELECT FROM tidegate.router r WHERE r.dest_id = h.topic_id)
WHERE h.topic_id = $1 OR h.topic_id = $2

-- name: router_insert
-- $1 bigint source id, $2 bigint tenant_id, $3 bigint dest_id, $4 text name, $5 text source, $6 text dest, $7-$10 boolean
-- preserve_node, preserve_tag, allow_cycle, exactly_once, $11 int filter_kind, $12 bytea filter_text, $13 bigint source_epoch,
-- $14 bigint[] positions
INSERT INTO tidegate.router (topic_id, tenant_id, dest_id, name, source, dest, preserve_node, preserve_tag, allow_cycle,
    exactly_once, filter_kind, filter_text, source_epoch, positions)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::int, $12, $13, $14)

-- name: router_update
-- $1 bigint source id, $2 bigint router_id, $3-$6 boolean preserve_node, preserve_tag, allow_cycle, exactly_once,
-- $7 int filter_kind, $8 bytea filter_text
UPDATE tidegate.router SET preserve_node = $3, preserve_tag = $4, allow_cycle = $5, exactly_once = $6, filter_kind = $7::int,
    filter_text = $8
WHERE topic_id = $1 AND router_id = $2

-- name: router_delete
-- $1 bigint tenant_id, $2 text name
DELETE FROM tidegate.router WHERE tenant_id = $1 AND name = $2 RETURNING topic_id, dest_id

-- name: router_lock_of_topic
-- And nobody defines a router meanwhile. $1 bigint[] topic_id, of one tenant
WITH tenant AS (
    SELECT pg_advisory_xact_lock_shared(7233157, hashint8(t.tenant_id)) FROM tidegate.topic t WHERE t.topic_id = ANY($1)
    LIMIT 1)
SELECT r.router_id FROM tidegate.router r, (SELECT count(*) FROM tenant) AS locked
WHERE r.topic_id = ANY($1) OR r.dest_id = ANY($1) ORDER BY r.router_id FOR UPDATE OF r

-- name: router_delete_of_topic
-- Locked in the order in which a copying step locks them. $1 bigint[] topic_id
WITH locked AS (
    SELECT topic_id, router_id FROM tidegate.router WHERE topic_id = ANY($1) OR dest_id = ANY($1) ORDER BY router_id FOR UPDATE),
gone AS (
    DELETE FROM tidegate.router r USING locked l WHERE r.topic_id = l.topic_id AND r.router_id = l.router_id RETURNING r.name)
SELECT name FROM gone ORDER BY name

-- name: router_lock_behind
-- Routers with something to look at, in order. $1 bigint source id, $2 int partition, $3 bigint dest_id or NULL = all,
-- $4 bigint after router_id, $5 bigint limit
SELECT r.router_id, r.dest_id, r.name, r.source, r.preserve_node, r.preserve_tag, r.exactly_once, r.filter_kind::int,
       r.filter_text, r.source_epoch, coalesce(r.positions[$2 + 1], 0), d.partitions, d.durability::int, d.kind::int,
       s.durability::int, r.tenant_id, r.dest
FROM tidegate.router r
JOIN tidegate.head h ON h.topic_id = r.topic_id AND h.partition = $2
JOIN tidegate.topic s ON s.topic_id = r.topic_id
JOIN tidegate.topic d ON d.topic_id = r.dest_id
WHERE r.topic_id = $1 AND r.router_id > $4 AND ($3::bigint IS NULL OR r.dest_id = $3)
  AND coalesce(r.positions[$2 + 1], 0) < h.next_offset
ORDER BY r.router_id LIMIT $5 FOR UPDATE OF r

-- name: router_set_commit
-- For this transaction: whether the commit waits for the disk. $1 text on or off
SELECT set_config('synchronous_commit', $1, true)

-- name: router_put_keys
-- $1 bigint topic_id, $2 bytea[] keys, $3 bytea[] results, $4 bigint now_ms, $5 bigint expires_ms
INSERT INTO tidegate.idempotency (topic_id, key, created_ms, expires_ms, result)
SELECT $1, u.key, $4, $5, u.result FROM unnest($2::bytea[], $3::bytea[]) AS u(key, result)
ON CONFLICT (topic_id, key) DO UPDATE SET created_ms = excluded.created_ms, expires_ms = excluded.expires_ms,
    result = excluded.result

-- name: router_save
-- $1 bigint source id, $2 int partition, $3 bigint[] router ids, $4 bigint[] positions, $5 bigint[] records forwarded
UPDATE tidegate.router r SET positions[$2 + 1] = u.position, forwarded_total = r.forwarded_total + u.forwarded
FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS u(router_id, position, forwarded)
WHERE r.topic_id = $1 AND r.router_id = u.router_id

-- name: router_upstream
-- What leads to a topic, furthest first, and whether there is something to copy. $1 bigint topic_id, $2 int most hops
WITH RECURSIVE up(topic_id, depth) AS (
    SELECT $1::bigint, 1
    UNION
    SELECT r.topic_id, up.depth + 1 FROM up JOIN tidegate.router r ON r.dest_id = up.topic_id WHERE up.depth < $2)
SELECT r.topic_id, r.dest_id, h.partition, bool_or(coalesce(r.positions[h.partition + 1], 0) < h.next_offset)
FROM up
JOIN tidegate.router r ON r.dest_id = up.topic_id
JOIN tidegate.head h ON h.topic_id = r.topic_id
GROUP BY up.depth, r.topic_id, r.dest_id, h.partition
ORDER BY up.depth DESC, r.topic_id, r.dest_id, h.partition

-- name: router_find_behind
-- Sources with something to copy, after one of them. $1 bigint topic_id, $2 int partition, $3 bigint limit
SELECT DISTINCT h.topic_id, h.partition
FROM tidegate.router r
JOIN tidegate.head h ON h.topic_id = r.topic_id
WHERE (h.topic_id, h.partition) > ($1, $2) AND coalesce(r.positions[h.partition + 1], 0) < h.next_offset
ORDER BY h.topic_id, h.partition LIMIT $3
