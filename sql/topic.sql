-- name: topic_get
-- $1 bigint tenant_id, $2 text name
SELECT topic_id, tenant_id, name, origin::int, kind::int, partitions, replication_factor, created_ms, durability::int,
       discard_old, auto_priority, auto_create, dedupe_node, leases_durable, priority, ttl_ms, cap_records, cap_bytes,
       idempotency_window_ms, lease_ms, claim_jitter_ms, max_deliveries, dead_letter
FROM tidegate.topic WHERE tenant_id = $1 AND name = $2

-- name: topic_list
-- $1 bigint tenant_id, $2 text prefix, $3 text after, $4 bigint limit
SELECT topic_id, tenant_id, name, origin::int, kind::int, partitions, replication_factor, created_ms, durability::int,
       discard_old, auto_priority, auto_create, dedupe_node, leases_durable, priority, ttl_ms, cap_records, cap_bytes,
       idempotency_window_ms, lease_ms, claim_jitter_ms, max_deliveries, dead_letter
FROM tidegate.topic WHERE tenant_id = $1 AND starts_with(name, $2) AND name > $3 AND name >= $2 ORDER BY name LIMIT $4

-- name: topic_count
-- $1 bigint tenant_id
SELECT count(*) FROM tidegate.topic WHERE tenant_id = $1

-- name: topic_lock_tenant
-- Creations of one tenant come one at a time, so that the limit of topics holds exactly. $1 bigint tenant_id
SELECT pg_advisory_xact_lock(7233155, hashint8($1))

-- name: topic_limit
-- What the tenant may have, if it is not what the server says. $1 bigint tenant_id
SELECT most FROM tidegate.tenant_limit WHERE tenant_id = $1 AND name = 'topics'

-- name: topic_insert
-- $1 bigint tenant_id, $2 text name, $3 int origin, $4 int kind, $5 int partitions, $6 int replication_factor,
-- $7 int durability, $8-$12 boolean flags, $13 int priority, $14-$20 bigint settings, $21 text dead_letter
INSERT INTO tidegate.topic (tenant_id, name, origin, kind, partitions, replication_factor, durability, discard_old,
    auto_priority, auto_create, dedupe_node, leases_durable, priority, ttl_ms, cap_records, cap_bytes,
    idempotency_window_ms, lease_ms, claim_jitter_ms, max_deliveries, dead_letter, created_ms)
VALUES ($1, $2, $3::int, $4::int, $5, $6, $7::int, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING topic_id

-- name: topic_update
-- $1 bigint topic_id, $2 int partitions, $3 int durability, $4-$8 boolean flags, $9 int priority, $10-$16 bigint
-- settings, $17 text dead_letter
UPDATE tidegate.topic SET partitions = $2, durability = $3::int, discard_old = $4, auto_priority = $5, auto_create = $6,
    dedupe_node = $7, leases_durable = $8, priority = $9, ttl_ms = $10, cap_records = $11, cap_bytes = $12,
    idempotency_window_ms = $13, lease_ms = $14, claim_jitter_ms = $15, max_deliveries = $16, dead_letter = $17
WHERE topic_id = $1

-- name: topic_delete
-- $1 bigint[] topic_id
DELETE FROM tidegate.topic WHERE topic_id = ANY($1)

-- name: topic_discard
-- $1 bigint[] topic_id
INSERT INTO tidegate.discarded (topic_id, created_ms)
SELECT u.topic_id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM unnest($1::bigint[]) AS u(topic_id)

-- name: topic_delete_heads
-- $1 bigint[] topic_id
DELETE FROM tidegate.head WHERE topic_id = ANY($1)

-- name: topic_delete_idempotency
-- $1 bigint[] topic_id
DELETE FROM tidegate.idempotency WHERE topic_id = ANY($1)

-- name: topic_delete_producers
-- $1 bigint[] topic_id
DELETE FROM tidegate.producer WHERE topic_id = ANY($1)

-- name: topic_delete_groups
-- $1 bigint[] topic_id
DELETE FROM tidegate.consumer_group WHERE topic_id = ANY($1)

-- name: topic_delete_group_partitions
-- $1 bigint[] topic_id
DELETE FROM tidegate.group_partition WHERE topic_id = ANY($1)

-- name: topic_delete_marks
-- $1 bigint[] topic_id
DELETE FROM tidegate.ephemeral_mark WHERE topic_id = ANY($1)

-- name: topic_move_to_ephemeral
-- $1 bigint topic_id
WITH moved AS (DELETE FROM tidegate.batch WHERE topic_id = $1 RETURNING *)
INSERT INTO tidegate.batch_ephemeral SELECT * FROM moved

-- name: topic_move_from_ephemeral
-- $1 bigint topic_id
WITH moved AS (DELETE FROM tidegate.batch_ephemeral WHERE topic_id = $1 RETURNING *)
INSERT INTO tidegate.batch SELECT * FROM moved
