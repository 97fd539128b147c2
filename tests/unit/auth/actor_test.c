#include "auth/actor.h"

#include "suite.h"

#include <check.h>

static err e;

static auth_actor actor(auth_principal *p, int64_t tenant_id, uint32_t scopes, const str *prefixes, size_t count)
{
	*p = (auth_principal){.tenant_id = tenant_id,
						  .tenant = tenant_id == AUTH_DEFAULT_TENANT_ID ? STR("default") : STR("acme"),
						  .scopes = scopes,
						  .prefixes = prefixes,
						  .prefix_count = count};
	return (auth_actor){.name = STR("key:x"), .principal = p};
}

START_TEST(the_operator_is_of_the_default_tenant_without_prefixes)
{
	auth_principal p;
	const str prefix = STR("a.");
	const auth_actor nobody_above = {.name = STR("cli:x")};
	auth_actor by = actor(&p, AUTH_DEFAULT_TENANT_ID, AUTH_SCOPE_ADMIN, NULL, 0);
	ck_assert(auth_actor_is_operator(&nobody_above) && auth_actor_is_operator(&by));
	ck_assert(auth_actor_check_tenant(&by, STR("acme"), &e));
	by = actor(&p, AUTH_DEFAULT_TENANT_ID, AUTH_SCOPE_ADMIN, &prefix, 1);
	ck_assert(!auth_actor_check_operator(&by, &e));
	ck_assert(!auth_actor_check_tenant(&by, STR("acme"), &e) && auth_actor_check_tenant(&by, STR("default"), &e));
	by = actor(&p, 7, AUTH_SCOPE_ALL, NULL, 0);
	ck_assert(!auth_actor_check_operator(&by, &e));
	ck_assert_int_eq(e.code, ERR_FORBIDDEN);
	ck_assert(auth_actor_check_tenant(&by, STR("acme"), &e) && !auth_actor_check_tenant(&by, STR("acme2"), &e));
}
END_TEST

START_TEST(nobody_gives_scopes_that_they_do_not_have)
{
	auth_principal p;
	const auth_actor by = actor(&p, 7, AUTH_SCOPE_ADMIN | AUTH_SCOPE_READ, NULL, 0);
	ck_assert(auth_actor_check_gives(&by, AUTH_SCOPE_READ, NULL, 0, &e));
	ck_assert(!auth_actor_check_gives(&by, AUTH_SCOPE_READ | AUTH_SCOPE_WRITE, NULL, 0, &e));
	ck_assert(e.code == ERR_FORBIDDEN && strstr(e.message, "read,admin") != NULL);
}
END_TEST

START_TEST(prefixes_that_are_given_lie_within_the_givers)
{
	auth_principal p;
	const str own[] = {STR("web."), STR("app.")};
	const str within[] = {STR("app."), STR("web.shop.")};
	const str across[] = {STR("web.shop."), STR("we")};
	const auth_actor by = actor(&p, 7, AUTH_SCOPE_ALL, own, 2);
	ck_assert(auth_actor_check_gives(&by, AUTH_SCOPE_READ, within, 2, &e));
	ck_assert(!auth_actor_check_gives(&by, AUTH_SCOPE_READ, across, 2, &e));
	ck_assert(!auth_actor_check_gives(&by, AUTH_SCOPE_READ, NULL, 0, &e)); /* any name */
	const auth_actor unconfined = actor(&p, 7, AUTH_SCOPE_ALL, NULL, 0);
	ck_assert(auth_actor_covers(&unconfined, across, 2) && auth_actor_covers(&unconfined, NULL, 0));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_operator_is_of_the_default_tenant_without_prefixes,
		nobody_gives_scopes_that_they_do_not_have,
		prefixes_that_are_given_lie_within_the_givers,
	};
	return SUITE_RUN("auth/actor", tests);
}
