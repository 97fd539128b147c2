-- Watch sessions of the topics dialect: what a client watches and how far it has come, so that any worker can serve its
-- event stream. No part of the log: a session that is lost costs its client one POST.
CREATE TABLE tidegate.watch_session (
    wid          bytea PRIMARY KEY,            -- 16 random bytes
    tenant_id    bigint NOT NULL REFERENCES tidegate.tenant (tenant_id) ON DELETE CASCADE,
    key_id       text COLLATE "C" NOT NULL,    -- of the key that made it; '': none was asked for
    used_ms      bigint NOT NULL,              -- last use; kept fresh while a stream is open
    generation   bigint NOT NULL DEFAULT 0,    -- streams opened so far: only the newest one may write
    heartbeat_ms int NOT NULL,
    max_records  int NOT NULL,                 -- a frame
    max_bytes    int NOT NULL,
    has_meta     boolean NOT NULL,
    has_tags     boolean NOT NULL,
    has_data     boolean NOT NULL,
    nodes        bytea[] NOT NULL,             -- records of these nodes are passed over
    names        text[] COLLATE "C" NOT NULL,
    topic_ids    bigint[] NOT NULL,            -- the incarnations that the positions belong to
    positions    bigint[] NOT NULL             -- last seq delivered
) WITH (fillfactor = 50, toast_tuple_target = 256, autovacuum_vacuum_scale_factor = 0.05);
