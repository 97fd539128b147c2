-- Routers of the topics dialect: what is appended to a source is copied to a destination.

-- positions[p + 1] is the first offset of the source's partition p that was not looked at; a missing one is 0.
-- Definition and position are one row, so that whoever holds its lock sees both as they are. Written by every copying
-- transaction, so it is updated in place (HOT).
CREATE TABLE tidegate.router (
    topic_id        bigint NOT NULL,              -- the source
    router_id       bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id       bigint NOT NULL REFERENCES tidegate.tenant (tenant_id),
    dest_id         bigint NOT NULL,
    name            text COLLATE "C" NOT NULL,
    source          text COLLATE "C" NOT NULL,
    dest            text COLLATE "C" NOT NULL,
    preserve_node   boolean NOT NULL,
    preserve_tag    boolean NOT NULL,
    allow_cycle     boolean NOT NULL,
    exactly_once    boolean NOT NULL,
    filter_kind     smallint,                     -- log_tag_match_kind; NULL = no filter
    filter_text     bytea,
    source_epoch    bigint NOT NULL,              -- when the source was made
    positions       bigint[] NOT NULL,
    forwarded_total bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, router_id),
    UNIQUE (tenant_id, name)
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX ON tidegate.router (dest_id);

ALTER TABLE tidegate.head
    ADD COLUMN source_floor bigint NOT NULL DEFAULT 0,      -- offsets below were lost before a router could copy them
    ADD COLUMN is_source boolean NOT NULL DEFAULT false,    -- routers copy from here: its appends have to be told
    ADD COLUMN is_dest boolean NOT NULL DEFAULT false;      -- routers copy to here: a read brings it up to date first

-- How many routers the records of a row have passed; they end at a maximum, so that loops end.
ALTER TABLE tidegate.batch ADD COLUMN hops smallint NOT NULL DEFAULT 0;
ALTER TABLE tidegate.batch_ephemeral ADD COLUMN hops smallint NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW tidegate.record AS
SELECT n.name AS tenant, t.name AS topic, b.partition, b.base_offset + u.element - 1 AS "offset", u.key, u.value,
       to_timestamp(coalesce(nullif(u.ts, 0), b.committed_ms) / 1000.0) AS "timestamp",
       convert_from(u.headers, 'UTF8') AS headers, u.tag, u.node, convert_from(u.meta, 'UTF8') AS meta,
       to_timestamp(b.committed_ms / 1000.0) AS committed_at, t.topic_id
FROM tidegate.topic t
JOIN tidegate.tenant n ON n.tenant_id = t.tenant_id
JOIN tidegate.head h ON h.topic_id = t.topic_id
JOIN LATERAL (
    SELECT l.* FROM tidegate.batch l
    WHERE l.topic_id = t.topic_id AND l.partition = h.partition
      AND l.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
    UNION ALL
    SELECT e.* FROM tidegate.batch_ephemeral e
    WHERE e.topic_id = t.topic_id AND e.partition = h.partition
      AND e.last_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
) b ON true
CROSS JOIN LATERAL unnest(b.keys, b.vals, b.ts, b.headers, b.tags, b.nodes, b.metas) WITH ORDINALITY
    AS u(key, value, ts, headers, tag, node, meta, element)
WHERE u.value IS NOT NULL
  AND b.base_offset + u.element - 1 >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
  AND (t.ttl_ms = 0 OR b.committed_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - t.ttl_ms);
