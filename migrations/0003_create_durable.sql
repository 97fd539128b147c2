-- Durable streams: what their protocol knows of a topic beyond the log itself.
CREATE TABLE tidegate.durable_stream (
    topic_id       bigint PRIMARY KEY REFERENCES tidegate.topic (topic_id) ON DELETE CASCADE,
    content_type   text NOT NULL,                 -- as it was given
    ttl_s          bigint,                        -- sliding window since the last access; NULL: none
    expires_ms     bigint,                        -- fixed instant; NULL: none
    last_access_ms bigint NOT NULL,               -- reads and closes; an append is an access too, see head.last_ms
    due_ms         bigint,                        -- not expired before; moved on by the sweep. NULL: never
    is_deleted     boolean NOT NULL DEFAULT false, -- softly: forks still read it
    parent_id      bigint REFERENCES tidegate.topic (topic_id), -- the fork's source, kept as long as it has forks
    anchor_offset  bigint,                        -- where the fork was asked for
    anchor_byte    bigint,
    sub_offset     bigint NOT NULL DEFAULT 0,     -- as asked for
    fork_offset    bigint NOT NULL DEFAULT 0,     -- below, records are the source's
    fork_byte      bigint NOT NULL DEFAULT 0,
    depth          int NOT NULL DEFAULT 0,        -- ancestors
    CHECK (ttl_s IS NULL OR expires_ms IS NULL)
) WITH (fillfactor = 50);
CREATE INDEX ON tidegate.durable_stream (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX ON tidegate.durable_stream (due_ms) WHERE due_ms IS NOT NULL AND NOT is_deleted;
CREATE INDEX ON tidegate.durable_stream (topic_id) WHERE is_deleted;

-- The producer whose last append closed the partition: the same request again is a duplicate.
ALTER TABLE tidegate.producer ADD COLUMN has_closed boolean NOT NULL DEFAULT false;
