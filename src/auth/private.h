/*
 * auth/private: what the files of auth/auth share: auth.c (from memory), resolve.c (by the database), watch.c (for as
 * long as a stream lives). Included by them only.
 *
 * All work on the database is one job at a time in the pool: auth_kick() puts it there, auth_work_run() takes what has
 * gathered by then, does it, and kicks again.
 */
#ifndef TIDEGATE_AUTH_PRIVATE_H
#define TIDEGATE_AUTH_PRIVATE_H

#include <pthread.h>

#include "auth/auth.h"
#include "auth/cache.h"
#include "auth/limit_book.h"
#include "auth/lookup.h"
#include "auth/watch.h"
#include "db/pool.h"

enum { AUTH_DIGEST_KEY_BYTES = 32 };

typedef enum auth_posture { POSTURE_OPEN, POSTURE_REQUIRED, POSTURE_UNKNOWN } auth_posture;

typedef enum auth_kind { AUTH_KIND_KEY, AUTH_KIND_LISTED, AUTH_KIND_TOKEN } auth_kind;

/* What a credential is, before anybody is asked. */
typedef struct auth_credential {
	auth_kind kind;
	lookup lookup;                 /* KEY: which row to look for */
	const auth_listed_key *listed; /* LISTED */
} auth_credential;

/* A credential that is to be looked up. */
typedef struct auth_waiter {
	struct auth_waiter *next;
	auth_reason reason; /* GRANTED: it has the right form */
	auth_digest digest;
	auth_credential credential;
	char *token; /* malloc'd; NULL unless it is one */
	auth_resolved *done;
	void *context;
} auth_waiter;

struct auth {
	struct db_pool *pool;
	auth_mode mode;
	struct auth_jwt *jwt;      /* borrowed; NULL: keys only */
	const auth_listed *listed; /* borrowed; NULL: none */
	uint32_t cache_ms;
	limit_book *limits;
	slog *log;
	metric *results[AUTH_REASON_COUNT];
	metric *development_results;
	metric *failed_results;
	metric *cached_keys;
	uint8_t digest_key[AUTH_DIGEST_KEY_BYTES];

	pthread_mutex_t lock; /* guards all below; never held while calling out */
	bool has_keys;        /* never false again */
	bool is_state_known;
	bool is_state_due;
	int64_t state_ms; /* when it was read */
	const auth_principal *development;
	auth_cache *granted;
	auth_cache *refused;
	uint64_t generation; /* of notifications: what was read before one is not cached after it */
	bool is_working;     /* the job is in the pool */
	auth_waiter *first;
	auth_waiter *last;
	uint32_t waiting;
	char touched[LOOKUP_MAX][AUTH_KEY_ID_LENGTH + 1];
	uint32_t touched_count;
	auth_watch *watches;
	uint32_t due_watches;
	bool wants_watches;            /* they are worth a job now; false after a failed look */
	pthread_cond_t watch_returned; /* from its on_end */
};

/* Caller holds the lock. May make the state due. */
auth_posture auth_current_posture(auth *a, int64_t now_ms);
void auth_take_state(auth *a, const lookup_state *state);
/* Caller holds the lock. A use of a key is written down once in a while. */
void auth_note_use(auth *a, auth_cached *used, int64_t now_ms);
/* Of what kind and form a credential is; the one place that tells kinds apart. GRANTED: *out is filled. */
auth_reason auth_read_credential(const auth *a, str text, auth_credential *out);
auth_digest auth_digest_of(const auth *a, str text);
/* Fills *e and counts. */
auth_verdict auth_refuse(auth *a, auth_reason reason, str key_id, err *e);

/* Without the lock. Puts the job into the pool, unless it is there, or there is nothing to do. */
void auth_kick(auth *a);
void auth_work_run(void *context, db_conn *c);
void auth_work_refuse(void *context, const err *e);

/* Caller holds the lock. Those of one key are to be looked at; with an empty id all of them. */
void auth_watch_mark(auth *a, str key_id);
/* Caller holds the lock. A credential is asked for from now on. */
void auth_watch_mark_development(auth *a);
/* Part of the job. */
void auth_watch_run(auth *a, db_conn *c);

#endif
