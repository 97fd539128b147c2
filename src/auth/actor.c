#include "auth/actor.h"

enum { SCOPES_MAX_BYTES = 64 };

bool auth_actor_is_operator(const auth_actor *by)
{
	return by->principal == NULL ||
		   (by->principal->tenant_id == AUTH_DEFAULT_TENANT_ID && by->principal->prefix_count == 0);
}

bool auth_actor_check_operator(const auth_actor *by, err *e)
{
	return auth_actor_is_operator(by) ||
		   err_set(e, ERR_FORBIDDEN,
				   "this is the operator's: use an admin key of the tenant `default` that has no prefixes");
}

bool auth_actor_check_tenant(const auth_actor *by, str tenant, err *e)
{
	return auth_actor_is_operator(by) || str_equal(tenant, by->principal->tenant) ||
		   err_set(e, ERR_FORBIDDEN,
				   "this key reaches its own tenant only; use an admin key of that one, or the operator's");
}

bool auth_actor_covers(const auth_actor *by, const str *prefixes, size_t count)
{
	if (by->principal == NULL || by->principal->prefix_count == 0) {
		return true;
	}
	bool covered = count > 0;
	for (size_t i = 0; covered && i < count; i++) {
		covered = auth_principal_allows_name(by->principal, prefixes[i]);
	}
	return covered;
}

static bool set_scopes_exceeded(const auth_principal *p, err *e)
{
	buf own;
	buf_init(&own, SCOPES_MAX_BYTES);
	auth_scopes_print(p->scopes, &own);
	err_set(e, ERR_FORBIDDEN, "nobody gives more than they have: your own scopes are %.*s", STR_ARG(buf_str(&own)));
	buf_dispose(&own);
	return false;
}

bool auth_actor_check_gives(const auth_actor *by, uint32_t scopes, const str *prefixes, size_t count, err *e)
{
	if (by->principal != NULL && !auth_principal_allows(by->principal, scopes)) {
		return set_scopes_exceeded(by->principal, e);
	}
	return auth_actor_covers(by, prefixes, count) ||
		   err_set(e, ERR_FORBIDDEN,
				   "nobody gives more than they have: give the key prefixes that begin with one of your own");
}
