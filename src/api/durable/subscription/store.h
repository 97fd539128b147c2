/*
 * api/durable/subscription/store: a subscription and its links as rows.
 *
 * Whoever changes a subscription holds its row's lock: subscription_lock…() inside a transaction. Deadlines are judged
 * by Postgres's clock (now_ms).
 *
 * Owns     texts live in the arena given.
 * Threads  the one that was given the connection.
 * Errors   ERR_SUBSCRIPTION_NOT_FOUND; those of db/conn.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_STORE_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_STORE_H

#include "api/durable/offset.h"
#include "base/arena.h"
#include "db/conn.h"

enum {
	SUBSCRIPTION_NAME_MAX = 256,          /* bytes */
	SUBSCRIPTION_WAKE_STREAMS_MAX = 1000, /* streams of one wake; the rest is left to the next */
	SUBSCRIPTION_SHOWN_MAX = 10000,       /* links of one answer */
};

typedef struct subscription {
	int64_t id; /* new for every incarnation of a name */
	int64_t tenant_id;
	str name;
	bool is_webhook;
	str pattern;     /* ptr NULL: none, as below */
	str webhook_url; /* of a webhook */
	str wake_stream; /* of a pull-wake */
	int64_t lease_ttl_ms;
	str description;
	str config_hash;
	str base_url;
	int64_t created_ms;
	/* the wake in flight */
	int64_t generation; /* of the newest wake, also when none is in flight */
	str wake_id;        /* ptr NULL: none */
	str holder;
	int64_t lease_until_ms; /* 0: no lease */
	int64_t tell_ms;        /* 0: nobody is to be told */
	int64_t tell_until_ms;  /* 0: nobody is telling */
	int32_t failures;
	int64_t now_ms;
} subscription;

bool subscription_find(db_conn *conn, int64_t tenant_id, str name, arena *a, subscription *out, err *e) MUST_CHECK;
bool subscription_lock_name(db_conn *conn, int64_t tenant_id, str name, arena *a, subscription *out, err *e) MUST_CHECK;
bool subscription_lock(db_conn *conn, int64_t id, arena *a, subscription *out, err *e) MUST_CHECK;
bool subscription_err_not_found(err *e); /* returns false */

/* One statement whose only parameter is the subscription. */
bool subscription_do(db_conn *conn, const db_query *query, int64_t id, int64_t *affected, err *e) MUST_CHECK;

typedef struct subscription_link {
	str path;
	bool is_explicit;     /* else only by the pattern */
	bool is_in_wake;      /* of the wake in flight */
	durable_offset acked; /* count -1: nothing at all */
	durable_offset wake;  /* its tail when the wake was made */
	durable_offset tail;  /* now */
} subscription_link;

/* At most `limit`, those of the wake first, by path. */
bool subscription_links(db_conn *conn, int64_t id, int64_t limit, arena *a, subscription_link **out, size_t *count,
						err *e) MUST_CHECK;
/* Those with one of the paths. */
bool subscription_links_at(db_conn *conn, int64_t id, const str *paths, size_t path_count, arena *a,
						   subscription_link **out, size_t *count, err *e) MUST_CHECK;

/* A text[] parameter; the bytes live in the arena. */
bool subscription_paths_param(const str *paths, size_t count, arena *a, str *out, err *e) MUST_CHECK;

#endif
