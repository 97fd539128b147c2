-- name: signing_lock
-- The first key of a kind is made once.
SELECT pg_advisory_xact_lock(7233161, 1)

-- name: signing_list
-- Keys in use and those retired less than $1 bigint ms ago, newest first.
SELECT key_id, kind::int, secret, public_key, retired_ms FROM tidegate.signing_key
WHERE retired_ms IS NULL OR retired_ms > (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1
ORDER BY created_ms DESC, key_id LIMIT 64

-- name: signing_retire
-- Nothing signs from now on, and what did is known for $2 bigint ms at most; $1 bigint is how long retired keys are known.
UPDATE tidegate.signing_key SET retired_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1::bigint + $2::bigint
WHERE retired_ms IS NULL OR retired_ms > (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1::bigint + $2::bigint

-- name: signing_insert
-- $1 text key_id, $2 int kind, $3 bytea secret, $4 bytea public_key
INSERT INTO tidegate.signing_key (key_id, kind, secret, public_key, created_ms)
VALUES ($1, $2::int, $3, $4, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
