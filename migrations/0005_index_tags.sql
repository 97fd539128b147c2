-- Where tagged records are, so that deleting by tag need not read the log. One row per tagged record, as long as its batch
-- has it; appends without tags write none.
CREATE TABLE tidegate.batch_tag (
    topic_id      bigint NOT NULL,
    partition     int NOT NULL,
    tag           bytea NOT NULL,
    record_offset bigint NOT NULL,
    PRIMARY KEY (topic_id, partition, tag, record_offset)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.2);

-- When the topic was last read (the topics dialect shows it); NULL: never. Written once a second at most, in place.
ALTER TABLE tidegate.topic ADD COLUMN last_read_ms bigint;
ALTER TABLE tidegate.topic SET (fillfactor = 70);
