-- Tenants and their API keys; and the schema itself, with the list of applied migrations.
CREATE SCHEMA tidegate;

CREATE TABLE tidegate.migration (
    number     int PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE tidegate.tenant (
    tenant_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE,
    created_ms  bigint NOT NULL,
    auto_create boolean                            -- producing to an unknown topic creates it; NULL: the server's setting
);

-- Tenant 1: everyone, while no credential is asked for.
INSERT INTO tidegate.tenant (name, created_ms)
VALUES ('default', (extract(epoch FROM clock_timestamp()) * 1000)::bigint);

-- A key is never deleted, only revoked (or goes with its tenant): that one exists is what makes servers ask for keys.
CREATE TABLE tidegate.api_key (
    key_id       text COLLATE "C" PRIMARY KEY,     -- the first part of the key, not secret
    tenant_id    bigint NOT NULL REFERENCES tidegate.tenant (tenant_id),
    name         text NOT NULL,                    -- for people; several keys may share one
    secret_hash  bytea NOT NULL,                   -- src/auth/key.h
    scopes       text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'delete', 'admin']),
    prefixes     text[] COLLATE "C" NOT NULL,      -- names must begin with one of them; empty: any name
    created_ms   bigint NOT NULL,
    expires_ms   bigint,                           -- NULL: never
    revoked_ms   bigint,
    last_used_ms bigint,                           -- to the minute
    replaced_by  text COLLATE "C" REFERENCES tidegate.api_key (key_id), -- by a rotation; valid until expires_ms
    -- Readers take a missing list for "any name": what they cannot read must not be there.
    CHECK (cardinality(prefixes) = 0 OR (array_ndims(prefixes) = 1 AND array_position(prefixes, NULL) IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX ON tidegate.api_key (tenant_id);
