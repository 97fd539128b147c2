#include "auth/jwt.h"

#include "auth/auth.h"
#include "auth/jwt_keys.h"

#include <jansson.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOKEN_DOTS = 2, CLAIM_DEPTH_MAX = 8, NAME_TEXT_MAX = 256 };

struct auth_jwt {
	auth_jwt_options options;
	jwt_keys *keys;
};

/* ---- life ---- */

bool auth_jwt_new(const auth_jwt_options *options, auth_jwt **out, err *e)
{
	auth_jwt *j = calloc(1, sizeof *j);
	if (j == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	j->options = *options;
	if (!jwt_keys_new(options->key_files, options->log, &j->keys, e)) {
		free(j);
		return false;
	}
	*out = j;
	return true;
}

void auth_jwt_free(auth_jwt *j)
{
	if (j != NULL) {
		jwt_keys_free(j->keys);
		free(j);
	}
}

bool auth_jwt_is_token(str text)
{
	size_t dots = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool is_base64url =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
		dots += c == '.';
		if (!is_base64url && c != '.') {
			return false;
		}
	}
	/* The header is a JSON object: '{"' begins so. */
	return dots == TOKEN_DOTS && str_starts_with(text, STR("ey"));
}

/* ---- the signature ---- */

/* As named by the token; the decoder itself forgets it when it is given no key. */
static bool read_algorithm(const char *name, jwt_algorithm *ours, jwt_alg_t *theirs)
{
	static const struct {
		const char *name;
		jwt_algorithm ours;
		jwt_alg_t theirs;
	} taken[] = {
		{"HS256", JWT_HS256, JWT_ALG_HS256},
		{"RS256", JWT_RS256, JWT_ALG_RS256},
		{"ES256", JWT_ES256, JWT_ALG_ES256},
	};
	for (size_t i = 0; name != NULL && i < sizeof taken / sizeof taken[0]; i++) {
		if (strcmp(name, taken[i].name) == 0) {
			*ours = taken[i].ours;
			*theirs = taken[i].theirs;
			return true;
		}
	}
	return false;
}

static bool may_have_signed(const jwt_key *key, jwt_algorithm algorithm, const char *kid)
{
	return key->algorithm == algorithm && (kid == NULL || key->kid[0] == '\0' || strcmp(key->kid, kid) == 0);
}

/* The verified token, or NULL. */
static jwt_t *verify_with(const jwt_key *key, jwt_alg_t algorithm, const char *token)
{
	jwt_t *verified = NULL;
	if (jwt_decode(&verified, token, (const unsigned char *)key->material, (int)key->bytes) != 0) {
		return NULL;
	}
	if (jwt_get_alg(verified) != algorithm) {
		jwt_free(verified);
		return NULL;
	}
	return verified;
}

static auth_reason check_signature(auth_jwt *j, const char *token, jwt_t **out)
{
	jwt_t *unverified = NULL;
	jwt_algorithm algorithm;
	auth_reason reason = AUTH_REASON_TOKEN_SIGNATURE;
	if (jwt_decode(&unverified, token, NULL, 0) != 0) {
		return AUTH_REASON_TOKEN_MALFORMED;
	}
	jwt_alg_t named;
	char *critical = jwt_get_headers_json(unverified, "crit");
	if (!read_algorithm(jwt_get_header(unverified, "alg"), &algorithm, &named) || critical != NULL) {
		reason = AUTH_REASON_TOKEN_ALGORITHM;
		goto out;
	}
	const char *kid = jwt_get_header(unverified, "kid");
	const jwt_key_set *set = jwt_keys_take(j->keys);
	for (size_t i = 0; i < set->count && reason != AUTH_REASON_GRANTED; i++) {
		*out = may_have_signed(&set->keys[i], algorithm, kid) ? verify_with(&set->keys[i], named, token) : NULL;
		reason = *out != NULL ? AUTH_REASON_GRANTED : reason;
	}
	jwt_keys_give_back(j->keys, set);
out:
	free(critical);
	jwt_free(unverified);
	return reason;
}

/* ---- claims ---- */

static const json_t *member(const json_t *object, str name)
{
	char text[NAME_TEXT_MAX];
	if (name.len >= sizeof text) {
		return NULL;
	}
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	return json_object_get(object, text);
}

/* The member of that name, or what the path leads to. */
static const json_t *find_claim(const json_t *root, str name)
{
	const json_t *at = member(root, name);
	if (at != NULL) {
		return at;
	}
	str rest = name;
	at = root;
	for (int depth = 0; rest.len > 0 && at != NULL; depth++) {
		str step;
		str_split(rest, '.', &step, &rest);
		at = depth < CLAIM_DEPTH_MAX ? member(at, step) : NULL;
	}
	return at != root ? at : NULL;
}

static str text_of(const json_t *value)
{
	return json_is_string(value) ? (str){json_string_value(value), json_string_length(value)} : STR_NONE;
}

static bool has_audience(const json_t *claim, str audience)
{
	if (str_equal(text_of(claim), audience)) {
		return true;
	}
	for (size_t i = 0; i < json_array_size(claim); i++) {
		if (str_equal(text_of(json_array_get(claim, i)), audience)) {
			return true;
		}
	}
	return false;
}

static uint32_t scope_of(str word)
{
	uint32_t scope = 0;
	str problem;
	const str ours = STR("tidegate:");
	if (str_starts_with(word, ours)) {
		word = str_skip(word, ours.len);
	}
	return word.len > 0 && auth_scopes_parse(word, &scope, &problem) ? scope : 0;
}

static uint32_t scopes_of(const json_t *claim)
{
	uint32_t scopes = 0;
	str rest = text_of(claim);
	while (rest.len > 0) {
		str word;
		str_split(rest, ' ', &word, &rest);
		scopes |= scope_of(str_trim(word));
	}
	for (size_t i = 0; i < json_array_size(claim); i++) {
		scopes |= scope_of(text_of(json_array_get(claim, i)));
	}
	return scopes;
}

static bool add_prefix(auth_jwt_claims *out, const json_t *value)
{
	str prefix = text_of(value);
	if (prefix.ptr == NULL || prefix.len > JWT_NAME_BYTES_MAX || out->prefix_count == AUTH_PREFIXES_MAX) {
		return false;
	}
	out->prefixes[out->prefix_count++] = prefix;
	return true;
}

/* What cannot be understood must not become "any name". */
static bool read_prefixes(const json_t *claim, auth_jwt_claims *out)
{
	if (claim == NULL || json_is_null(claim)) {
		return true;
	}
	if (!json_is_array(claim)) {
		return add_prefix(out, claim);
	}
	bool ok = json_array_size(claim) > 0;
	for (size_t i = 0; i < json_array_size(claim) && ok; i++) {
		ok = add_prefix(out, json_array_get(claim, i));
	}
	return ok;
}

static auth_reason read_claims(const auth_jwt *j, const json_t *root, auth_jwt_claims *out)
{
	const auth_jwt_options *o = &j->options;
	const json_t *ends = json_object_get(root, "exp");
	const json_t *begins = json_object_get(root, "nbf");
	double now_s = (double)time(NULL);
	if (!json_is_number(ends) || (begins != NULL && !json_is_number(begins))) {
		return AUTH_REASON_TOKEN_TIMES;
	}
	double ends_s = json_number_value(ends) + o->leeway_s;
	if (!(now_s < ends_s)) {
		return AUTH_REASON_TOKEN_EXPIRED;
	}
	if (begins != NULL && !(json_number_value(begins) - o->leeway_s <= now_s)) {
		return AUTH_REASON_TOKEN_EARLY;
	}
	if (o->issuer.len > 0 && !str_equal(text_of(json_object_get(root, "iss")), o->issuer)) {
		return AUTH_REASON_TOKEN_ISSUER;
	}
	if (o->audience.len > 0 && !has_audience(json_object_get(root, "aud"), o->audience)) {
		return AUTH_REASON_TOKEN_AUDIENCE;
	}
	const json_t *tenant = find_claim(root, o->tenant_claim);
	out->tenant = tenant != NULL ? text_of(tenant) : o->default_tenant;
	if (out->tenant.len == 0 || out->tenant.len > JWT_NAME_BYTES_MAX) {
		return AUTH_REASON_TOKEN_TENANT;
	}
	out->scopes = scopes_of(find_claim(root, o->scopes_claim));
	if (!read_prefixes(find_claim(root, o->prefixes_claim), out)) {
		return AUTH_REASON_TOKEN_PREFIXES;
	}
	const double far_s = 1e12; /* tens of thousands of years */
	out->ends_s = (int64_t)(ends_s < far_s ? ends_s : far_s);
	out->subject = text_of(json_object_get(root, "sub"));
	return AUTH_REASON_GRANTED;
}

auth_reason auth_jwt_verify(auth_jwt *j, str token, auth_jwt_claims *out)
{
	char text[AUTH_CREDENTIAL_MAX + 1];
	jwt_t *verified = NULL;
	*out = (auth_jwt_claims){.prefix_count = 0};
	if (token.len > AUTH_CREDENTIAL_MAX || !auth_jwt_is_token(token)) {
		return AUTH_REASON_TOKEN_MALFORMED;
	}
	memcpy(text, token.ptr, token.len);
	text[token.len] = '\0';
	auth_reason reason = check_signature(j, text, &verified);
	if (reason != AUTH_REASON_GRANTED) {
		return reason;
	}
	char *claims = jwt_get_grants_json(verified, NULL);
	json_t *root = claims != NULL ? json_loads(claims, 0, NULL) : NULL;
	reason = root != NULL ? read_claims(j, root, out) : AUTH_REASON_TOKEN_MALFORMED;
	out->root = root;
	if (reason != AUTH_REASON_GRANTED) {
		auth_jwt_claims_dispose(out);
	}
	free(claims);
	jwt_free(verified);
	return reason;
}

void auth_jwt_claims_dispose(auth_jwt_claims *c)
{
	json_decref(c->root);
	c->root = NULL;
}
