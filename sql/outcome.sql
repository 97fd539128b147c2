-- name: idempotency_find
-- $1 bigint topic_id, $2 bytea[] keys
SELECT key, result FROM tidegate.idempotency
WHERE topic_id = $1 AND key = ANY ($2) AND expires_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint

-- name: idempotency_put
-- $1 bigint topic_id, $2 bytea key, $3 bigint now_ms, $4 bigint expires_ms, $5 bytea result
INSERT INTO tidegate.idempotency (topic_id, key, created_ms, expires_ms, result) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (topic_id, key) DO UPDATE SET created_ms = $3, expires_ms = $4, result = $5

-- name: producer_find
-- In order, as every transaction that locks several; heads were locked before. $1 bigint topic_id, $2 bytea[] ids
SELECT producer_id, epoch, last_sequence, result, has_closed FROM tidegate.producer WHERE topic_id = $1 AND producer_id = ANY ($2)
ORDER BY producer_id FOR UPDATE

-- name: producer_put
-- $1 bigint topic_id, $2 bytea producer_id, $3 bigint epoch, $4 bigint last_sequence, $5 bigint now_ms, $6 bytea result,
-- $7 boolean has_closed
INSERT INTO tidegate.producer (topic_id, producer_id, epoch, last_sequence, updated_ms, result, has_closed)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (topic_id, producer_id) DO UPDATE SET epoch = $3, last_sequence = $4, updated_ms = $5, result = $6, has_closed = $7
