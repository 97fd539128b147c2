-- Leased delivery of single records: queues, and named consumers. A record has a row in `lease` only from its first delivery
-- until it is acknowledged or gone. Everything here is changed under one advisory lock per (topic, consumer, partition).

-- Where a consumer stands. Read and written by every claim and acknowledgement, so it is updated in place (HOT).
CREATE TABLE tidegate.lease_cursor (
    topic_id       bigint NOT NULL,
    consumer       text COLLATE "C" NOT NULL,    -- '': the queue itself
    partition      int NOT NULL,
    next_offset    bigint NOT NULL,              -- records from here on were never handed out
    floor_offset   bigint NOT NULL,              -- no row of `lease` is below
    last_number    bigint NOT NULL,              -- of a lease; they only grow, and follow the clock, so that a lost row repeats none
    held           bigint NOT NULL,              -- rows that are leased,
    postponed      bigint NOT NULL,              -- that are not ready before their time,
    returned       bigint NOT NULL,              -- that are ready
    due_ms         bigint NOT NULL,              -- nothing held or postponed becomes free before; 0: there is none
    dead_lettered  bigint NOT NULL,
    window_ends_ms bigint NOT NULL,              -- claims gather until then; 0: no window is open
    PRIMARY KEY (topic_id, consumer, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

CREATE TABLE tidegate.lease (
    topic_id      bigint NOT NULL,
    consumer      text COLLATE "C" NOT NULL,
    partition     int NOT NULL,
    record_offset bigint NOT NULL,
    holder        bytea,                         -- NULL: nobody
    number        bigint NOT NULL,               -- of the last lease
    free_ms       bigint NOT NULL,               -- held: one past the deadline; postponed: when it is ready; 0: it is ready
    deliveries    bigint NOT NULL,
    PRIMARY KEY (topic_id, consumer, partition, record_offset)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lease_returned ON tidegate.lease (topic_id, consumer, partition, record_offset) WHERE free_ms = 0;

-- Claims of a queue with a claim window, from all workers, until they are answered.
CREATE TABLE tidegate.lease_claim (
    topic_id   bigint NOT NULL,
    consumer   text COLLATE "C" NOT NULL,
    partition  int NOT NULL,
    claim_id   bigint NOT NULL,                  -- order of arrival
    ends_ms    bigint NOT NULL,                  -- of its window
    holder     bytea NOT NULL,
    wanted     int NOT NULL,
    lease_ms   bigint NOT NULL,
    offsets    bigint[],                         -- what it was dealt; NULL: its window is still open
    PRIMARY KEY (topic_id, consumer, partition, claim_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
