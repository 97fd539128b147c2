/*
 * auth/lookup: what the database says of credentials. Used by auth only.
 *
 * Threads  the one that was given the connection.
 * Errors   those of db/conn.
 */
#ifndef TIDEGATE_AUTH_LOOKUP_H
#define TIDEGATE_AUTH_LOOKUP_H

#include "auth/cache.h"
#include "auth/jwt.h"
#include "auth/limit_book.h"
#include "auth/listed.h"
#include "db/conn.h"

enum { LOOKUP_MAX = 256, LOOKUP_TOUCH_MS = 60000 };

typedef struct lookup_state {
	bool has_keys;           /* an API key was ever made, valid or not */
	auth_choice auto_create; /* of the default tenant, as are its own limits */
	limit_set limits;
} lookup_state;

bool lookup_read_state(db_conn *c, lookup_state *out, err *e) MUST_CHECK;

typedef struct lookup {
	char key_id[AUTH_KEY_ID_LENGTH + 1];
	uint8_t hash[AUTH_KEY_HASH_BYTES];
	bool is_by_id; /* the secret was verified before: the hash does not matter */
	/* Filled in, until_ms excepted; it ends with the key (principal->deadline_ms). The principal is a reference. */
	auth_cached found;
} lookup;

/* At most LOOKUP_MAX. False: no lookup is filled. The principals' accounts come from the book, which learns the limits. */
bool lookup_read_keys(db_conn *c, limit_book *book, lookup *const lookups[], size_t count, err *e) MUST_CHECK;
/* Whom a verified token stands for, or that its tenant does not exist. *found as in a lookup. */
bool lookup_read_token(db_conn *c, limit_book *book, const auth_jwt_claims *claims, auth_cached *found,
					   err *e) MUST_CHECK;
/* Whom a key of the configuration stands for: the default tenant. *found as in a lookup. */
bool lookup_read_listed(db_conn *c, limit_book *book, const auth_listed_key *key, auth_cached *found,
						err *e) MUST_CHECK;
/* Writes that these keys are in use. */
bool lookup_write_used(db_conn *c, const str *key_ids, size_t count, err *e) MUST_CHECK;

/* A nullable boolean. */
auth_choice lookup_choice(const db_result *r, int row, int column);
/* The words of a text[]; unknown ones, of a later version perhaps, grant nothing. */
uint32_t lookup_scopes(str cell);

#endif
