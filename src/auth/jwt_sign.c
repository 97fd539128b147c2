#include "auth/jwt_sign.h"

#include "auth/jwt_keys.h"

#include <jansson.h>
#include <jwt.h>
#include <stdlib.h>
#include <time.h>

static json_t *text(str value)
{
	return json_stringn(value.ptr, value.len);
}

static json_t *scopes_text(uint32_t scopes)
{
	char words[64];
	size_t len = 0;
	for (uint32_t scope = AUTH_SCOPE_READ; scope <= AUTH_SCOPE_ADMIN; scope *= 2) {
		if ((scopes & scope) != 0) {
			int added = snprintf(words + len, sizeof words - len, "%s%.*s", len > 0 ? " " : "",
								 STR_ARG(auth_scope_name(scope)));
			len += (size_t)added;
		}
	}
	return json_stringn(words, len);
}

static json_t *list(const str *items, size_t count)
{
	json_t *made = json_array();
	for (size_t i = 0; made != NULL && i < count; i++) {
		if (json_array_append_new(made, text(items[i])) != 0) {
			json_decref(made);
			made = NULL;
		}
	}
	return made;
}

/* Takes `value`, which may be NULL: memory was out, or it is no text. */
static bool add(json_t *claims, str name, json_t *value)
{
	return json_object_setn_new(claims, name.ptr, name.len, value) == 0;
}

static json_t *make_claims(const auth_jwt_options *o, const jwt_grant *g)
{
	json_t *claims = json_object();
	json_int_t now_s = (json_int_t)time(NULL);
	bool ok = claims != NULL && add(claims, STR("iat"), json_integer(now_s)) &&
			  add(claims, STR("exp"), json_integer(now_s + g->lifetime_s)) &&
			  (o->issuer.len == 0 || add(claims, STR("iss"), text(o->issuer))) &&
			  (o->audience.len == 0 || add(claims, STR("aud"), text(o->audience))) &&
			  (g->subject.len == 0 || add(claims, STR("sub"), text(g->subject))) &&
			  add(claims, o->tenant_claim, text(g->tenant)) && add(claims, o->scopes_claim, scopes_text(g->scopes)) &&
			  (g->prefix_count == 0 || add(claims, o->prefixes_claim, list(g->prefixes, g->prefix_count)));
	if (!ok) {
		json_decref(claims);
		return NULL;
	}
	return claims;
}

static const jwt_key *find_secret(const jwt_key_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->keys[i].algorithm == JWT_HS256) {
			return &set->keys[i];
		}
	}
	return NULL;
}

static bool encode(const jwt_key *key, json_t *claims, buf *out)
{
	bool ok = false;
	char *encoded = NULL;
	jwt_t *token = NULL;
	char *payload = json_dumps(claims, JSON_COMPACT);
	if (payload == NULL || jwt_new(&token) != 0 || jwt_add_grants_json(token, payload) != 0 ||
		jwt_set_alg(token, JWT_ALG_HS256, (const unsigned char *)key->material, (int)key->bytes) != 0 ||
		(key->kid[0] != '\0' && jwt_add_header(token, "kid", key->kid) != 0)) {
		goto out;
	}
	encoded = jwt_encode_str(token);
	if (encoded != NULL) {
		buf_append_str(out, str_from_c(encoded));
		ok = !out->failed;
	}
out:
	free(encoded);
	jwt_free(token);
	free(payload);
	return ok;
}

bool jwt_sign(const auth_jwt_options *options, const jwt_grant *grant, buf *out, err *e)
{
	bool ok = false;
	jwt_keys *keys = NULL;
	const jwt_key_set *set = NULL;
	json_t *claims = NULL;
	if (!jwt_keys_new(options->key_files, options->log, &keys, e)) {
		goto out;
	}
	set = jwt_keys_take(keys);
	const jwt_key *secret = find_secret(set);
	if (secret == NULL) {
		err_set(e, ERR_INVALID_REQUEST,
				"no key file holds a shared secret: tokens are signed with a *.secret file, "
				"or an oct key of a JWK set");
		goto out;
	}
	claims = make_claims(options, grant);
	if (claims == NULL) {
		err_set(e, ERR_INVALID_REQUEST, "the claims cannot be written: they have to be valid UTF-8");
		goto out;
	}
	ok = encode(secret, claims, out) || err_set(e, ERR_NO_MEMORY, "out of memory");
out:
	json_decref(claims);
	if (set != NULL) {
		jwt_keys_give_back(keys, set);
	}
	jwt_keys_free(keys);
	return ok;
}
