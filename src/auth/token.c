#include "auth/token.h"

#include <inttypes.h>

#include "base/text.h"

enum { CLAIMS = 4, CLAIMS_MAX = 256, DECODE_BYTES_MAX = 2048 };

static const str PREFIX = {"tgt_", 4};

static void write_claims(str purpose, const auth_token *t, buf *out)
{
	buf_printf(out, "%.*s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, STR_ARG(purpose), t->tenant_id, t->subject_id,
			   t->generation, t->expires_ms);
}

bool auth_token_mint(auth_signing *s, str purpose, const auth_token *token, buf *out, err *e)
{
	unsigned char mac[AUTH_MAC_BYTES];
	buf claims;
	buf text;
	bool ok = false;
	buf_init(&claims, CLAIMS_MAX);
	buf_init(&text, AUTH_TOKEN_MAX);
	buf id;
	buf_init(&id, AUTH_SIGNING_ID_MAX);
	if (!auth_signing_id(s, AUTH_SIGNING_TOKEN, &id, e)) {
		goto out;
	}
	write_claims(purpose, token, &claims);
	buf_append_str(&text, PREFIX);
	buf_append_str(&text, buf_str(&id));
	buf_append_byte(&text, '.');
	text_base64url_encode(&text, buf_str(&claims));
	if (claims.failed || text.failed || !auth_signing_mac(s, buf_str(&id), buf_str(&text), mac)) {
		err_set(e, ERR_UNAVAILABLE, "no token can be made now; try again");
		goto out;
	}
	buf_append_byte(&text, '.');
	text_base64url_encode(&text, (str){(const char *)mac, sizeof mac});
	buf_append_str(out, buf_str(&text));
	ok = !text.failed || err_set(e, ERR_INTERNAL, "a token came out too long");
out:
	buf_dispose(&claims);
	buf_dispose(&text);
	buf_dispose(&id);
	return ok;
}

str auth_token_key_id(str text)
{
	str id;
	str rest;
	return str_starts_with(text, PREFIX) && str_split(str_skip(text, PREFIX.len), '.', &id, &rest) ? id : STR_NONE;
}

static bool read_claims(str claims, str purpose, auth_token *out)
{
	int64_t numbers[CLAIMS];
	str word;
	str rest;
	bool has_more = str_split(claims, ' ', &word, &rest);
	if (!str_equal(word, purpose)) {
		return false;
	}
	for (int i = 0; i < CLAIMS; i++) {
		if (!has_more) {
			return false;
		}
		has_more = str_split(rest, ' ', &word, &rest);
		if (!str_parse_i64(word, INT64_MIN, INT64_MAX, &numbers[i])) {
			return false;
		}
	}
	*out = (auth_token){numbers[0], numbers[1], numbers[2], numbers[3]};
	return !has_more;
}

bool auth_token_read(auth_signing *s, str purpose, str text, auth_token *out)
{
	unsigned char mac[AUTH_MAC_BYTES];
	str claims;
	str given;
	str id = auth_token_key_id(text);
	if (id.ptr == NULL || text.len > AUTH_TOKEN_MAX ||
		!str_split(str_skip(text, PREFIX.len + id.len + 1), '.', &claims, &given)) {
		return false;
	}
	str signed_part = {text.ptr, (size_t)(given.ptr - 1 - text.ptr)};
	arena *a = arena_new(DECODE_BYTES_MAX);
	str bytes;
	bool ok = a != NULL && text_base64url_decode(a, given, &bytes) && auth_signing_mac(s, id, signed_part, mac) &&
			  auth_mac_equal(mac, bytes) && text_base64url_decode(a, claims, &bytes) &&
			  read_claims(bytes, purpose, out);
	arena_free(a);
	return ok;
}
