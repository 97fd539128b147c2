/*
 * auth/jwt_keys: the keys that may have signed a JSON Web Token, from files, read again when a file changes.
 *
 *   *.json, *.jwks   a JWK set: RSA (RS256), EC P-256 (ES256) and oct (HS256) keys, each with its kid
 *   *.secret         a shared secret (HS256): the file's bytes without the line end, JWT_SECRET_BYTES_MIN at least
 *   anything else    one PEM public key or certificate: RSA (RS256) or EC P-256 (ES256)
 *
 * The kind of a key pins the one algorithm it verifies, whatever a token says of itself.
 *
 * Owns     its keys. A set is immutable and counted: what was taken stays valid while files change.
 * Threads  any, once created.
 * Limits   JWT_FILES_MAX files of JWT_FILE_BYTES_MAX, JWT_KEYS_MAX keys.
 * Errors   jwt_keys_new: ERR_INVALID_REQUEST names the file and what is wrong with it. Later a file that cannot be read
 *          leaves the keys as they were; the log says so.
 */
#ifndef TIDEGATE_AUTH_JWT_KEYS_H
#define TIDEGATE_AUTH_JWT_KEYS_H

#include "base/err.h"
#include "base/slog.h"

enum { JWT_FILES_MAX = 16, JWT_FILE_BYTES_MAX = 256 * 1024, JWT_KEYS_MAX = 64, JWT_SECRET_BYTES_MIN = 32 };

typedef enum jwt_algorithm { JWT_HS256, JWT_RS256, JWT_ES256 } jwt_algorithm;

typedef struct jwt_key {
	jwt_algorithm algorithm;
	char *kid;      /* "": any */
	char *material; /* a secret, or a public key as PEM, NUL-terminated */
	size_t bytes;
} jwt_key;

typedef struct jwt_key_set {
	size_t count;
	jwt_key keys[JWT_KEYS_MAX];
} jwt_key_set;

typedef struct jwt_keys jwt_keys;

/* `files` are comma-separated paths. */
bool jwt_keys_new(str files, slog *log, jwt_keys **out, err *e) MUST_CHECK;
void jwt_keys_free(jwt_keys *k); /* accepts NULL */
/* The keys as they are now; to be given back. Looks at the files once a second at most. */
const jwt_key_set *jwt_keys_take(jwt_keys *k);
void jwt_keys_give_back(jwt_keys *k, const jwt_key_set *set);

#endif
