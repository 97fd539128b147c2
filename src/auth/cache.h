/*
 * auth/cache: what is known of credentials that were judged lately, by the digest of the credential.
 *
 * Owns     a reference to the principal of every entry.
 * Threads  one at a time; auth's lock guards it.
 * Units    *_ms on clock_now_ms().
 * Limits   max_entries; a further one takes the place of the least recently used.
 */
#ifndef TIDEGATE_AUTH_CACHE_H
#define TIDEGATE_AUTH_CACHE_H

#include "auth/key.h"
#include "auth/principal.h"
#include "auth/verdict.h"

typedef struct auth_cache auth_cache;

enum { AUTH_DIGEST_BYTES = 32 };

/* Of a whole credential, under a key of this process: neither the credential nor its stored hash can be had from it. */
typedef struct auth_digest {
	uint8_t bytes[AUTH_DIGEST_BYTES];
} auth_digest;

typedef struct auth_cached {
	const auth_principal *principal; /* NULL when refused */
	auth_reason reason;
	char key_id[AUTH_KEY_ID_LENGTH + 1];
	int64_t until_ms; /* not to be used from then on */
	int64_t touch_ms; /* from then on a use is to be written to the database */
} auth_cached;

auth_cache *auth_cache_new(uint32_t max_entries); /* NULL when memory is out */
void auth_cache_free(auth_cache *c);              /* accepts NULL */
/* The entry, or NULL. Borrowed until the next call; touch_ms may be changed through it. */
auth_cached *auth_cache_find(auth_cache *c, const auth_digest *digest, int64_t now_ms);
/* Replaces an entry of the same digest. Takes a reference of its own to the principal. */
void auth_cache_put(auth_cache *c, const auth_digest *digest, const auth_cached *value);
void auth_cache_drop_key(auth_cache *c, str key_id);
void auth_cache_clear(auth_cache *c);
uint32_t auth_cache_count(const auth_cache *c);

#endif
