/*
 * auth/limit_book: the accounts (auth/limit) of the tenants and keys that this worker serves.
 *
 * Owns     every account, until nobody else uses it and its buckets are full: then forgetting it changes nothing.
 *          Accounts outlive the book as long as somebody holds one.
 * Threads  any.
 * Limits   twice as many accounts as are in use or were lately.
 */
#ifndef TIDEGATE_AUTH_LIMIT_BOOK_H
#define TIDEGATE_AUTH_LIMIT_BOOK_H

#include "auth/limit.h"
#include "base/metric.h"

typedef struct limit_book limit_book;

/* NULL when memory is out. What `defaults` leaves unset has no limit. */
limit_book *limit_book_new(const limit_set *defaults, metric_registry *metrics);
void limit_book_free(limit_book *b); /* accepts NULL */

/* The account of a key, or of its tenant when key_id is empty, with a reference for the caller; NULL when memory is out.
 * From now on both have the tenant's `own` limits, and the server's where it has none. */
limit_account *limit_book_find(limit_book *b, int64_t tenant_id, str key_id, const limit_set *own, int64_t now_us);
size_t limit_book_count(limit_book *b);

#endif
