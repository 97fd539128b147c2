#include "auth/token.h"

#include "auth/auth_fixture.h"
#include "suite.h"

static auth_fixture f;
static err e;
static const auth_token TOKEN = {7, 42, 3, 1800000000000};

static auth_signing *open_signing(void)
{
	auth_fixture_open(&f);
	auth_signing *s = auth_signing_new();
	ck_assert_ptr_nonnull(s);
	must(auth_signing_ready(s, f.conn, &e));
	return s;
}

static void close_signing(auth_signing *s)
{
	auth_signing_free(s);
	auth_fixture_close(&f);
}

START_TEST(a_token_reads_back_at_any_worker)
{
	auth_signing *s = open_signing();
	auth_signing *other = auth_signing_new();
	auth_token read;
	buf text;
	buf_init(&text, 2 * AUTH_TOKEN_MAX);
	must(auth_token_mint(s, STR("wake"), &TOKEN, &text, &e));
	ck_assert(!auth_token_read(other, STR("wake"), buf_str(&text), &read)); /* it knows no keys yet */
	must(auth_signing_ready_for(other, f.conn, auth_token_key_id(buf_str(&text)), &e));
	ck_assert(auth_token_read(other, STR("wake"), buf_str(&text), &read));
	ck_assert_int_eq(read.tenant_id, 7);
	ck_assert_int_eq(read.subject_id, 42);
	ck_assert_int_eq(read.generation, 3);
	ck_assert_int_eq(read.expires_ms, TOKEN.expires_ms);
	ck_assert(!auth_token_read(other, STR("other"), buf_str(&text), &read));
	buf_dispose(&text);
	auth_signing_free(other);
	close_signing(s);
}
END_TEST

START_TEST(no_changed_token_is_good)
{
	auth_signing *s = open_signing();
	auth_token read;
	buf text;
	buf_init(&text, 2 * AUTH_TOKEN_MAX);
	must(auth_token_mint(s, STR("wake"), &TOKEN, &text, &e));
	for (size_t i = 0; i < text.len; i++) {
		char kept = text.ptr[i];
		text.ptr[i] = kept == 'A' ? 'B' : 'A';
		ck_assert_msg(!auth_token_read(s, STR("wake"), buf_str(&text), &read), "byte %zu", i);
		text.ptr[i] = kept;
		ck_assert(!auth_token_read(s, STR("wake"), str_take(buf_str(&text), i), &read));
	}
	ck_assert(auth_token_read(s, STR("wake"), buf_str(&text), &read));
	buf_append_byte(&text, 'A');
	ck_assert(!auth_token_read(s, STR("wake"), buf_str(&text), &read));
	ck_assert(!auth_token_read(s, STR("wake"), STR_NONE, &read));
	ck_assert(!auth_token_read(s, STR("wake"), STR("tgt_.."), &read));
	buf_dispose(&text);
	close_signing(s);
}
END_TEST

START_TEST(a_replaced_key_verifies_for_the_overlap_and_does_not_sign)
{
	auth_signing *s = open_signing();
	auth_token read;
	buf old;
	buf fresh;
	buf keys;
	buf_init(&old, AUTH_TOKEN_MAX);
	buf_init(&fresh, AUTH_TOKEN_MAX);
	buf_init(&keys, 4096);
	must(auth_token_mint(s, STR("wake"), &TOKEN, &old, &e));
	auth_signing_free(s);
	must(auth_signing_rotate(f.conn, &AUTH_FIXTURE_ACTOR, AUTH_SIGNING_WINDOW_MS, &e));
	s = auth_signing_new();
	must(auth_signing_ready(s, f.conn, &e));
	must(auth_token_mint(s, STR("wake"), &TOKEN, &fresh, &e));
	ck_assert(auth_token_read(s, STR("wake"), buf_str(&old), &read));
	ck_assert(auth_token_read(s, STR("wake"), buf_str(&fresh), &read));
	ck_assert(!str_equal(auth_token_key_id(buf_str(&old)), auth_token_key_id(buf_str(&fresh))));
	auth_signing_write_jwks(s, &keys);
	size_t first;
	size_t second;
	ck_assert(str_find(buf_str(&keys), STR("\"kid\":\"ds_"), &first));
	ck_assert(str_find(str_skip(buf_str(&keys), first + 1), STR("\"kid\":\"ds_"), &second));
	must(auth_signing_rotate(f.conn, &AUTH_FIXTURE_ACTOR, 0, &e));
	auth_signing_free(s);
	s = auth_signing_new();
	must(auth_signing_ready(s, f.conn, &e));
	ck_assert(!auth_token_read(s, STR("wake"), buf_str(&old), &read));
	ck_assert(!auth_token_read(s, STR("wake"), buf_str(&fresh), &read));
	ck_assert(!auth_signing_rotate(f.conn, &AUTH_FIXTURE_ACTOR, AUTH_SIGNING_WINDOW_MS + 1, &e));
	buf_dispose(&old);
	buf_dispose(&fresh);
	buf_dispose(&keys);
	close_signing(s);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_token_reads_back_at_any_worker, no_changed_token_is_good,
								  a_replaced_key_verifies_for_the_overlap_and_does_not_sign};
	return SUITE_RUN("auth/token", tests);
}
