-- What was done to tenants and keys, by whom. A row is written in the transaction of the act itself, and never changed.
CREATE TABLE tidegate.audit (
    audit_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms     bigint NOT NULL,
    actor     text NOT NULL,                       -- src/auth/actor.h: "key:<id>", "jwt:<subject>", "cli:<user>", "development"
    tenant_id bigint NOT NULL,                     -- whose tenant or key it was; outlives the tenant
    tenant    text COLLATE "C" NOT NULL,
    act       text NOT NULL,                       -- "key.create" …
    object    text NOT NULL,                       -- a key id, or the tenant's name
    detail    text NOT NULL                        -- the object after the act, as JSON; never a secret
);
CREATE INDEX ON tidegate.audit (tenant, audit_id);
