/*
 * auth/limit_impl: an account as auth/limit and auth/limit_book share it.
 */
#ifndef TIDEGATE_AUTH_LIMIT_IMPL_H
#define TIDEGATE_AUTH_LIMIT_IMPL_H

#include "auth/limit.h"
#include "base/metric.h"

#include <stdatomic.h>

struct limit_account {
	atomic_uint_least32_t references;
	limit_scope scope;
	limit_account *tenant; /* a reference; NULL for a tenant's own */
	metric *refused[LIMIT_KINDS];
	_Atomic int64_t most[LIMIT_KINDS];
	_Atomic int64_t full_ns[LIMIT_RATE_KINDS]; /* when the bucket will be full again, were nothing taken any more */
	_Atomic int64_t in_use[LIMIT_KEY_KINDS - LIMIT_RATE_KINDS];
	/* Stored bytes: known + added. */
	_Atomic int64_t stored_known;
	_Atomic int64_t stored_added;
	_Atomic int64_t stored_read_us; /* when somebody last set out to read them; 0 = never */

	/* The book's, under its lock. */
	limit_account *next;
	int64_t tenant_id;
	str key_id; /* empty for a tenant's own */
	char key_text[];
};

/* Without what is left to do in `tenant` and the book: everything 0. NULL when memory is out. */
limit_account *limit_account_new(int64_t tenant_id, str key_id, limit_account *tenant);
/* A fresh account would say the same to everybody. */
bool limit_account_is_idle(const limit_account *a, int64_t now_us);

#endif
