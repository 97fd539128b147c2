-- A consumer of the httpmq dialect knows what waits for it, so that neither a delivery nor an acknowledgement counts the rows.
ALTER TABLE tidegate.httpmq_consumer
    ADD COLUMN pending bigint NOT NULL DEFAULT 0,           -- its rows of httpmq_pending,
    ADD COLUMN redelivered bigint NOT NULL DEFAULT 0,       -- of them, those with more than one send
    ADD COLUMN due_ms bigint NOT NULL DEFAULT 0;            -- none of them is due before

UPDATE tidegate.httpmq_consumer c SET pending = p.messages, redelivered = p.redelivered
FROM (SELECT topic_id, consumer, count(*) AS messages, count(*) FILTER (WHERE sends > 1) AS redelivered
      FROM tidegate.httpmq_pending GROUP BY topic_id, consumer) p
WHERE p.topic_id = c.topic_id AND p.consumer = c.name;
