-- Streams and consumers of the httpmq dialect. A message is a record of the topic whose tag (and key) is its subject; its
-- sequence is its offset + 1.

-- What the topic's own row has no place for. Limits are as they were given; -1 (max_age_ns: 0) = none.
CREATE TABLE tidegate.httpmq_stream (
    topic_id             bigint PRIMARY KEY REFERENCES tidegate.topic (topic_id) ON DELETE CASCADE,
    tenant_id            bigint NOT NULL REFERENCES tidegate.tenant (tenant_id),
    subjects             text[] COLLATE "C" NOT NULL,
    max_consumers        bigint NOT NULL,
    max_msgs             bigint NOT NULL,
    max_bytes            bigint NOT NULL,
    max_age_ns           bigint NOT NULL,
    max_msgs_per_subject bigint NOT NULL,
    max_msg_size         bigint NOT NULL
);
CREATE INDEX ON tidegate.httpmq_stream (tenant_id);

-- Definition and state in one row; everything that happens to a consumer happens under its advisory lock
-- (httpmq_consumer_lock). Written by every delivery and acknowledgement, so it is updated in place (HOT).
CREATE TABLE tidegate.httpmq_consumer (
    topic_id        bigint NOT NULL REFERENCES tidegate.topic (topic_id) ON DELETE CASCADE,
    name            text COLLATE "C" NOT NULL,
    is_pull         boolean NOT NULL,
    max_inflight    bigint NOT NULL,
    max_deliver     bigint NOT NULL,               -- -1: no limit
    ack_wait_ns     bigint NOT NULL,
    filter_subject  text NOT NULL,                 -- '': everything
    delivery_group  text NOT NULL,                 -- '': one subscriber at a time
    notes           text NOT NULL,
    deliver_subject text NOT NULL,                 -- opaque; '' for pull
    created_ms      bigint NOT NULL,
    delivered_c     bigint NOT NULL DEFAULT 0,     -- deliveries so far: the last consumer sequence
    scanned         bigint NOT NULL,               -- the last stream sequence looked at
    floor_c         bigint NOT NULL DEFAULT 0,
    floor_s         bigint NOT NULL,
    delivered_ms    bigint,                        -- of the last delivery
    acked_ms        bigint,                        -- of the last acknowledgement
    generation      bigint NOT NULL DEFAULT 0,     -- subscriptions so far: without a group only the newest one is served
    last_member     bigint NOT NULL DEFAULT 0,     -- of the group, that was served last
    PRIMARY KEY (topic_id, name)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Delivered and not acknowledged yet.
CREATE TABLE tidegate.httpmq_pending (
    topic_id    bigint NOT NULL,
    consumer    text COLLATE "C" NOT NULL,
    sequence    bigint NOT NULL,                   -- of the stream
    first_c     bigint NOT NULL,                   -- consumer sequence of its first delivery
    last_c      bigint NOT NULL,                   -- and of its last
    sends       bigint NOT NULL,
    deadline_ms bigint NOT NULL,                   -- 0: due at once
    PRIMARY KEY (topic_id, consumer, sequence),
    FOREIGN KEY (topic_id, consumer) REFERENCES tidegate.httpmq_consumer (topic_id, name) ON DELETE CASCADE
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Connected members of delivery groups, so that they take turns also across workers; a worker that died is forgotten.
CREATE TABLE tidegate.httpmq_member (
    topic_id bigint NOT NULL,
    consumer text COLLATE "C" NOT NULL,
    member   bigint NOT NULL,
    seen_ms  bigint NOT NULL,
    PRIMARY KEY (topic_id, consumer, member),
    FOREIGN KEY (topic_id, consumer) REFERENCES tidegate.httpmq_consumer (topic_id, name) ON DELETE CASCADE
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
