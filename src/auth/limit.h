/*
 * auth/limit: what one tenant, or one of its keys, uses on this worker, and whether it may use more.
 *
 * Rates    token buckets that hold one second's worth. Something is let through while a whole token is left, and may
 *          take more than there are: the debt is waited for, so the average holds whatever the size of a request. A debt
 *          beyond LIMIT_DEBT_MAX_S is forgiven.
 * Counts   of what goes on now: limit_enter() and limit_leave().
 * Scopes   a key's account has its tenant's behind it: both have to agree. Accounts come from auth/limit_book; each
 *          worker has its own, so the fleet lets through as many times a limit as it has workers.
 * Owns     counted references. An account that nobody uses is dropped when nothing is lost with it.
 * Threads  any; no locks. Values may change at any moment (limit_book_find()).
 * Units    now_us on clock_now_us().
 * Errors   ERR_THROTTLED with Retry-After and the detail {"limit":"requests_per_second","max":…}.
 */
#ifndef TIDEGATE_AUTH_LIMIT_H
#define TIDEGATE_AUTH_LIMIT_H

#include "auth/limit_set.h"
#include "base/err.h"

typedef struct limit_account limit_account;

enum { LIMIT_DEBT_MAX_S = 60 };

/* A rate: takes `count`, perhaps 0 only to ask. Of several limits that refuse the key's is named. */
bool limit_take(limit_account *a, limit_kind kind, int64_t count, int64_t now_us, err *e) MUST_CHECK;
/* What was used already, and not known before. */
void limit_charge(limit_account *a, limit_kind kind, int64_t count, int64_t now_us);
/* Whether one of the scopes limits it at all. */
bool limit_is_set(const limit_account *a, limit_kind kind);

/* A count: one more goes on, until limit_leave(). */
bool limit_enter(limit_account *a, limit_kind kind, err *e) MUST_CHECK;
void limit_leave(limit_account *a, limit_kind kind);
/* How many go on of the key (of the tenant, where there is no key). */
int64_t limit_in_use(const limit_account *a, limit_kind kind);

/* Of the tenant; 0 = none. */
int64_t limit_of_tenant(const limit_account *a, limit_kind kind);

/* Stored bytes: what the database says is read now and then; what this worker appends is added to it meanwhile.
 * limit_store() refuses when the tenant's stored bytes and `bytes` are too many. *is_due: the caller has to read what is
 * stored and to say so with limit_tell_stored(), or that it failed (stored < 0). */
enum { LIMIT_STORED_READ_MS = 1000 };
bool limit_store(limit_account *a, int64_t bytes, int64_t now_us, bool *is_due, err *e) MUST_CHECK;
/* Begins the reading: before the database is asked. */
int64_t limit_begin_stored(const limit_account *a);
void limit_tell_stored(limit_account *a, int64_t begun, int64_t stored);

limit_account *limit_account_ref(limit_account *a); /* returns a; accepts NULL */
void limit_account_unref(limit_account *a);         /* accepts NULL */

#endif
