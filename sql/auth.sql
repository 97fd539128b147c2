-- name: auth_state
-- Whether any key was ever made, what the default tenant wants, and its limits. One row, also without that tenant.
SELECT EXISTS (SELECT FROM tidegate.api_key), (SELECT auto_create FROM tidegate.tenant WHERE tenant_id = 1),
       (SELECT string_agg(name || '=' || most, ',') FROM tidegate.tenant_limit WHERE tenant_id = 1)

-- name: key_find
-- What is needed to judge a key, and the database's time. $1 text[] key ids
SELECT k.key_id, k.tenant_id, t.name, k.secret_hash, k.scopes, k.prefixes, t.auto_create, k.expires_ms, k.revoked_ms,
       k.last_used_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms,
       (SELECT string_agg(l.name || '=' || l.most, ',') FROM tidegate.tenant_limit l WHERE l.tenant_id = k.tenant_id)
FROM tidegate.api_key k JOIN tidegate.tenant t ON t.tenant_id = k.tenant_id
WHERE k.key_id = ANY ($1::text[])
ORDER BY k.key_id

-- name: key_touch
-- Coalesced between all workers: at most one write a minute. $1 text[] key ids
UPDATE tidegate.api_key SET last_used_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE key_id = ANY ($1::text[])
  AND coalesce(last_used_ms, 0) <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 60000

-- name: key_insert
-- $1 text key_id, $2 bigint tenant_id, $3 text name, $4 bytea secret_hash, $5 text[] scopes, $6 text[] prefixes,
-- $7 bigint lifetime in ms, NULL: for ever
INSERT INTO tidegate.api_key (key_id, tenant_id, name, secret_hash, scopes, prefixes, created_ms, expires_ms)
SELECT $1, $2, $3, $4, $5::text[], $6::text[], now_ms, now_ms + $7::bigint
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS clock
RETURNING created_ms, expires_ms

-- name: key_list
-- $1 bigint tenant_id, NULL: every tenant; $2 text key_id, NULL: every key
SELECT k.key_id, t.name, k.name, k.scopes, k.prefixes, k.created_ms, k.expires_ms, k.revoked_ms, k.last_used_ms,
       k.replaced_by, k.tenant_id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
FROM tidegate.api_key k JOIN tidegate.tenant t ON t.tenant_id = k.tenant_id
WHERE ($1::bigint IS NULL OR k.tenant_id = $1) AND ($2::text IS NULL OR k.key_id = $2)
ORDER BY t.name, k.created_ms, k.key_id

-- name: key_page
-- By age; the columns of key_list. $1 bigint tenant_id, NULL: every tenant; behind $2 bigint created_ms, $3 text key_id;
-- $4 int limit
SELECT k.key_id, t.name, k.name, k.scopes, k.prefixes, k.created_ms, k.expires_ms, k.revoked_ms, k.last_used_ms,
       k.replaced_by, k.tenant_id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
FROM tidegate.api_key k JOIN tidegate.tenant t ON t.tenant_id = k.tenant_id
WHERE ($1::bigint IS NULL OR k.tenant_id = $1) AND (k.created_ms, k.key_id) > ($2::bigint, $3::text)
ORDER BY k.created_ms, k.key_id LIMIT $4::int

-- name: key_lock
-- $1 text key_id
SELECT key_id FROM tidegate.api_key WHERE key_id = $1 FOR UPDATE

-- name: key_revoke
-- $1 text key_id
UPDATE tidegate.api_key SET revoked_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE key_id = $1 AND revoked_ms IS NULL

-- name: key_replace
-- $1 text key_id, $2 text the new key's id, $3 bigint overlap in ms
UPDATE tidegate.api_key SET replaced_by = $2,
    expires_ms = least(expires_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3)
WHERE key_id = $1

-- name: auth_notify
-- Tells every worker when the transaction commits. $1 text key id, '': whatever is cached
SELECT pg_notify('tidegate_auth', $1)

-- name: tenant_find
-- $1 text name
SELECT t.tenant_id, t.created_ms, t.auto_create,
       (SELECT string_agg(l.name || '=' || l.most, ',') FROM tidegate.tenant_limit l WHERE l.tenant_id = t.tenant_id)
FROM tidegate.tenant t WHERE t.name = $1

-- name: tenant_insert
-- $1 text name, $2 boolean auto_create
INSERT INTO tidegate.tenant (name, auto_create, created_ms)
VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (name) DO NOTHING
RETURNING tenant_id

-- name: tenant_list
-- $1 text name, NULL: every tenant; behind $2 text name; $3 int limit, NULL: all
SELECT t.tenant_id, t.name, t.created_ms, t.auto_create,
       (SELECT count(*) FROM tidegate.topic p WHERE p.tenant_id = t.tenant_id) AS topics,
       (SELECT count(*) FROM tidegate.api_key k WHERE k.tenant_id = t.tenant_id AND k.revoked_ms IS NULL
           AND (k.expires_ms IS NULL OR k.expires_ms > extract(epoch FROM clock_timestamp()) * 1000)) AS keys,
       (SELECT string_agg(l.name || '=' || l.most, ',') FROM tidegate.tenant_limit l WHERE l.tenant_id = t.tenant_id)
FROM tidegate.tenant t
WHERE ($1::text IS NULL OR t.name = $1) AND t.name > $2
ORDER BY t.name LIMIT $3::int

-- name: tenant_delete_keys
-- $1 bigint tenant_id
DELETE FROM tidegate.api_key WHERE tenant_id = $1

-- name: tenant_delete_subscriptions
-- What may be left of a tenant without topics; the rest goes by itself. $1 bigint tenant_id
DELETE FROM tidegate.subscription WHERE tenant_id = $1

-- name: tenant_delete
-- Only without topics. $1 bigint tenant_id
DELETE FROM tidegate.tenant t WHERE t.tenant_id = $1
  AND NOT EXISTS (SELECT FROM tidegate.topic p WHERE p.tenant_id = t.tenant_id)

-- name: tenant_set_auto_create
-- $1 bigint tenant_id, $2 boolean auto_create
UPDATE tidegate.tenant SET auto_create = $2 WHERE tenant_id = $1

-- name: tenant_limit_put
-- $1 bigint tenant_id, $2 text name, $3 bigint most
INSERT INTO tidegate.tenant_limit (tenant_id, name, most) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, name) DO UPDATE SET most = excluded.most

-- name: tenant_limit_drop
-- $1 bigint tenant_id, $2 text name
DELETE FROM tidegate.tenant_limit WHERE tenant_id = $1 AND name = $2

-- name: tenant_lock
-- No topic of this tenant is made meanwhile: the lock of topic_lock_tenant. $1 bigint tenant_id
SELECT pg_advisory_xact_lock(7233155, hashint8($1))
