#include "auth/limit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/limit_impl.h"

#define BUCKET_NS   INT64_C(1000000000)
#define DEBT_MAX_NS (LIMIT_DEBT_MAX_S * BUCKET_NS)

enum { NS_PER_US = 1000, NS_PER_MS = 1000000, US_PER_MS = 1000 };

/* ---- life ---- */

limit_account *limit_account_new(int64_t tenant_id, str key_id, limit_account *tenant)
{
	limit_account *a = calloc(1, sizeof *a + key_id.len);
	if (a == NULL) {
		return NULL;
	}
	atomic_init(&a->references, 1);
	a->tenant_id = tenant_id;
	a->scope = tenant != NULL ? LIMIT_OF_KEY : LIMIT_OF_TENANT;
	a->tenant = limit_account_ref(tenant);
	if (key_id.len > 0) {
		memcpy(a->key_text, key_id.ptr, key_id.len);
	}
	a->key_id = (str){a->key_text, key_id.len};
	return a;
}

limit_account *limit_account_ref(limit_account *a)
{
	if (a != NULL) {
		atomic_fetch_add_explicit(&a->references, 1, memory_order_relaxed);
	}
	return a;
}

void limit_account_unref(limit_account *a)
{
	while (a != NULL && atomic_fetch_sub_explicit(&a->references, 1, memory_order_acq_rel) == 1) {
		limit_account *tenant = a->tenant;
		free(a);
		a = tenant;
	}
}

bool limit_account_is_idle(const limit_account *a, int64_t now_us)
{
	for (int i = 0; i < LIMIT_RATE_KINDS; i++) {
		if (atomic_load_explicit(&a->full_ns[i], memory_order_relaxed) > now_us * NS_PER_US) {
			return false;
		}
	}
	for (int i = 0; i < LIMIT_KEY_KINDS - LIMIT_RATE_KINDS; i++) {
		if (atomic_load_explicit(&a->in_use[i], memory_order_relaxed) > 0) {
			return false;
		}
	}
	/* What is known to be stored is worth keeping as long as it is fresh. */
	int64_t read_us = atomic_load_explicit(&a->stored_read_us, memory_order_relaxed);
	return read_us == 0 || now_us - read_us > 2 * LIMIT_STORED_READ_MS * US_PER_MS;
}

static int64_t most_of(const limit_account *a, limit_kind kind)
{
	return atomic_load_explicit(&a->most[kind], memory_order_relaxed);
}

/* ---- refusals ---- */

static bool refuse(const limit_account *a, limit_kind kind, int64_t most, int64_t wait_ns, const char *sentence, err *e)
{
	const char *name = limit_name(kind, a->scope);
	if (a->refused[kind] != NULL) {
		metric_add(a->refused[kind], 1);
	}
	err_set(e, ERR_THROTTLED, "this %s is at its limit %s of %" PRId64 "; %s",
			a->scope == LIMIT_OF_KEY ? "key" : "tenant", name, most, sentence);
	e->retry_after_ms = (uint32_t)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
	err_detail(e, "{\"limit\":\"%s\",\"max\":%" PRId64 ",\"retry_after_ms\":%u}", name, most, e->retry_after_ms);
	return false;
}

/* ---- rates ---- */

static int64_t cost_ns(int64_t count, int64_t most)
{
	double cost = (double)count * (double)BUCKET_NS / (double)most;
	return cost < (double)DEBT_MAX_NS ? (int64_t)cost : DEBT_MAX_NS;
}

/* The moment at which the bucket is full again, when `count` more are taken. */
static int64_t add_cost(int64_t full_ns, int64_t now_ns, int64_t cost)
{
	int64_t from = full_ns > now_ns ? full_ns : now_ns;
	int64_t last = now_ns + BUCKET_NS + DEBT_MAX_NS;
	return from + cost < last ? from + cost : last;
}

/* False: there is no whole token; *wait_ns until there is one. */
static bool take_one_scope(limit_account *a, limit_kind kind, int64_t count, int64_t now_us, int64_t *wait_ns)
{
	int64_t most = most_of(a, kind);
	int64_t now_ns = now_us * NS_PER_US;
	if (most == 0) {
		return true;
	}
	int64_t token_ns = cost_ns(1, most);
	int64_t cost = cost_ns(count, most);
	int64_t full_ns = atomic_load_explicit(&a->full_ns[kind], memory_order_relaxed);
	int64_t next_ns;
	do {
		int64_t over_ns = full_ns + token_ns - now_ns - BUCKET_NS;
		if (over_ns > 0) {
			*wait_ns = over_ns;
			return false;
		}
		next_ns = add_cost(full_ns, now_ns, cost);
	} while (cost > 0 && !atomic_compare_exchange_weak_explicit(&a->full_ns[kind], &full_ns, next_ns,
																memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void give_back(limit_account *a, limit_kind kind, int64_t count)
{
	int64_t most = most_of(a, kind);
	if (most > 0) {
		atomic_fetch_sub_explicit(&a->full_ns[kind], cost_ns(count, most), memory_order_relaxed);
	}
}

bool limit_take(limit_account *a, limit_kind kind, int64_t count, int64_t now_us, err *e)
{
	for (limit_account *at = a; at != NULL; at = at->tenant) {
		int64_t wait_ns = 0;
		if (!take_one_scope(at, kind, count, now_us, &wait_ns)) {
			if (at != a) {
				give_back(a, kind, count);
			}
			return refuse(at, kind, most_of(at, kind), wait_ns, "wait for Retry-After, and send less at a time", e);
		}
	}
	return true;
}

void limit_charge(limit_account *a, limit_kind kind, int64_t count, int64_t now_us)
{
	int64_t now_ns = now_us * NS_PER_US;
	for (limit_account *at = a; at != NULL && count > 0; at = at->tenant) {
		int64_t most = most_of(at, kind);
		int64_t full_ns = atomic_load_explicit(&at->full_ns[kind], memory_order_relaxed);
		while (most > 0 && !atomic_compare_exchange_weak_explicit(&at->full_ns[kind], &full_ns,
																  add_cost(full_ns, now_ns, cost_ns(count, most)),
																  memory_order_relaxed, memory_order_relaxed)) {
		}
	}
}

bool limit_is_set(const limit_account *a, limit_kind kind)
{
	for (const limit_account *at = a; at != NULL; at = at->tenant) {
		if (most_of(at, kind) > 0) {
			return true;
		}
	}
	return false;
}

/* ---- counts ---- */

static _Atomic int64_t *count_of(limit_account *a, limit_kind kind)
{
	return &a->in_use[kind - LIMIT_RATE_KINDS];
}

bool limit_enter(limit_account *a, limit_kind kind, err *e)
{
	/* Counted also where there is no limit: there may be one tomorrow. */
	for (limit_account *at = a; at != NULL; at = at->tenant) {
		int64_t most = most_of(at, kind);
		int64_t before = atomic_fetch_add_explicit(count_of(at, kind), 1, memory_order_relaxed);
		if (most > 0 && before >= most) {
			atomic_fetch_sub_explicit(count_of(at, kind), 1, memory_order_relaxed);
			if (at != a) {
				atomic_fetch_sub_explicit(count_of(a, kind), 1, memory_order_relaxed);
			}
			return refuse(at, kind, most, BUCKET_NS, "wait for one to end, or try again later", e);
		}
	}
	return true;
}

void limit_leave(limit_account *a, limit_kind kind)
{
	for (limit_account *at = a; at != NULL; at = at->tenant) {
		atomic_fetch_sub_explicit(count_of(at, kind), 1, memory_order_relaxed);
	}
}

int64_t limit_in_use(const limit_account *a, limit_kind kind)
{
	return a != NULL ? atomic_load_explicit(&a->in_use[kind - LIMIT_RATE_KINDS], memory_order_relaxed) : 0;
}

/* ---- what only tenants have ---- */

static const limit_account *tenant_of(const limit_account *a)
{
	return a != NULL && a->tenant != NULL ? a->tenant : a;
}

int64_t limit_of_tenant(const limit_account *a, limit_kind kind)
{
	return a != NULL ? most_of(tenant_of(a), kind) : 0;
}

bool limit_store(limit_account *a, int64_t bytes, int64_t now_us, bool *is_due, err *e)
{
	limit_account *t = a != NULL && a->tenant != NULL ? a->tenant : a;
	int64_t most = limit_of_tenant(t, LIMIT_STORED_BYTES);
	*is_due = false;
	if (most == 0) {
		return true;
	}
	int64_t read_us = atomic_load_explicit(&t->stored_read_us, memory_order_relaxed);
	*is_due = (read_us == 0 || now_us - read_us >= LIMIT_STORED_READ_MS * US_PER_MS) &&
			  atomic_compare_exchange_strong_explicit(&t->stored_read_us, &read_us, now_us, memory_order_relaxed,
													  memory_order_relaxed);
	int64_t stored = atomic_load_explicit(&t->stored_known, memory_order_relaxed) +
					 atomic_load_explicit(&t->stored_added, memory_order_relaxed);
	if (bytes > most || stored > most - bytes) {
		return refuse(t, LIMIT_STORED_BYTES, most, BUCKET_NS, "delete records or topics, or let retention do it", e);
	}
	atomic_fetch_add_explicit(&t->stored_added, bytes, memory_order_relaxed);
	return true;
}

int64_t limit_begin_stored(const limit_account *a)
{
	return atomic_load_explicit(&tenant_of(a)->stored_added, memory_order_relaxed);
}

void limit_tell_stored(limit_account *a, int64_t begun, int64_t stored)
{
	limit_account *t = a->tenant != NULL ? a->tenant : a;
	if (stored < 0) {
		atomic_store_explicit(&t->stored_read_us, 0, memory_order_relaxed);
		return;
	}
	/* What was added while the database was asked may be missing from its answer. */
	atomic_store_explicit(&t->stored_known, stored - begun, memory_order_relaxed);
}
