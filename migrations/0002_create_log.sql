-- The log: topics, heads, batches, and the side tables that exceptional records need. DESIGN: docs/architecture.md.
-- Every data-plane primary key begins with topic_id, so that the tables can be distributed by it.

CREATE TABLE tidegate.topic (
    topic_id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id             bigint NOT NULL REFERENCES tidegate.tenant (tenant_id),
    name                  text COLLATE "C" NOT NULL,
    origin                smallint NOT NULL,              -- the dialect that made it: log_origin
    kind                  smallint NOT NULL,              -- log_kind
    partitions            int NOT NULL,
    replication_factor    int NOT NULL,
    created_ms            bigint NOT NULL,
    durability            smallint NOT NULL,              -- log_durability
    discard_old           boolean NOT NULL,
    auto_priority         boolean NOT NULL,
    auto_create           boolean NOT NULL,
    dedupe_node           boolean NOT NULL,
    leases_durable        boolean NOT NULL,
    priority              int,
    ttl_ms                bigint NOT NULL,
    cap_records           bigint NOT NULL,
    cap_bytes             bigint NOT NULL,
    idempotency_window_ms bigint NOT NULL,
    lease_ms              bigint NOT NULL,
    claim_jitter_ms       bigint NOT NULL,
    max_deliveries        bigint NOT NULL,
    dead_letter           text,
    UNIQUE (tenant_id, name)
);

-- One row per partition: the lock that orders its appends, and what is known of it without reading the log.
-- Written by every append, so it is kept small, in few pages, and updated in place (HOT).
CREATE TABLE tidegate.head (
    topic_id     bigint NOT NULL,
    partition    int NOT NULL,
    is_plain     boolean NOT NULL,             -- appends need no judgement: no caps, not closed, not ephemeral. Never back to true.
    is_closed    boolean NOT NULL DEFAULT false,
    is_ephemeral boolean NOT NULL DEFAULT false, -- batches are in batch_ephemeral
    next_offset  bigint NOT NULL DEFAULT 0,
    next_byte    bigint NOT NULL DEFAULT 0,    -- value bytes ever appended
    last_ms      bigint NOT NULL DEFAULT 0,    -- commit time of the newest batch
    cap_floor    bigint NOT NULL DEFAULT 0,    -- offsets below were lost to a cap
    ttl_floor    bigint NOT NULL DEFAULT 0,    -- offsets below were lost to age
    reclaimed    bigint NOT NULL DEFAULT 0,    -- batches that end below are deleted
    live_records bigint NOT NULL DEFAULT 0,
    live_bytes   bigint NOT NULL DEFAULT 0,    -- keys, values, headers, metas
    sequence_token bytea,                      -- the last one given (durable's Stream-Seq)
    PRIMARY KEY (topic_id, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_cost_delay = 0);

-- The log itself. Element i of every array is the record at base_offset + i - 1; a deleted record's elements are NULL.
-- A column is NULL as a whole when no record of the batch uses it.
CREATE TABLE tidegate.batch (
    topic_id     bigint NOT NULL,
    last_offset  bigint NOT NULL,
    base_offset  bigint NOT NULL,
    base_byte    bigint NOT NULL,              -- value bytes before the first record
    committed_ms bigint NOT NULL,              -- never decreases along a partition
    partition    int NOT NULL,
    records      int NOT NULL,                 -- live ones
    bytes        int NOT NULL,                 -- of live ones: keys, values, headers, metas
    keys         bytea[],
    vals         bytea[] NOT NULL,
    ts           bigint[],                     -- producers' own timestamps, 0 = none
    headers      bytea[],                      -- [["name","value"],…] as compact JSON text
    tags         bytea[],
    nodes        bytea[],
    metas        bytea[],
    appends      int[],                        -- records up to the end of each append, when there were several
    PRIMARY KEY (topic_id, partition, last_offset)
) PARTITION BY HASH (topic_id);

-- The twin for ephemeral topics: empty after a crash. A missing mark says that it happened.
CREATE UNLOGGED TABLE tidegate.batch_ephemeral (LIKE tidegate.batch INCLUDING DEFAULTS,
    PRIMARY KEY (topic_id, partition, last_offset));
CREATE UNLOGGED TABLE tidegate.ephemeral_mark (
    topic_id  bigint NOT NULL,
    partition int NOT NULL,
    PRIMARY KEY (topic_id, partition)
);

-- Eight partitions: few enough for the lock manager's fast path, enough to vacuum and index apart.
DO $$
DECLARE
    name text;
    attribute text;
BEGIN
    FOR i IN 0..7 LOOP
        EXECUTE format('CREATE TABLE tidegate.batch_%s PARTITION OF tidegate.batch FOR VALUES WITH (MODULUS 8, REMAINDER %s)
            WITH (autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_vacuum_scale_factor = 0.05)', i, i);
    END LOOP;
    -- pglz is four times slower here.
    FOREACH name IN ARRAY ARRAY['batch', 'batch_ephemeral', 'batch_0', 'batch_1', 'batch_2', 'batch_3', 'batch_4', 'batch_5',
                                'batch_6', 'batch_7'] LOOP
        FOREACH attribute IN ARRAY ARRAY['keys', 'vals', 'ts', 'headers', 'tags', 'nodes', 'metas', 'appends'] LOOP
            EXECUTE format('ALTER TABLE tidegate.%I ALTER COLUMN %I SET COMPRESSION lz4', name, attribute);
        END LOOP;
    END LOOP;
END
$$;

-- Answers of appends that carried an idempotency key, for as long as the topic's window.
CREATE TABLE tidegate.idempotency (
    topic_id   bigint NOT NULL,
    key        bytea NOT NULL,
    created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    result     bytea NOT NULL,                 -- log/outcome.h
    PRIMARY KEY (topic_id, key)
);
CREATE INDEX ON tidegate.idempotency (expires_ms);

-- Idempotent producers: the last accepted sequence of each, with the answer it got.
CREATE TABLE tidegate.producer (
    topic_id      bigint NOT NULL,
    producer_id   bytea NOT NULL,
    epoch         bigint NOT NULL,
    last_sequence bigint NOT NULL,
    updated_ms    bigint NOT NULL,
    result        bytea NOT NULL,
    PRIMARY KEY (topic_id, producer_id)
) WITH (fillfactor = 50);

-- Deleted topics whose batches are still to be removed.
CREATE TABLE tidegate.discarded (
    topic_id   bigint PRIMARY KEY,
    created_ms bigint NOT NULL
);

-- Consumer groups: leased delivery of whole partitions.
CREATE TABLE tidegate.consumer_group (
    topic_id   bigint NOT NULL,
    name       text COLLATE "C" NOT NULL,
    created_ms bigint NOT NULL,
    PRIMARY KEY (topic_id, name)
);
CREATE TABLE tidegate.group_partition (
    topic_id         bigint NOT NULL,
    group_name       text COLLATE "C" NOT NULL,
    partition        int NOT NULL,
    committed_offset bigint NOT NULL,
    handed_offset    bigint NOT NULL,          -- records below were handed out under the lease
    holder           text,                     -- NULL: free; '': anonymous
    lease_until_ms   bigint NOT NULL DEFAULT 0,
    served_ms        bigint NOT NULL DEFAULT 0, -- last time records were handed out: the least recent goes first
    PRIMARY KEY (topic_id, group_name, partition)
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Every kept record, for SQL: SELECT convert_from(value, 'UTF8') FROM tidegate.record WHERE topic = 'orders' ORDER BY 3, 4.
CREATE VIEW tidegate.record AS
SELECT n.name AS tenant, t.name AS topic, b.partition, b.base_offset + u.element - 1 AS "offset", u.key, u.value,
       to_timestamp(coalesce(nullif(u.ts, 0), b.committed_ms) / 1000.0) AS "timestamp",
       convert_from(u.headers, 'UTF8') AS headers, u.tag, u.node, convert_from(u.meta, 'UTF8') AS meta,
       to_timestamp(b.committed_ms / 1000.0) AS committed_at, t.topic_id
FROM tidegate.topic t
JOIN tidegate.tenant n ON n.tenant_id = t.tenant_id
JOIN tidegate.head h ON h.topic_id = t.topic_id
JOIN LATERAL (
    SELECT l.* FROM tidegate.batch l
    WHERE l.topic_id = t.topic_id AND l.partition = h.partition AND l.last_offset >= greatest(h.cap_floor, h.ttl_floor)
    UNION ALL
    SELECT e.* FROM tidegate.batch_ephemeral e
    WHERE e.topic_id = t.topic_id AND e.partition = h.partition AND e.last_offset >= greatest(h.cap_floor, h.ttl_floor)
) b ON true
CROSS JOIN LATERAL unnest(b.keys, b.vals, b.ts, b.headers, b.tags, b.nodes, b.metas) WITH ORDINALITY
    AS u(key, value, ts, headers, tag, node, meta, element)
WHERE u.value IS NOT NULL
  AND b.base_offset + u.element - 1 >= greatest(h.cap_floor, h.ttl_floor)
  AND (t.ttl_ms = 0 OR b.committed_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - t.ttl_ms);
