/*
 * auth/signing: keys that Tidegate signs with itself: Ed25519 for webhooks, a MAC for its own tokens (auth/token).
 *
 * The keys are rows of tidegate.signing_key, made when the first is needed, so that all workers share them and they
 * outlive restarts. The newest of a kind that is not retired signs; retired ones still verify, and stay listed, for
 * AUTH_SIGNING_WINDOW_MS. A key that was given less has been retired as if earlier.
 *
 * Owns     a cache of the keys, AUTH_SIGNING_CACHE_MS old at most.
 * Threads  any.
 * Limits   AUTH_SIGNING_KEYS_MAX keys are known; older ones are not.
 * Errors   ready: those of db/conn. Signing before ready() succeeded: ERR_UNAVAILABLE.
 */
#ifndef TIDEGATE_AUTH_SIGNING_H
#define TIDEGATE_AUTH_SIGNING_H

#include "auth/actor.h"
#include "base/buf.h"
#include "base/err.h"

struct db_conn;

typedef struct auth_signing auth_signing;

typedef enum auth_signing_kind { AUTH_SIGNING_WEBHOOK, AUTH_SIGNING_TOKEN, AUTH_SIGNING_KINDS } auth_signing_kind;

enum {
	AUTH_SIGNING_KEYS_MAX = 64,
	AUTH_SIGNING_CACHE_MS = 60000,
	AUTH_SIGNING_WINDOW_MS = 86400000,
	AUTH_SIGNING_ID_MAX = 64, /* bytes of a key's id */
	AUTH_SIGNATURE_BYTES = 64,
	AUTH_MAC_BYTES = 32,
};

auth_signing *auth_signing_new(void);    /* NULL when memory is out */
void auth_signing_free(auth_signing *s); /* accepts NULL */

/* Sees to it that there is a key of each kind and that the cache is fresh. Not inside a transaction: it has its own. */
bool auth_signing_ready(auth_signing *s, struct db_conn *conn, err *e) MUST_CHECK;
/* The same, and looks again when no key is known by that id: another worker may just have made it. */
bool auth_signing_ready_for(auth_signing *s, struct db_conn *conn, str key_id, err *e) MUST_CHECK;

/* For the command: new keys of each kind sign from now on, the old ones are good for overlap_ms more. Workers follow within
 * AUTH_SIGNING_CACHE_MS. ERR_INVALID_REQUEST: more than AUTH_SIGNING_WINDOW_MS. Written to the audit (auth/audit). */
bool auth_signing_rotate(struct db_conn *conn, const auth_actor *by, int64_t overlap_ms, err *e) MUST_CHECK;

/* The id of the key that signs now, into `out`. */
bool auth_signing_id(auth_signing *s, auth_signing_kind kind, buf *out, err *e) MUST_CHECK;
/* Ed25519 over the bytes, with the key that signs now; its id is appended to `id`. */
bool auth_signing_sign(auth_signing *s, str bytes, buf *id, unsigned char signature[AUTH_SIGNATURE_BYTES],
					   err *e) MUST_CHECK;
/* The MAC that the token key of that id gives the bytes; false when the key is not known. */
bool auth_signing_mac(auth_signing *s, str key_id, str bytes, unsigned char mac[AUTH_MAC_BYTES]) MUST_CHECK;
/* In constant time. */
bool auth_mac_equal(const unsigned char mac[AUTH_MAC_BYTES], str other);

/* The public keys as a JSON Web Key set: {"keys":[…]}. */
void auth_signing_write_jwks(auth_signing *s, buf *out);

/* SHA-256, for telling whether two texts are the same. */
enum { AUTH_DIGEST_BYTES = 32 };
void auth_digest_sha256(str bytes, unsigned char digest[AUTH_DIGEST_BYTES]);

#endif
