#include "auth/principal.h"

#include <check.h>

#include "suite.h"

static const str PREFIXES[] = {{"orders.", 7}, {"audit", 5}};

static auth_principal sample(void)
{
	return (auth_principal){.tenant_id = 7,
							.tenant = STR("acme"),
							.key_id = STR("0123456789ab"),
							.scopes = AUTH_SCOPE_READ | AUTH_SCOPE_WRITE,
							.prefixes = PREFIXES,
							.prefix_count = 2,
							.auto_create = AUTH_CHOICE_ON,
							.expires_ms = 5,
							.deadline_ms = 6};
}

static void assert_same(const auth_principal *p)
{
	ck_assert_int_eq(p->tenant_id, 7);
	ck_assert(str_equal(p->tenant, STR("acme")));
	ck_assert(str_equal(p->key_id, STR("0123456789ab")));
	ck_assert_uint_eq(p->scopes, 3);
	ck_assert_uint_eq(p->prefix_count, 2);
	ck_assert(str_equal(p->prefixes[0], PREFIXES[0]));
	ck_assert(str_equal(p->prefixes[1], PREFIXES[1]));
	ck_assert(p->auto_create == AUTH_CHOICE_ON && p->expires_ms == 5 && p->deadline_ms == 6 && !p->is_development);
}

START_TEST(a_principal_keeps_what_it_was_made_from)
{
	char tenant[] = "acme";
	auth_principal from = sample();
	from.tenant = (str){tenant, 4};
	const auth_principal *p = auth_principal_new(&from);
	memset(tenant, 'x', 4);
	assert_same(p);
	auth_principal_unref(p);
}
END_TEST

START_TEST(the_last_reference_frees_it)
{
	auth_principal from = sample();
	const auth_principal *p = auth_principal_new(&from);
	ck_assert_ptr_eq(auth_principal_ref(p), p);
	auth_principal_unref(p);
	assert_same(p); /* the sanitizer sees a use after free */
	auth_principal_unref(p);
	auth_principal_unref(NULL);
}
END_TEST

START_TEST(a_copy_in_an_arena_ends_with_it_and_can_outlive_it_by_reference)
{
	auth_principal from = sample();
	arena *a = arena_new(4096);
	const auth_principal *p = auth_principal_new(&from);
	const auth_principal *copy = auth_principal_copy(p, a);
	auth_principal_unref(p);
	assert_same(copy);
	ck_assert_ptr_null(copy->block); /* no claim on what is freed */
	auth_principal_unref(copy);      /* nothing happens */
	const auth_principal *kept = auth_principal_ref(copy);
	arena_free(a);
	assert_same(kept);
	auth_principal_unref(kept);
}
END_TEST

START_TEST(a_full_arena_gives_no_copy)
{
	auth_principal from = sample();
	arena *a = arena_new(16);
	ck_assert_ptr_null(auth_principal_copy(&from, a));
	arena_free(a);
}
END_TEST

START_TEST(all_scopes_asked_for_must_be_there)
{
	auth_principal p = sample();
	ck_assert(auth_principal_allows(&p, 0));
	ck_assert(auth_principal_allows(&p, AUTH_SCOPE_READ));
	ck_assert(auth_principal_allows(&p, AUTH_SCOPE_READ | AUTH_SCOPE_WRITE));
	ck_assert(!auth_principal_allows(&p, AUTH_SCOPE_READ | AUTH_SCOPE_DELETE));
	ck_assert(!auth_principal_allows(&p, AUTH_SCOPE_ADMIN));
}
END_TEST

static const struct {
	const char *name;
	bool is_allowed;
} NAMES[] = {
	{"orders.", true},  {"orders.eu", true}, {"audit", true},   {"auditor", true}, {"orders", false},
	{"Orders.", false}, {"", false},         {"xaudit", false}, {"audi", false},
};

START_TEST(a_name_must_begin_with_a_prefix_byte_for_byte)
{
	for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
		auth_principal p = sample();
		ck_assert_msg(auth_principal_allows_name(&p, str_from_c(NAMES[i].name)) == NAMES[i].is_allowed, "%s",
					  NAMES[i].name);
	}
}
END_TEST

START_TEST(without_prefixes_any_name_will_do)
{
	auth_principal p = sample();
	p.prefix_count = 0;
	ck_assert(auth_principal_allows_name(&p, STR("anything")));
	ck_assert(auth_principal_allows_name(&p, STR("")));
}
END_TEST

START_TEST(a_tenants_choice_wins_over_the_servers)
{
	ck_assert(auth_choice_apply(AUTH_CHOICE_ON, false));
	ck_assert(!auth_choice_apply(AUTH_CHOICE_OFF, true));
	ck_assert(auth_choice_apply(AUTH_CHOICE_SERVER, true));
	ck_assert(!auth_choice_apply(AUTH_CHOICE_SERVER, false));
}
END_TEST

static const struct {
	const char *text;
	uint32_t scopes;
	const char *problem; /* NULL: it parses */
} SCOPES[] = {
	{"read", 1, NULL},
	{"r", 1, NULL},
	{"read,write", 3, NULL},
	{"read+write", 3, NULL},
	{"rw", 3, NULL},
	{"RW+D", 7, NULL},
	{"del", 4, NULL},
	{"delete", 4, NULL},
	{"a", 8, NULL},
	{"admin", 8, NULL},
	{"all", 15, NULL},
	{" read , write ", 3, NULL},
	{"read,read", 1, NULL},
	{"", 0, ""},
	{"+", 0, ""},
	{"read,", 0, ""},
	{",read", 0, ""},
	{"reader", 0, "reader"},
	{"read,x", 0, "x"},
	{"read write", 0, "read write"},
};

START_TEST(scopes_are_read_from_words)
{
	for (size_t i = 0; i < sizeof SCOPES / sizeof SCOPES[0]; i++) {
		uint32_t scopes = 99;
		str problem = STR("none");
		bool ok = auth_scopes_parse(str_from_c(SCOPES[i].text), &scopes, &problem);
		ck_assert_msg(ok == (SCOPES[i].problem == NULL), "%s", SCOPES[i].text);
		if (ok) {
			ck_assert_uint_eq(scopes, SCOPES[i].scopes);
		} else {
			ck_assert_uint_eq(scopes, 99);
			ck_assert(str_equal(problem, str_from_c(SCOPES[i].problem)));
		}
	}
}
END_TEST

START_TEST(every_set_of_scopes_can_be_printed_and_read_back)
{
	for (uint32_t set = 1; set <= AUTH_SCOPE_ALL; set++) {
		buf text;
		uint32_t again = 0;
		str problem;
		buf_init(&text, 64);
		auth_scopes_print(set, &text);
		ck_assert(auth_scopes_parse(buf_str(&text), &again, &problem));
		ck_assert_uint_eq(again, set);
		buf_dispose(&text);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_principal_keeps_what_it_was_made_from,
		the_last_reference_frees_it,
		a_copy_in_an_arena_ends_with_it_and_can_outlive_it_by_reference,
		a_full_arena_gives_no_copy,
		all_scopes_asked_for_must_be_there,
		a_name_must_begin_with_a_prefix_byte_for_byte,
		without_prefixes_any_name_will_do,
		a_tenants_choice_wins_over_the_servers,
		scopes_are_read_from_words,
		every_set_of_scopes_can_be_printed_and_read_back,
	};
	return SUITE_RUN("auth/principal", tests);
}
