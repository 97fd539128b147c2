/*
 * auth: what clients show to be let in. Nothing is granted that was not signed with our key; what was signed, whatever it
 * says, is granted within its limits or refused.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/jwt.h"
#include "auth/key.h"
#include "auth/token.h"
#include "base/buf.h"

enum { TOKEN_MAX = 1 << 20, LEEWAY_S = 5 };

static const char SECRET[] = "0123456789abcdef0123456789abcdef";
static const char KEY_SET[] = "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\","
							  "\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}]}";

/* Made once, for all inputs. */
static auth_jwt *verifier(void)
{
	static auth_jwt *made = NULL;
	char path[] = "/tmp/tidegate-fuzz-XXXXXX.jwks";
	err e;
	if (made != NULL) {
		return made;
	}
	int fd = mkostemps(path, sizeof ".jwks" - 1, O_CLOEXEC);
	FUZZ_CHECK(sodium_init() >= 0 && fd >= 0 && write(fd, KEY_SET, sizeof KEY_SET - 1) == (ssize_t)sizeof KEY_SET - 1);
	close(fd);
	auth_jwt_options options = {.key_files = str_from_c(path),
								.tenant_claim = STR("tenant"),
								.scopes_claim = STR("scope"),
								.prefixes_claim = STR("app.prefixes"),
								.default_tenant = STR("default"),
								.leeway_s = LEEWAY_S};
	if (!auth_jwt_new(&options, &made, &e)) {
		fprintf(stderr, "%s\n", e.message);
		abort();
	}
	unlink(path);
	return made;
}

static void append_base64url(buf *out, const void *bytes, size_t len)
{
	size_t size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *text = malloc(size);
	FUZZ_CHECK(text != NULL);
	sodium_bin2base64(text, size, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buf_append_str(out, str_from_c(text));
	free(text);
}

static void check_signed(str claims)
{
	static const char HEADER[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;
	auth_jwt_claims found;
	buf token;
	buf_init(&token, TOKEN_MAX);
	append_base64url(&token, HEADER, sizeof HEADER - 1);
	buf_append_byte(&token, '.');
	append_base64url(&token, claims.ptr, claims.len);
	crypto_auth_hmacsha256_init(&state, (const unsigned char *)SECRET, sizeof SECRET - 1);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)token.ptr, token.len);
	crypto_auth_hmacsha256_final(&state, mac);
	buf_append_byte(&token, '.');
	append_base64url(&token, mac, sizeof mac);
	auth_reason reason = auth_jwt_verify(verifier(), buf_str(&token), &found);
	FUZZ_CHECK(reason != AUTH_REASON_TOKEN_SIGNATURE && reason != AUTH_REASON_TOKEN_ALGORITHM);
	if (reason == AUTH_REASON_GRANTED) {
		FUZZ_CHECK(found.tenant.len > 0 && found.tenant.len <= JWT_NAME_BYTES_MAX);
		FUZZ_CHECK(found.prefix_count <= AUTH_PREFIXES_MAX && found.ends_s >= time(NULL));
		for (size_t i = 0; i < found.prefix_count; i++) {
			FUZZ_CHECK(found.prefixes[i].len <= JWT_NAME_BYTES_MAX);
		}
		auth_jwt_claims_dispose(&found);
	}
	buf_dispose(&token);
}

static void check_key(str text)
{
	str id = STR_NONE;
	if (auth_key_parse(text, &id) == AUTH_KEY_GOOD) {
		FUZZ_CHECK(text.len == AUTH_KEY_LENGTH && id.len == AUTH_KEY_ID_LENGTH && auth_key_id_is_valid(id));
		FUZZ_CHECK(id.ptr >= text.ptr && id.ptr + id.len <= text.ptr + text.len);
	}
}

static void check_own_token(str text)
{
	auth_token token;
	auth_signing *nothing = auth_signing_new();
	FUZZ_CHECK(nothing != NULL);
	str id = auth_token_key_id(text);
	FUZZ_CHECK(id.ptr == NULL || (id.ptr >= text.ptr && id.ptr + id.len <= text.ptr + text.len));
	FUZZ_CHECK(!auth_token_read(nothing, STR("fuzz"), text, &token));
	auth_signing_free(nothing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auth_jwt_claims claims;
	str text = {(const char *)data, size};
	check_key(text);
	check_own_token(text);
	if (auth_jwt_is_token(text)) {
		FUZZ_CHECK(auth_jwt_verify(verifier(), text, &claims) != AUTH_REASON_GRANTED);
	}
	check_signed(text);
	return 0;
}
