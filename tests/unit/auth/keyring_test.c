#include "auth/keyring.h"

#include "auth/auth_fixture.h"
#include "base/clock.h"
#include "suite.h"

enum { DAY_MS = 86400000 };

static auth_fixture f;
static err e;

static auth_key_spec plain(void)
{
	return (auth_key_spec){.tenant_id = AUTH_DEFAULT_TENANT_ID, .name = STR("n"), .scopes = AUTH_SCOPE_READ};
}

static bool says(const char *text)
{
	return strstr(e.message, text) != NULL;
}

static size_t count_keys(void)
{
	auth_key_info *keys = NULL;
	size_t count = 0;
	must(auth_key_list(f.conn, STR_NONE, f.arena, &keys, &count, &e));
	return count;
}

static str next_payload(void)
{
	str channel;
	str payload;
	must(db_wait_notification(f.listener, clock_now_ms() + 30000, -1, &channel, &payload, &e));
	ck_assert_view_eq(channel, STR(AUTH_CHANNEL));
	return payload;
}

/* ---- tenants ---- */

START_TEST(a_fresh_schema_has_the_default_tenant_and_no_key)
{
	auth_tenant *tenants = NULL;
	size_t count = 0;
	auth_fixture_open(&f);
	must(auth_tenant_list(f.conn, f.arena, &tenants, &count, &e));
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(tenants[0].tenant_id, AUTH_DEFAULT_TENANT_ID);
	ck_assert_view_eq(tenants[0].name, STR("default"));
	ck_assert_int_eq(tenants[0].auto_create, AUTH_CHOICE_SERVER);
	ck_assert_int_gt(tenants[0].created_ms, 1700000000000);
	ck_assert_uint_eq(count_keys(), 0);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(tenants_are_made_once_listed_by_name_and_found)
{
	auth_tenant *tenants = NULL;
	size_t count = 0;
	int64_t tenant_id = 0;
	auth_fixture_open(&f);
	must(auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, STR("zeta"), AUTH_CHOICE_OFF, &e));
	must(auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, STR("Acme-1.x_y"), AUTH_CHOICE_ON, &e));
	ck_assert(!auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, STR("zeta"), AUTH_CHOICE_ON, &e));
	ck_assert(e.code == ERR_TENANT_EXISTS && says("zeta"));
	must(auth_tenant_list(f.conn, f.arena, &tenants, &count, &e));
	ck_assert_uint_eq(count, 3);
	ck_assert_view_eq(tenants[0].name, STR("Acme-1.x_y"));
	ck_assert_int_eq(tenants[0].auto_create, AUTH_CHOICE_ON);
	ck_assert_view_eq(tenants[1].name, STR("default"));
	ck_assert_view_eq(tenants[2].name, STR("zeta"));
	ck_assert_int_eq(tenants[2].auto_create, AUTH_CHOICE_OFF);
	must(auth_tenant_find(f.conn, STR("zeta"), &tenant_id, &e));
	ck_assert_int_eq(tenant_id, tenants[2].tenant_id);
	ck_assert(!auth_tenant_find(f.conn, STR("nobody"), &tenant_id, &e));
	ck_assert(e.code == ERR_NOT_FOUND && says("nobody") && says("tidegate tenant list"));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(bad_tenant_names_are_refused)
{
	static const char *const BAD[] = {"", "-a", ".a", "a b", "a/b", "\xc3\xa4", "a\n"};
	char longest[AUTH_TENANT_NAME_MAX + 2];
	auth_fixture_open(&f);
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		ck_assert_msg(!auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(BAD[i]), AUTH_CHOICE_SERVER, &e),
					  "%s", BAD[i]);
		ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	}
	memset(longest, 'a', sizeof longest);
	must(auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, (str){longest, AUTH_TENANT_NAME_MAX}, AUTH_CHOICE_SERVER, &e));
	ck_assert(!auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, (str){longest, AUTH_TENANT_NAME_MAX + 1},
								  AUTH_CHOICE_SERVER, &e));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_tenant_goes_with_its_keys_but_not_with_its_topics)
{
	int64_t tenant_id = 0;
	auth_key key;
	auth_key_info info;
	auth_fixture_open(&f);
	must(auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), AUTH_CHOICE_SERVER, &e));
	must(auth_tenant_find(f.conn, STR("acme"), &tenant_id, &e));
	auth_key_spec spec = plain();
	spec.tenant_id = tenant_id;
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &info, &e));
	auth_key kept = auth_fixture_key(&f, AUTH_SCOPE_READ);
	next_payload();
	next_payload();
	auth_fixture_sql(
		&f,
		"INSERT INTO tidegate.topic (tenant_id, name, origin, kind, partitions, replication_factor, created_ms, "
		"durability, discard_old, auto_priority, auto_create, dedupe_node, leases_durable, ttl_ms, cap_records, "
		"cap_bytes, idempotency_window_ms, lease_ms, claim_jitter_ms, max_deliveries) VALUES "
		"(%lld, 't', 0, 0, 1, 1, 0, 0, true, true, true, true, true, 0, 0, 0, 0, 0, 0, 0)",
		(long long)tenant_id);
	ck_assert(!auth_tenant_delete(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), &e));
	ck_assert(e.code == ERR_TENANT_IN_USE && says("topics"));
	ck_assert_uint_eq(count_keys(), 2);
	auth_fixture_sql(&f, "DELETE FROM tidegate.topic");
	must(auth_tenant_delete(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), &e));
	ck_assert_view_eq(next_payload(), STR(""));
	ck_assert_uint_eq(count_keys(), 1);
	ck_assert(!auth_tenant_find(f.conn, STR("acme"), &tenant_id, &e));
	ck_assert(!auth_tenant_delete(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), &e));
	ck_assert_int_eq(e.code, ERR_NOT_FOUND);
	ck_assert(!auth_tenant_delete(f.conn, &AUTH_FIXTURE_ACTOR, STR("default"), &e));
	ck_assert_int_eq(e.code, ERR_TENANT_IN_USE);
	auth_key_wipe(&kept);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_tenants_choice_can_be_changed)
{
	auth_tenant *tenants = NULL;
	size_t count = 0;
	auth_fixture_open(&f);
	must(auth_fixture_set_auto_create(&f, STR("default"), AUTH_CHOICE_ON, &e));
	ck_assert_view_eq(next_payload(), STR(""));
	must(auth_tenant_list(f.conn, f.arena, &tenants, &count, &e));
	ck_assert_int_eq(tenants[0].auto_create, AUTH_CHOICE_ON);
	must(auth_fixture_set_auto_create(&f, STR("default"), AUTH_CHOICE_SERVER, &e));
	must(auth_tenant_list(f.conn, f.arena, &tenants, &count, &e));
	ck_assert_int_eq(tenants[0].auto_create, AUTH_CHOICE_SERVER);
	ck_assert(!auth_fixture_set_auto_create(&f, STR("nobody"), AUTH_CHOICE_ON, &e));
	ck_assert_int_eq(e.code, ERR_NOT_FOUND);
	auth_fixture_close(&f);
}
END_TEST

/* ---- keys ---- */

START_TEST(a_key_is_stored_as_described_and_announced)
{
	const str prefixes[] = {STR("orders."), STR("\xc3\xa4")};
	auth_key key;
	auth_key_info info;
	str id;
	auth_fixture_open(&f);
	const auth_key_spec spec = {.tenant_id = AUTH_DEFAULT_TENANT_ID,
								.name = STR("billing, \xc3\xa4"),
								.scopes = AUTH_SCOPE_WRITE | AUTH_SCOPE_ADMIN,
								.prefixes = prefixes,
								.prefix_count = 2,
								.lifetime_ms = 30 * (int64_t)DAY_MS};
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &info, &e));
	ck_assert_int_eq(auth_key_parse(auth_fixture_text(&key), &id), AUTH_KEY_GOOD);
	ck_assert_view_eq(info.key_id, id);
	ck_assert_view_eq(info.tenant, STR("default"));
	ck_assert_view_eq(info.name, spec.name);
	ck_assert_uint_eq(info.scopes, spec.scopes);
	ck_assert_uint_eq(info.prefix_count, 2);
	ck_assert_view_eq(info.prefixes[1], prefixes[1]);
	ck_assert_int_eq(info.status, AUTH_KEY_ACTIVE);
	ck_assert_int_eq(info.expires_ms - info.created_ms, spec.lifetime_ms);
	ck_assert_int_eq(info.revoked_ms, 0);
	ck_assert_int_eq(info.last_used_ms, 0);
	ck_assert_uint_eq(info.replaced_by.len, 0);
	ck_assert_view_eq(next_payload(), id);
	auth_fixture_close(&f);
}
END_TEST

/* Nothing in the database helps to guess a key. */
START_TEST(the_secret_is_nowhere_in_the_database)
{
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_sql(
		&f,
		"DO $$ BEGIN IF EXISTS (SELECT FROM tidegate.api_key k WHERE k::text LIKE '%%%.32s%%' OR k::text LIKE "
		"'%%' || encode('%.32s', 'hex') || '%%') THEN RAISE 'found'; END IF; END $$",
		key.text + 16, key.text + 16);
	auth_fixture_sql(&f,
					 "DO $$ BEGIN IF NOT EXISTS (SELECT FROM tidegate.api_key k WHERE k::text LIKE '%%%s%%') THEN "
					 "RAISE 'not found'; END IF; END $$",
					 key.id);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(bad_specifications_are_refused_and_change_nothing)
{
	const str empty_prefix[] = {STR("")};
	const str bad_prefix[] = {STR("a\n")};
	char long_name[AUTH_KEY_NAME_MAX + 1];
	auth_key key;
	auth_key_info info;
	memset(long_name, 'a', sizeof long_name);
	auth_key_spec bad[8];
	for (size_t i = 0; i < 8; i++) {
		bad[i] = plain();
	}
	bad[0].scopes = 0;
	bad[1].name = (str){long_name, sizeof long_name};
	bad[2].name = STR("a\tb");
	bad[3].name = STR("\xff");
	bad[4].prefixes = empty_prefix;
	bad[4].prefix_count = 1;
	bad[5].prefixes = bad_prefix;
	bad[5].prefix_count = 1;
	bad[6].prefix_count = AUTH_PREFIXES_MAX + 1;
	bad[7].lifetime_ms = -1;
	auth_fixture_open(&f);
	for (size_t i = 0; i < 8; i++) {
		ck_assert_msg(!auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &bad[i], f.arena, &key, &info, &e), "%zu", i);
		ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	}
	ck_assert_uint_eq(count_keys(), 0);
	auth_key_spec good = plain();
	good.name = (str){long_name, AUTH_KEY_NAME_MAX};
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &good, f.arena, &key, &info, &e));
	good.name = STR_NONE;
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &good, f.arena, &key, &info, &e));
	ck_assert_uint_eq(info.name.len, 0);
	auth_fixture_close(&f);
}
END_TEST

/* Readers take no prefix for any name; an array that they cannot read must not be stored. */
START_TEST(the_database_refuses_prefixes_that_readers_would_not_see)
{
	static const char *const BAD[] = {"ARRAY[NULL]::text[]", "ARRAY[ARRAY['a'], ARRAY['b']]", "NULL"};
	auth_fixture_open(&f);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		char sql[128];
		snprintf(sql, sizeof sql, "UPDATE tidegate.api_key SET prefixes = %s", BAD[i]);
		ck_assert_msg(!db_run_script(f.conn, sql, &e), "%s", BAD[i]);
	}
	auth_fixture_close(&f);
}
END_TEST

START_TEST(keys_of_one_tenant_can_be_listed)
{
	auth_key_info *keys = NULL;
	size_t count = 0;
	auth_fixture_open(&f);
	must(auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), AUTH_CHOICE_SERVER, &e));
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	must(auth_key_list(f.conn, STR("default"), f.arena, &keys, &count, &e));
	ck_assert_uint_eq(count, 2);
	must(auth_key_list(f.conn, STR("acme"), f.arena, &keys, &count, &e));
	ck_assert_uint_eq(count, 0);
	ck_assert(!auth_key_list(f.conn, STR("nobody"), f.arena, &keys, &count, &e));
	ck_assert_int_eq(e.code, ERR_NOT_FOUND);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_key_is_revoked_by_its_id_or_by_itself)
{
	auth_key_info info;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_key other = auth_fixture_key(&f, AUTH_SCOPE_READ);
	next_payload();
	next_payload();
	must(auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), f.arena, &info, &e));
	ck_assert_int_eq(info.status, AUTH_KEY_REVOKED);
	ck_assert_view_eq(next_payload(), str_from_c(key.id));
	int64_t revoked_ms = info.revoked_ms;
	auth_fixture_sleep_ms(5);
	must(auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), f.arena, &info, &e));
	ck_assert_int_eq(info.revoked_ms, revoked_ms);
	must(auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, auth_fixture_text(&other), f.arena, &info, &e));
	ck_assert_view_eq(info.key_id, str_from_c(other.id));
	ck_assert_int_eq(info.status, AUTH_KEY_REVOKED);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(an_unknown_id_is_not_found_and_nonsense_is_explained)
{
	auth_key key;
	auth_key_info info;
	auth_key_info old;
	auth_fixture_open(&f);
	ck_assert(!auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, STR("000000000000"), f.arena, &info, &e));
	ck_assert(e.code == ERR_NOT_FOUND && says("000000000000"));
	ck_assert(!auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, STR("short"), f.arena, &info, &e));
	ck_assert(e.code == ERR_INVALID_REQUEST && says("tg_"));
	ck_assert(!auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, STR("tg_"), f.arena, &info, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	ck_assert(!auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, STR("000000000000"), 0, f.arena, &key, &info, &old, &e));
	ck_assert_int_eq(e.code, ERR_NOT_FOUND);
	/* The connection is not left inside a transaction. */
	must(db_begin(f.conn, &e));
	must(db_commit(f.conn, &e));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(rotation_makes_the_same_key_again_and_ends_the_old_one_later)
{
	const str prefixes[] = {STR("orders.")};
	auth_key key;
	auth_key rotated;
	auth_key_info info;
	auth_key_info old;
	auth_key_spec spec = plain();
	spec.name = STR("billing");
	spec.scopes = AUTH_SCOPE_WRITE;
	spec.prefixes = prefixes;
	spec.prefix_count = 1;
	spec.lifetime_ms = 30 * (int64_t)DAY_MS;
	auth_fixture_open(&f);
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &info, &e));
	must(auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), DAY_MS, f.arena, &rotated, &info, &old, &e));
	ck_assert_str_ne(key.id, rotated.id);
	ck_assert_view_eq(info.key_id, str_from_c(rotated.id));
	ck_assert_view_eq(info.name, spec.name);
	ck_assert_uint_eq(info.scopes, spec.scopes);
	ck_assert_uint_eq(info.prefix_count, 1);
	ck_assert_view_eq(info.prefixes[0], prefixes[0]);
	ck_assert_int_eq(info.expires_ms - info.created_ms, spec.lifetime_ms);
	ck_assert_int_eq(info.status, AUTH_KEY_ACTIVE);
	ck_assert_int_eq(old.status, AUTH_KEY_REPLACED);
	ck_assert_view_eq(old.replaced_by, info.key_id);
	ck_assert_int_ge(old.expires_ms, info.created_ms + DAY_MS);
	ck_assert_int_le(old.expires_ms, info.created_ms + DAY_MS + 5000);
	/* Both get in during the overlap. */
	auth_fixture_start(&f, AUTH_AUTO, 1000);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&rotated), &e), ERR_NONE);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(rotation_never_prolongs_and_can_end_at_once)
{
	auth_key key;
	auth_key rotated;
	auth_key_info first;
	auth_key_info info;
	auth_key_info old;
	auth_key_spec spec = plain();
	spec.lifetime_ms = 3600000;
	auth_fixture_open(&f);
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &first, &e));
	must(auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), DAY_MS, f.arena, &rotated, &info, &old, &e));
	ck_assert_int_eq(old.expires_ms, first.expires_ms);
	spec.lifetime_ms = 0;
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &first, &e));
	must(auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), 0, f.arena, &rotated, &info, &old, &e));
	ck_assert_int_eq(old.status, AUTH_KEY_EXPIRED);
	ck_assert_int_eq(info.expires_ms, 0);
	auth_fixture_start(&f, AUTH_AUTO, 1000);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_UNAUTHORIZED);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&rotated), &e), ERR_NONE);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(only_an_active_key_can_be_rotated)
{
	auth_key rotated;
	auth_key_info info;
	auth_key_info old;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	must(auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), DAY_MS, f.arena, &rotated, &info, &old, &e));
	ck_assert(
		!auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), DAY_MS, f.arena, &rotated, &info, &old, &e));
	ck_assert(e.code == ERR_KEY_NOT_ACTIVE && says(rotated.id));
	auth_fixture_sql(&f, "UPDATE tidegate.api_key SET expires_ms = 1 WHERE key_id = '%s'", key.id);
	ck_assert(
		!auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), DAY_MS, f.arena, &rotated, &info, &old, &e));
	ck_assert(says("expired"));
	must(auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), f.arena, &info, &e));
	ck_assert(
		!auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), DAY_MS, f.arena, &rotated, &info, &old, &e));
	ck_assert(says("revoked"));
	ck_assert(
		!auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), -1, f.arena, &rotated, &info, &old, &e));
	ck_assert_uint_eq(count_keys(), 2);
	auth_fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_fresh_schema_has_the_default_tenant_and_no_key,
		tenants_are_made_once_listed_by_name_and_found,
		bad_tenant_names_are_refused,
		a_tenant_goes_with_its_keys_but_not_with_its_topics,
		a_tenants_choice_can_be_changed,
		a_key_is_stored_as_described_and_announced,
		the_secret_is_nowhere_in_the_database,
		bad_specifications_are_refused_and_change_nothing,
		the_database_refuses_prefixes_that_readers_would_not_see,
		keys_of_one_tenant_can_be_listed,
		a_key_is_revoked_by_its_id_or_by_itself,
		an_unknown_id_is_not_found_and_nonsense_is_explained,
		rotation_makes_the_same_key_again_and_ends_the_old_one_later,
		rotation_never_prolongs_and_can_end_at_once,
		only_an_active_key_can_be_rotated,
	};
	postgres_fixture_url();
	return SUITE_RUN("auth/keyring", tests);
}
