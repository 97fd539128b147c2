/*
 * auth/limit_set: values for limits: the server's defaults, or what a tenant has of its own.
 *
 * Text     "requests_per_second=100,streams_per_key=5", in any order; 0: no limit. "server" as a value takes the tenant's
 *          own away.
 * Limits   LIMIT_MOST_MAX.
 */
#ifndef TIDEGATE_AUTH_LIMIT_SET_H
#define TIDEGATE_AUTH_LIMIT_SET_H

#include "auth/limit_table.h"
#include "base/buf.h"
#include "base/err.h"

typedef enum limit_kind {
#define LIMIT_ENUM(name, text) LIMIT_##name,
	LIMIT_TABLE(LIMIT_ENUM)
#undef LIMIT_ENUM
		LIMIT_KINDS,
	LIMIT_RATE_KINDS = LIMIT_REQUESTS_IN_FLIGHT,
	LIMIT_KEY_KINDS = LIMIT_STORED_BYTES /* those before it exist per key, too */
} limit_kind;

typedef enum limit_scope { LIMIT_OF_TENANT, LIMIT_OF_KEY, LIMIT_SCOPES } limit_scope;

enum { LIMIT_UNSET = -1, LIMIT_SERVER = -2, LIMIT_NAME_MAX = 40 };

#define LIMIT_MOST_MAX INT64_C(1152921504606846976)

/* 0: no limit; LIMIT_UNSET: nothing is said; LIMIT_SERVER, in a change only: what the server says from now on. */
typedef struct limit_set {
	int64_t most[LIMIT_SCOPES][LIMIT_KINDS];
} limit_set;

limit_set limit_set_none(void); /* nothing is said */

/* "streams_per_key"; a literal. NULL: there is no such limit. */
const char *limit_name(limit_kind kind, limit_scope scope);
bool limit_find(str name, limit_kind *kind, limit_scope *scope);

/* ERR_INVALID_REQUEST: an unknown name, or no number from 0 to LIMIT_MOST_MAX; an empty text says nothing. */
bool limit_set_parse(str text, limit_set *out, err *e) MUST_CHECK;
/* The same for what a database holds: what this version does not know is left out. */
limit_set limit_set_read(str text);
void limit_set_print(const limit_set *set, buf *out); /* what limit_set_parse() reads; in the order of the table */

#endif
