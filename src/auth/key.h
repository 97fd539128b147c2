/*
 * auth/key: what an API key looks like.
 *
 *   tg_<key id>_<secret>_<checksum>      tg_3FZbgi29cpjq_dB7kYp0a…WvE2LhRc_0Hq3aK
 *
 * All of it is of the letters and digits of base62 and '_', so a double click selects the whole key. The id (12
 * characters) finds the key and is not secret. The secret (32) carries 190 random bits, so a fast hash is enough. The
 * checksum (6) is the CRC-32 (IEEE) of all before its '_', in base62, most significant digit first, digits 0-9 A-Z a-z:
 * it tells a typo from an unknown key, and lets scanners for leaked secrets recognise one without asking anybody.
 *
 * Stored is the BLAKE2b-256 hash of `tg_<key id>_<secret>`, never the key.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_AUTH_KEY_H
#define TIDEGATE_AUTH_KEY_H

#include "base/err.h"

enum {
	AUTH_KEY_ID_LENGTH = 12,
	AUTH_KEY_SECRET_LENGTH = 32,
	AUTH_KEY_CHECKSUM_LENGTH = 6,
	AUTH_KEY_LENGTH = 3 + AUTH_KEY_ID_LENGTH + 1 + AUTH_KEY_SECRET_LENGTH + 1 + AUTH_KEY_CHECKSUM_LENGTH,
	AUTH_KEY_HASH_BYTES = 32
};

#define AUTH_KEY_PREFIX STR("tg_")

typedef struct auth_key {
	char text[AUTH_KEY_LENGTH + 1]; /* secret */
	char id[AUTH_KEY_ID_LENGTH + 1];
	uint8_t hash[AUTH_KEY_HASH_BYTES];
} auth_key;

typedef enum auth_key_form { AUTH_KEY_GOOD, AUTH_KEY_MALFORMED, AUTH_KEY_TYPO } auth_key_form;

/* A new random key. The caller wipes it with auth_key_wipe() when it was shown. ERR_INTERNAL: no libsodium. */
bool auth_key_generate(auth_key *out, err *e) MUST_CHECK;
void auth_key_wipe(auth_key *key);

/* GOOD: *id is the key id, a view of text. TYPO: the form is right, the checksum is not. */
auth_key_form auth_key_parse(str text, str *id);
/* text must be GOOD. */
void auth_key_hash(str text, uint8_t hash[AUTH_KEY_HASH_BYTES]);
/* In constant time. False when `stored` is not of a hash's length. */
bool auth_key_hash_equal(const uint8_t hash[AUTH_KEY_HASH_BYTES], str stored);
/* Of a key id's form, as people type it. */
bool auth_key_id_is_valid(str id);

#endif
