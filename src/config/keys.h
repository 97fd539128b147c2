/*
 * config/keys: the one table of settings.
 *
 * X(TEXT,   key, default, help)
 * X(CHOICE, key, default, "a|b|c", help)
 * X(NUMBER, key, default, least, most, help)      units are in the name
 * X(SWITCH, key, default, help)                   true/false
 */
#ifndef TIDEGATE_CONFIG_KEYS_H
#define TIDEGATE_CONFIG_KEYS_H

/* clang-format off */
#define CONFIG_KEYS(X) \
	X(TEXT, database_url, "", "Postgres connection string or URI; several hosts and target_session_attrs are fine") \
	X(TEXT, listen, "127.0.0.1:5470", "addresses to serve on, comma-separated; port 0 takes any free port") \
	X(TEXT, tls_listen, "", "addresses to serve on with TLS, comma-separated; empty: none") \
	X(TEXT, tls_certificate_file, "", "the certificate for tls_listen in PEM, then those between it and a root; read again when it changes") \
	X(TEXT, tls_key_file, "", "its private key in PEM, without a passphrase; read again when it changes") \
	X(TEXT, port_file, "", "host:port of each listener is written to this file, a line each, once requests are answered; empty: nowhere") \
	X(TEXT, dialects, "all", "dialects to serve, comma-separated: all, streaming, topics, durable, httpmq, httpmq-management, httpmq-dataplane, admin") \
	X(CHOICE, auth, "auto", "auto|required|off", "auto: required as soon as one API key exists; off: every caller is the default tenant") \
	X(TEXT, api_keys, "", "API keys of the tenant default besides those in the database: secret[:scopes[:prefixes]],…, scopes joined by +, prefixes by |; this worker alone knows them") \
	X(SWITCH, allow_public_without_auth, false, "serve on a non-loopback address although no credential is asked for") \
	X(SWITCH, probe_auth, false, "/healthz, /readyz, /v0/health and /v0/ready ask for a credential too") \
	X(NUMBER, credential_cache_ms, 10000, 0, 600000, "how long a verified key is trusted without a look at the database; revocation is pushed anyway") \
	X(TEXT, jwt_keys, "", "files with the keys that sign JSON Web Tokens, comma-separated: *.json a JWK set, *.secret a shared secret, else PEM; empty: no tokens") \
	X(TEXT, jwt_issuer, "", "the `iss` that tokens must have; empty: any") \
	X(TEXT, jwt_audience, "", "the `aud` that tokens must have; empty: any") \
	X(TEXT, jwt_tenant_claim, "tenant", "the claim that names the tenant; a.b is the member b of the claim a") \
	X(TEXT, jwt_scopes_claim, "scope", "the claim with the scopes: read write delete admin all") \
	X(TEXT, jwt_prefixes_claim, "prefixes", "the claim with the prefixes that names must begin with; without it any name") \
	X(TEXT, jwt_default_tenant, "", "the tenant of tokens without that claim; empty: they are refused") \
	X(NUMBER, jwt_leeway_s, 30, 0, 600, "how far the clocks of token issuers may be off") \
	X(CHOICE, log_level, "info", "debug|info|warn|error", "least severe level that is written") \
	X(CHOICE, log_format, "text", "text|json", "readable lines, or one JSON object a line") \
	X(SWITCH, migrate_on_start, true, "bring the schema up to date before serving") \
	X(NUMBER, http_threads, 2, 1, 64, "threads that parse requests and send replies") \
	X(NUMBER, stream_threads, 1, 1, 64, "threads that write event streams") \
	X(NUMBER, max_connections, 20000, 16, 1000000, "open connections; beyond, 503") \
	X(NUMBER, max_streams, 20000, 1, 1000000, "open event streams; beyond, 429") \
	X(NUMBER, max_header_bytes, 16384, 4096, 262144, "request line and headers; beyond, 431") \
	X(NUMBER, max_body_bytes, 67108864, 1024, 1073741824, "one request body after decoding; beyond, 413") \
	X(NUMBER, max_buffered_bytes, 1073741824, 1048576, 1099511627776, "request bodies held at one time; beyond, 503") \
	X(NUMBER, header_timeout_ms, 10000, 100, 600000, "from a request's first byte to the end of its headers") \
	X(NUMBER, idle_timeout_ms, 75000, 100, 3600000, "a kept connection without a request") \
	X(NUMBER, body_timeout_ms, 30000, 100, 600000, "a body that makes no progress") \
	X(NUMBER, stream_queue_bytes, 262144, 16384, 67108864, "bytes queued for one event stream") \
	X(NUMBER, stream_stall_ms, 30000, 1000, 600000, "an event stream whose client takes nothing is closed after this") \
	X(NUMBER, stream_heartbeat_ms, 15000, 1000, 600000, "a comment is sent on an event stream after this long without output") \
	X(TEXT, cors_origin, "*", "Access-Control-Allow-Origin; empty sends no CORS headers") \
	X(TEXT, public_url, "", "how clients reach this service, as in https://streams.example.com; empty: what a request's Host says") \
	X(SWITCH, trust_forwarded, false, "a proxy in front sets X-Forwarded-Host and X-Forwarded-Proto: believed for absolute URLs in replies, when public_url is empty") \
	X(NUMBER, durable_path_bytes, 1024, 1, 1024, "/v1/stream: a stream's decoded path; beyond, 400") \
	X(NUMBER, durable_path_segments, 32, 1, 1024, "/v1/stream: segments of a stream's path; beyond, 400") \
	X(NUMBER, durable_chunk_bytes, 1048576, 1024, 67108864, "durable streams: a read ends at the first append that reaches this") \
	X(NUMBER, durable_long_poll_ms, 30000, 100, 600000, "durable streams: a long poll without news is answered after this") \
	X(NUMBER, durable_sse_ms, 60000, 0, 86400000, "durable streams: an event stream ends after this, and its client comes again; 0 = never") \
	X(TEXT, durable_cache_control, "auto", "durable streams: Cache-Control of reads; auto: a minute, private when credentials are asked for") \
	X(SWITCH, compress_replies, true, "gzip replies for clients that ask for it") \
	X(NUMBER, lanes, 2, 1, 64, "append queues; a topic belongs to one") \
	X(NUMBER, lane_connections, 2, 1, 8, "database connections that take turns on one lane") \
	X(NUMBER, lane_queue_bytes, 134217728, 1048576, 68719476736, "records waiting on one lane; beyond, 429") \
	X(NUMBER, readers, 4, 1, 256, "database connections for reads and everything that is not an append") \
	X(NUMBER, reader_queue, 10000, 16, 1000000, "operations waiting for a reader; beyond, 429") \
	X(NUMBER, database_timeout_ms, 5000, 100, 600000, "one database operation; beyond, the connection is given up and the answer is 503") \
	X(NUMBER, poll_interval_ms, 1000, 20, 60000, "look at watched topics this often, should a notification be lost") \
	X(NUMBER, janitor_interval_ms, 1000, 20, 3600000, "pause between two rounds of retention and clean-up") \
	X(SWITCH, janitor, true, "this worker may be elected for background work") \
	X(SWITCH, auto_create_topics, false, "producing to an unknown topic creates it with one partition") \
	X(NUMBER, max_topics, 100000, 0, 10000000, "topics per tenant; 0 = no limit") \
	X(NUMBER, limit_requests_per_second, 0, 0, 1000000000, "requests of one tenant that one worker takes a second; beyond, 429; 0 = no limit. `tidegate tenant set` says otherwise for a tenant") \
	X(NUMBER, limit_requests_per_second_per_key, 0, 0, 1000000000, "the same for one key") \
	X(NUMBER, limit_bytes_per_second, 0, 0, 1000000000000, "bytes of request and reply bodies of one tenant, a second and worker; 0 = no limit") \
	X(NUMBER, limit_bytes_per_second_per_key, 0, 0, 1000000000000, "the same for one key") \
	X(NUMBER, limit_records_per_second, 0, 0, 1000000000, "records that one tenant appends, a second and worker; 0 = no limit") \
	X(NUMBER, limit_records_per_second_per_key, 0, 0, 1000000000, "the same for one key") \
	X(NUMBER, limit_requests_in_flight, 0, 0, 1000000, "requests of one tenant that one worker answers at a time; 0 = no limit") \
	X(NUMBER, limit_requests_in_flight_per_key, 0, 0, 1000000, "the same for one key") \
	X(NUMBER, limit_streams, 0, 0, 1000000, "event streams and WebSockets of one tenant that one worker holds open; 0 = no limit") \
	X(NUMBER, limit_streams_per_key, 0, 0, 1000000, "the same for one key") \
	X(NUMBER, limit_stored_bytes, 0, 0, 1152921504606846976, "live bytes of one tenant's topics, looked at once a second; beyond, 429; 0 = no limit") \
	X(NUMBER, webhook_timeout_ms, 10000, 100, 60000, "one webhook delivery; beyond, it counts as failed and is tried again") \
	X(SWITCH, webhook_allow_localhost, false, "webhooks may go to http://localhost and 127.0.0.0/8; for development, `tidegate dev` allows it") \
	X(NUMBER, max_routers, 10000, 0, 1000000, "routers per tenant; 0 = no limit") \
	X(NUMBER, topics_max_batch_records, 10000, 1, 10000, "/v0: records of one write; beyond, 400") \
	X(NUMBER, topics_max_record_bytes, 1048576, 1, 1048576, "/v0: data and meta of one record; beyond, 400") \
	X(NUMBER, topics_max_meta_bytes, 16384, 2, 1048576, "/v0: meta of one record; beyond, 400") \
	X(NUMBER, topics_max_tag_bytes, 256, 1, 1024, "/v0: a record's tag; beyond, 400") \
	X(NUMBER, topics_max_node_bytes, 128, 1, 1024, "/v0: a node's name; beyond, 400") \
	X(NUMBER, topics_max_inflight_per_key, 1000, 0, 1000000, "/v0: requests of one key that one worker answers at a time; beyond, 429; 0 = no limit") \
	X(NUMBER, topics_max_limit, 1000, 1, 10000, "/v0: records of one diff; a larger limit counts as this one") \
	X(NUMBER, topics_max_claim, 1000, 1, 1000, "/v0: jobs of one claim or work stream, more counts as this; jobs named by one ack, nack or extend; beyond, 400") \
	X(NUMBER, topics_max_watch_topics, 256, 1, 10000, "/v0: topics of one watch session or WebSocket; beyond, 400") \
	X(NUMBER, topics_max_watch_sessions, 10000, 0, 10000000, "/v0: watch sessions of a tenant; beyond, 429; 0 = no limit") \
	X(NUMBER, topics_watch_session_ttl_ms, 300000, 1000, 86400000, "/v0: a watch session without a stream is forgotten after this") \
	X(NUMBER, topics_max_sse_connections, 10000, 0, 1000000, "/v0: open watch, work and WebSocket connections of a worker; beyond, 429; 0 = no limit") \
	X(NUMBER, topics_max_sse_connections_per_key, 1000, 0, 1000000, "the same for one key") \
	X(NUMBER, max_subscriptions, 200000, 1, 10000000, "topics followed by live readers, each reader counted; beyond, 429") \
	X(NUMBER, max_total_bytes, 0, 0, 1152921504606846976, "live bytes of all topics together; beyond, 429; 0 = no limit. A limit makes appends take turns in the whole fleet") \
	X(NUMBER, shutdown_timeout_ms, 10000, 0, 600000, "how long a stop may take to finish what was accepted")
/* clang-format on */

#endif
