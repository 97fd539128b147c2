#include "auth/listed.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

#define must(call) ck_assert_msg((call), "%s: %s", #call, e.message)

static auth_listed *list(const char *text)
{
	auth_listed *l = NULL;
	err e = {0};
	must(auth_listed_new(str_from_c(text), &l, &e));
	return l;
}

START_TEST(fields_that_are_empty_restrict_nothing)
{
	auth_listed *l = list(" one , two:read ,, three::orders.|audit: , four:R+del:a");
	const auth_listed_key *key = auth_listed_find(l, STR("one"));
	ck_assert_uint_eq(key->scopes, AUTH_SCOPE_ALL);
	ck_assert_uint_eq(key->prefix_count, 0);
	key = auth_listed_find(l, STR("two"));
	ck_assert_uint_eq(key->scopes, AUTH_SCOPE_READ);
	key = auth_listed_find(l, STR("three"));
	ck_assert_uint_eq(key->scopes, AUTH_SCOPE_ALL);
	ck_assert_uint_eq(key->prefix_count, 2);
	ck_assert(str_equal(key->prefixes[0], STR("orders.")));
	ck_assert(str_equal(key->prefixes[1], STR("audit:")));
	key = auth_listed_find(l, STR("four"));
	ck_assert_uint_eq(key->scopes, AUTH_SCOPE_READ | AUTH_SCOPE_DELETE);
	ck_assert_ptr_null(auth_listed_find(l, STR("five")));
	ck_assert_ptr_null(auth_listed_find(l, STR("")));
	ck_assert_ptr_null(auth_listed_find(l, STR("two:read")));
	auth_listed_free(l);
}
END_TEST

START_TEST(an_id_depends_on_the_secret_alone)
{
	auth_listed *first = list("a,b:read");
	auth_listed *second = list("b");
	str id = auth_listed_find(first, STR("b"))->id;
	ck_assert(str_starts_with(id, STR("listed:")));
	ck_assert(str_equal(id, auth_listed_find(second, STR("b"))->id));
	ck_assert(!str_equal(id, auth_listed_find(first, STR("a"))->id));
	auth_listed_free(first);
	auth_listed_free(second);
}
END_TEST

START_TEST(a_list_without_a_key_is_none)
{
	ck_assert_ptr_null(list(""));
	ck_assert_ptr_null(list(" , ,"));
}
END_TEST

START_TEST(a_mistake_is_named_by_its_place_and_never_quoted)
{
	static const char *const refused[] = {"good,hush:reed", "good,hush:+", "good,hush:read+", "good,:read",
										  "good,good:read"};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		auth_listed *l = NULL;
		err e = {0};
		ck_assert_msg(!auth_listed_new(str_from_c(refused[i]), &l, &e), "%s", refused[i]);
		ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
		ck_assert_msg(strstr(e.message, "key 2 ") != NULL, "%s", e.message);
		ck_assert_ptr_null(strstr(e.message, "hush"));
	}
}
END_TEST

START_TEST(the_limits_are_exact)
{
	static char text[LISTED_MAX * 8];
	auth_listed *l = NULL;
	err e = {0};
	size_t len = 0;
	for (int i = 0; i < LISTED_MAX; i++) {
		len += (size_t)snprintf(text + len, sizeof text - len, "k%d,", i);
	}
	must(auth_listed_new((str){text, len}, &l, &e));
	auth_listed_free(l);
	len += (size_t)snprintf(text + len, sizeof text - len, "last");
	ck_assert(!auth_listed_new((str){text, len}, &l, &e));

	len = (size_t)snprintf(text, sizeof text, "key::");
	for (int i = 0; i < AUTH_PREFIXES_MAX; i++) {
		len += (size_t)snprintf(text + len, sizeof text - len, "p%d|", i);
	}
	must(auth_listed_new((str){text, len}, &l, &e));
	auth_listed_free(l);
	len += (size_t)snprintf(text + len, sizeof text - len, "last");
	ck_assert(!auth_listed_new((str){text, len}, &l, &e));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		fields_that_are_empty_restrict_nothing,
		an_id_depends_on_the_secret_alone,
		a_list_without_a_key_is_none,
		a_mistake_is_named_by_its_place_and_never_quoted,
		the_limits_are_exact,
	};
	return SUITE_RUN("auth/listed", tests);
}
