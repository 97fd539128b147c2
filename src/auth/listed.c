#include "auth/listed.h"

#include <sodium.h>
#include <stdlib.h>

enum { HASH_BYTES = 32, ID_HASH_BYTES = 6, TEXTS_MAX = 4 << 20 };

#define ID_PREFIX "listed:"

typedef struct entry {
	uint8_t hash[HASH_BYTES];
	auth_listed_key key;
} entry;

struct auth_listed {
	arena *texts;
	size_t count;
	entry entries[LISTED_MAX];
};

static void hash_secret(str secret, uint8_t hash[HASH_BYTES])
{
	crypto_generichash(hash, HASH_BYTES, (const unsigned char *)secret.ptr, secret.len, NULL, 0);
}

static const auth_listed_key *find_hash(const auth_listed *l, const uint8_t hash[HASH_BYTES])
{
	const auth_listed_key *found = NULL;
	for (size_t i = 0; i < l->count; i++) {
		if (sodium_memcmp(l->entries[i].hash, hash, HASH_BYTES) == 0) {
			found = &l->entries[i].key;
		}
	}
	return found;
}

const auth_listed_key *auth_listed_find(const auth_listed *l, str secret)
{
	uint8_t hash[HASH_BYTES];
	hash_secret(secret, hash);
	return find_hash(l, hash);
}

static bool make_id(auth_listed *l, entry *to, err *e)
{
	char id[sizeof ID_PREFIX + (size_t)2 * ID_HASH_BYTES] = ID_PREFIX;
	sodium_bin2hex(id + sizeof ID_PREFIX - 1, (size_t)2 * ID_HASH_BYTES + 1, to->hash, ID_HASH_BYTES);
	return arena_copy_str(l->texts, str_from_c(id), &to->key.id) || err_set(e, ERR_NO_MEMORY, "out of memory");
}

static bool read_prefixes(auth_listed *l, entry *to, size_t number, str text, err *e)
{
	str *prefixes = arena_alloc_array(l->texts, AUTH_PREFIXES_MAX, sizeof *prefixes);
	if (prefixes == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	to->key.prefixes = prefixes;
	for (bool has_more = true; has_more;) {
		str prefix;
		has_more = str_split(text, '|', &prefix, &text);
		prefix = str_trim(prefix);
		if (prefix.len == 0) {
			continue;
		}
		if (to->key.prefix_count == AUTH_PREFIXES_MAX) {
			return err_set(e, ERR_INVALID_REQUEST, "api_keys: key %zu has more than %d prefixes", number,
						   (int)AUTH_PREFIXES_MAX);
		}
		if (!arena_copy_str(l->texts, prefix, &prefixes[to->key.prefix_count++])) {
			return err_set(e, ERR_NO_MEMORY, "out of memory");
		}
	}
	return true;
}

static bool read_entry(auth_listed *l, str text, err *e)
{
	size_t number = l->count + 1;
	entry *to = &l->entries[l->count];
	str secret;
	str scopes;
	str prefixes;
	str problem;
	str_split(text, ':', &secret, &text);
	str_split(text, ':', &scopes, &prefixes);
	secret = str_trim(secret);
	scopes = str_trim(scopes);
	if (secret.len == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "api_keys: key %zu has no secret before its ':'", number);
	}
	to->key.scopes = AUTH_SCOPE_ALL;
	if (scopes.len > 0 && !auth_scopes_parse(scopes, &to->key.scopes, &problem)) {
		return err_set(
			e, ERR_INVALID_REQUEST,
			"api_keys: key %zu has an unknown scope; scopes are read, write, delete, admin and rw, joined by +",
			number);
	}
	hash_secret(secret, to->hash);
	if (find_hash(l, to->hash) != NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "api_keys: key %zu has the secret of one before it; keep one of them",
					   number);
	}
	l->count++;
	return make_id(l, to, e) && read_prefixes(l, to, number, prefixes, e);
}

bool auth_listed_new(str text, auth_listed **out, err *e)
{
	if (sodium_init() < 0) {
		return err_set(e, ERR_INTERNAL, "libsodium cannot be used on this machine");
	}
	auth_listed *l = calloc(1, sizeof *l);
	if (l != NULL) {
		l->texts = arena_new(TEXTS_MAX);
	}
	bool ok = (l != NULL && l->texts != NULL) || err_set(e, ERR_NO_MEMORY, "out of memory");
	for (bool has_more = true; ok && has_more;) {
		str item;
		has_more = str_split(text, ',', &item, &text);
		item = str_trim(item);
		if (item.len > 0) {
			ok = (l->count < LISTED_MAX ||
				  err_set(e, ERR_INVALID_REQUEST, "api_keys: there may be %d keys", (int)LISTED_MAX)) &&
				 read_entry(l, item, e);
		}
	}
	*out = ok && l->count > 0 ? l : NULL;
	if (*out == NULL) {
		auth_listed_free(l);
	}
	return ok;
}

void auth_listed_free(auth_listed *l)
{
	if (l != NULL) {
		arena_free(l->texts);
		free(l);
	}
}
