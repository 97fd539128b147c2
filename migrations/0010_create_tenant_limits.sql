-- What tenants may use, where that is not what the server says (docs/limits.md).
CREATE TABLE tidegate.tenant_limit (
    tenant_id bigint NOT NULL REFERENCES tidegate.tenant (tenant_id) ON DELETE CASCADE,
    name      text COLLATE "C" NOT NULL,
    most      bigint NOT NULL CHECK (most >= 0),   -- 0: no limit
    PRIMARY KEY (tenant_id, name)
);
