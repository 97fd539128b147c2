#include "auth/limit_book.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/limit_impl.h"
#include "base/siphash.h"

enum { BUCKETS_LEAST = 64, LABELS_MAX = 64 };

struct limit_book {
	limit_set defaults;
	metric *refused[LIMIT_SCOPES][LIMIT_KINDS]; /* NULL: there is no such limit */
	pthread_mutex_t lock;                       /* guards all below */
	limit_account **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
};

/* ---- life ---- */

static void make_metrics(limit_book *b, metric_registry *metrics)
{
	for (int scope = 0; scope < LIMIT_SCOPES; scope++) {
		for (int kind = 0; kind < LIMIT_KINDS; kind++) {
			const char *name = limit_name((limit_kind)kind, (limit_scope)scope);
			char labels[LABELS_MAX];
			/* Those two are counted where they are found out. */
			if (name != NULL && kind != LIMIT_TOPICS && kind != LIMIT_BODY_BYTES) {
				snprintf(labels, sizeof labels, "limit=\"%s\"", name);
				b->refused[scope][kind] = metric_counter(
					metrics, "tidegate_limited_total", "requests that a limit of their tenant or key refused", labels);
			}
		}
	}
}

limit_book *limit_book_new(const limit_set *defaults, metric_registry *metrics)
{
	limit_book *b = calloc(1, sizeof *b);
	if (b == NULL) {
		return NULL;
	}
	b->defaults = *defaults;
	b->bucket_count = BUCKETS_LEAST;
	b->buckets = calloc(b->bucket_count, sizeof(limit_account *));
	if (b->buckets == NULL) {
		free(b);
		return NULL;
	}
	pthread_mutex_init(&b->lock, NULL);
	make_metrics(b, metrics);
	return b;
}

void limit_book_free(limit_book *b)
{
	if (b == NULL) {
		return;
	}
	for (size_t i = 0; i < b->bucket_count; i++) {
		while (b->buckets[i] != NULL) {
			limit_account *a = b->buckets[i];
			b->buckets[i] = a->next;
			limit_account_unref(a);
		}
	}
	pthread_mutex_destroy(&b->lock);
	free(b->buckets);
	free(b);
}

/* ---- the table; caller holds the lock ---- */

static limit_account **bucket_of(const limit_book *b, int64_t tenant_id, str key_id)
{
	uint64_t hash = siphash_key(key_id) + (uint64_t)tenant_id * UINT64_C(0x9E3779B97F4A7C15);
	return &b->buckets[(hash ^ hash >> 32) & (b->bucket_count - 1)];
}

/* A reference of the book's alone cannot become two meanwhile: others are had from the book, under its lock, or from a
 * key's account, which has one. */
static void drop_idle(limit_book *b, int64_t now_us)
{
	for (size_t i = 0; i < b->bucket_count; i++) {
		limit_account **link = &b->buckets[i];
		while (*link != NULL) {
			limit_account *a = *link;
			if (atomic_load_explicit(&a->references, memory_order_acquire) == 1 && limit_account_is_idle(a, now_us)) {
				*link = a->next;
				b->count--;
				limit_account_unref(a);
			} else {
				link = &a->next;
			}
		}
	}
}

/* Without memory for more buckets the chains grow. */
static void grow(limit_book *b)
{
	size_t old_count = b->bucket_count;
	limit_account **old = b->buckets;
	limit_account **more = calloc(2 * old_count, sizeof(limit_account *));
	if (more == NULL) {
		return;
	}
	b->buckets = more;
	b->bucket_count = 2 * old_count;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			limit_account *a = old[i];
			limit_account **bucket = bucket_of(b, a->tenant_id, a->key_id);
			old[i] = a->next;
			a->next = *bucket;
			*bucket = a;
		}
	}
	free(old);
}

static limit_account *find_or_add(limit_book *b, int64_t tenant_id, str key_id, limit_account *tenant)
{
	for (limit_account *a = *bucket_of(b, tenant_id, key_id); a != NULL; a = a->next) {
		if (a->tenant_id == tenant_id && str_equal(a->key_id, key_id)) {
			return a;
		}
	}
	limit_account *a = limit_account_new(tenant_id, key_id, tenant);
	if (a != NULL) {
		limit_account **bucket = bucket_of(b, tenant_id, key_id);
		for (int kind = 0; kind < LIMIT_KINDS; kind++) {
			a->refused[kind] = b->refused[a->scope][kind];
		}
		a->next = *bucket;
		*bucket = a;
		b->count++;
	}
	return a;
}

static void set_values(const limit_book *b, limit_account *a, const limit_set *own)
{
	for (int kind = 0; kind < LIMIT_KINDS; kind++) {
		int64_t most = own->most[a->scope][kind];
		if (most < 0) {
			most = b->defaults.most[a->scope][kind];
		}
		atomic_store_explicit(&a->most[kind], most > 0 ? most : 0, memory_order_relaxed);
	}
}

/* ---- for callers ---- */

limit_account *limit_book_find(limit_book *b, int64_t tenant_id, str key_id, const limit_set *own, int64_t now_us)
{
	pthread_mutex_lock(&b->lock);
	if (b->count >= b->bucket_count) {
		drop_idle(b, now_us);
		if (b->count > b->bucket_count / 2) {
			grow(b);
		}
	}
	limit_account *found = find_or_add(b, tenant_id, STR_NONE, NULL);
	if (found != NULL) {
		set_values(b, found, own);
		if (key_id.len > 0) {
			found = find_or_add(b, tenant_id, key_id, found);
		}
	}
	if (found != NULL) {
		set_values(b, found, own);
		limit_account_ref(found);
	}
	pthread_mutex_unlock(&b->lock);
	return found;
}

size_t limit_book_count(limit_book *b)
{
	pthread_mutex_lock(&b->lock);
	size_t count = b->count;
	pthread_mutex_unlock(&b->lock);
	return count;
}
