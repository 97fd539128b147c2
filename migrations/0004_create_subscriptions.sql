-- Subscriptions of the durable streams dialect: cursors over streams that wake a worker (docs/durable.md).

-- One row holds the configuration and the wake in flight; its lock orders all that happens to a subscription.
CREATE TABLE tidegate.subscription (
    subscription_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- new for every incarnation of a name
    tenant_id       bigint NOT NULL REFERENCES tidegate.tenant (tenant_id),
    name            text COLLATE "C" NOT NULL,
    is_webhook      boolean NOT NULL,              -- else pull-wake
    pattern         text,
    pattern_head    text COLLATE "C",              -- what a matching path begins with
    pattern_regex   text,                          -- for '/' || path
    webhook_url     text,
    wake_stream     text COLLATE "C",
    lease_ttl_ms    bigint NOT NULL,
    description     text,
    config_hash     bytea NOT NULL,                -- of the configuration as it was asked for
    base_url        text NOT NULL,                 -- of the creating request: callbacks come back there
    created_ms      bigint NOT NULL,
    generation      bigint NOT NULL DEFAULT 0,     -- of the newest wake
    wake_id         text,                          -- NULL: no wake in flight
    holder          text,                          -- who claimed it
    lease_until_ms  bigint,                        -- NULL: no lease
    tell_ms         bigint,                        -- the webhook is to be called, or the wake event appended, not before; NULL: done
    tell_until_ms   bigint,                        -- a worker is at it until then
    failures        int NOT NULL DEFAULT 0,        -- of telling, in a row
    UNIQUE (tenant_id, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX ON tidegate.subscription (tenant_id) WHERE pattern IS NOT NULL;
CREATE INDEX ON tidegate.subscription (tell_ms) WHERE tell_ms IS NOT NULL;
CREATE INDEX ON tidegate.subscription (lease_until_ms) WHERE lease_until_ms IS NOT NULL;

-- One stream of a subscription, with how far it is processed.
CREATE TABLE tidegate.subscription_link (
    subscription_id bigint NOT NULL REFERENCES tidegate.subscription (subscription_id) ON DELETE CASCADE,
    path            text COLLATE "C" NOT NULL,
    topic_id        bigint REFERENCES tidegate.topic (topic_id) ON DELETE CASCADE, -- NULL: not there yet
    is_explicit     boolean NOT NULL,
    is_glob         boolean NOT NULL,
    acked_offset    bigint NOT NULL,               -- -1: nothing at all
    acked_byte      bigint NOT NULL,
    noted_offset    bigint NOT NULL,               -- the stream's tail as far as it was noted: pending beyond what is acked
    wake_offset     bigint,                        -- its tail when the wake was made; NULL: not part of it
    wake_byte       bigint,
    wake_generation bigint NOT NULL DEFAULT 0,     -- of the last wake it was part of: the longest left out goes first
    PRIMARY KEY (subscription_id, path)
) WITH (fillfactor = 70);
CREATE INDEX ON tidegate.subscription_link (topic_id);
-- So that a wake costs what is pending, however many streams the subscription has.
CREATE INDEX ON tidegate.subscription_link (subscription_id) WHERE noted_offset > greatest(acked_offset, 0);
CREATE INDEX ON tidegate.subscription_link (subscription_id) WHERE wake_offset IS NOT NULL;
CREATE INDEX ON tidegate.subscription_link (path) WHERE topic_id IS NULL;

-- A new topic is linked in the transaction that makes it, whatever dialect makes it: before its first record can be seen.
-- The lock keeps it from crossing with a subscription that is just being made (subscription_lock_links).
CREATE FUNCTION tidegate.link_new_topic() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7233160, hashint8(NEW.tenant_id));
    UPDATE tidegate.subscription_link l SET topic_id = NEW.topic_id FROM tidegate.subscription s
    WHERE l.path = NEW.name AND l.topic_id IS NULL AND s.subscription_id = l.subscription_id AND s.tenant_id = NEW.tenant_id;
    INSERT INTO tidegate.subscription_link (subscription_id, path, topic_id, is_explicit, is_glob, acked_offset, acked_byte,
        noted_offset)
    SELECT s.subscription_id, NEW.name, NEW.topic_id, false, true, -1, 0, 0 FROM tidegate.subscription s
    WHERE s.tenant_id = NEW.tenant_id AND s.pattern IS NOT NULL AND s.wake_stream IS DISTINCT FROM NEW.name
      AND CASE WHEN starts_with(NEW.name, s.pattern_head) THEN '/' || NEW.name ~ s.pattern_regex ELSE false END
    ON CONFLICT (subscription_id, path) DO UPDATE SET is_glob = true;
    RETURN NULL;
END
$$;
CREATE TRIGGER link_new_topic AFTER INSERT ON tidegate.topic FOR EACH ROW WHEN (NEW.partitions = 1)
    EXECUTE FUNCTION tidegate.link_new_topic();

-- Keys that Tidegate signs with itself; shared by all workers, they outlive restarts.
CREATE TABLE tidegate.signing_key (
    key_id     text COLLATE "C" PRIMARY KEY,
    kind       smallint NOT NULL,                  -- auth_signing_kind: 0 = Ed25519, for webhooks; 1 = MAC, for tokens
    secret     bytea NOT NULL,
    public_key bytea,
    created_ms bigint NOT NULL,
    retired_ms bigint                              -- no longer signs; still verified and listed for a while
);
