-- name: audit_insert
-- $1 text actor, $2 bigint tenant_id, $3 text tenant, $4 text act, $5 text object, $6 text detail
INSERT INTO tidegate.audit (at_ms, actor, tenant_id, tenant, act, object, detail)
VALUES ((extract(epoch FROM clock_timestamp()) * 1000)::bigint, $1, $2, $3, $4, $5, $6)

-- name: audit_page
-- The newest first. $1 bigint tenant_id, NULL: any; $2 text tenant, NULL: any; $3 bigint before this audit_id, $4 int limit
SELECT audit_id, at_ms, actor, tenant, act, object, detail
FROM tidegate.audit
WHERE ($1::bigint IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR tenant = $2) AND audit_id < $3
ORDER BY audit_id DESC LIMIT $4::int
