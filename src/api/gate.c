#include "api/gate.h"

#include <string.h>

#include "api/api.h"
#include "api/topics/live_slots.h"
#include "auth/auth.h"
#include "base/clock.h"
#include "base/jwrite.h"
#include "http/route.h"

enum { NAME_MAX_BYTES = 256 };

/* ---- what was sent ---- */

/* `Bearer <credential>`; STR_NONE for any other scheme. */
static str bearer_of(str authorization)
{
	str scheme;
	str rest;
	bool has_rest = str_split(authorization, ' ', &scheme, &rest);
	return has_rest && str_equal_ignore_case(scheme, STR("Bearer")) ? str_trim(rest) : STR_NONE;
}

static str find_credential(const http_exchange *x, const http_route *route)
{
	str credential = http_request_header(x, STR("X-API-Key"));
	if (credential.len == 0) {
		credential = bearer_of(http_request_header(x, STR("Authorization")));
	}
	if (credential.len == 0 && route != NULL && route->token_in_query) {
		str token;
		if (http_request_query(x, STR("token"), &token)) {
			credential = token;
		}
	}
	return credential;
}

/* ---- judging ---- */

static bool check_scopes(const auth_principal *p, uint32_t scopes, err *e)
{
	buf needed;
	buf present;
	if (auth_principal_allows(p, scopes)) {
		return true;
	}
	buf_init(&needed, NAME_MAX_BYTES);
	buf_init(&present, NAME_MAX_BYTES);
	auth_scopes_print(scopes, &needed);
	auth_scopes_print(p->scopes, &present);
	err_set(e, ERR_FORBIDDEN, "this needs a key with the scopes %.*s, and the key %.*s has %.*s; use one that has them",
			STR_ARG(buf_str(&needed)), STR_ARG(p->key_id), STR_ARG(buf_str(&present)));
	buf_dispose(&needed);
	buf_dispose(&present);
	return false;
}

static bool check_name(const auth_principal *p, str name, err *e)
{
	return auth_principal_allows_name(p, name) ||
		   err_set(e, ERR_FORBIDDEN,
				   "the key %.*s may not use this name: it is restricted to names with certain prefixes, which "
				   "`tidegate key list` shows",
				   STR_ARG(p->key_id));
}

/* The place of `{topic}` or `{topic...}` among the parameters of the pattern. */
static bool find_topic_param(const char *pattern, size_t *index)
{
	size_t count = 0;
	for (const char *at = strchr(pattern, '{'); at != NULL; at = strchr(at + 1, '{')) {
		str rest = str_from_c(at);
		if (str_starts_with(rest, STR("{topic}")) || str_starts_with(rest, STR("{topic...}"))) {
			*index = count;
			return true;
		}
		count++;
	}
	return false;
}

static bool check_route(const http_exchange *x, const http_route *route, const auth_principal *p, err *e)
{
	size_t index;
	if (route == NULL) {
		return true;
	}
	if (!check_scopes(p, route->scopes, e)) {
		return false;
	}
	return p->prefix_count == 0 || !find_topic_param(route->pattern, &index) ||
		   check_name(p, http_request_param(x, index), e);
}

/* ---- requests under way ---- */

typedef struct held_slot {
	live_slots *slots;
	live_slot *slot;
} held_slot;

static void give_back(void *context)
{
	const held_slot *held = context;
	live_slots_give_back(held->slots, held->slot);
}

/* Counts the request among those of its key, until it has its reply. */
static bool count_request(http_exchange *x, const http_route *route, const auth_principal *p, err *e)
{
	live_slots *slots = api_of(x)->requests;
	if (route == NULL || !route->is_counted || p->is_development || slots == NULL) {
		return true;
	}
	held_slot *held = arena_alloc(http_arena(x), sizeof *held);
	if (held == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory; try again");
	}
	held->slots = slots;
	if (!live_slots_take(slots, p, &held->slot, e)) {
		return false;
	}
	http_on_end(x, give_back, held);
	return true;
}

/* ---- the gate's ending ---- */

static void refuse(http_exchange *x, const err *e)
{
	if (e->code == ERR_UNAUTHORIZED && !http_reply_header(x, STR("WWW-Authenticate"), STR("Bearer"))) {
		SLOG(api_of(x)->slog, SLOG_WARN, "gate", "no room for WWW-Authenticate", F_STR("id", http_request_id(x)));
	}
	http_send_error(x, e);
}

static void admit(http_exchange *x, const auth_principal *p)
{
	err e;
	const auth_principal *copy = auth_principal_copy(p, http_arena(x));
	if (copy == NULL) {
		err_set(&e, ERR_NO_MEMORY, "out of memory; try again");
		refuse(x, &e);
		return;
	}
	http_set_principal(x, copy);
	if (count_request(x, http_request_route(x), copy, &e) && check_route(x, http_request_route(x), copy, &e)) {
		http_admit(x);
	} else {
		refuse(x, &e);
	}
}

static void resolved(void *context, const auth_principal *p, const err *e)
{
	if (p != NULL) {
		admit(context, p);
	} else {
		refuse(context, e);
	}
}

void gate_request(http_exchange *x)
{
	err e;
	const http_route *route = http_request_route(x);
	const auth_principal *p = NULL;
	auth *a = api_of(x)->auth;
	if (route != NULL && route->is_open) {
		http_admit(x);
		return;
	}
	str credential = find_credential(x, route);
	switch (auth_check(a, credential, &e, &p)) {
	case AUTH_OK:
		admit(x, p);
		auth_principal_unref(p);
		break;
	case AUTH_REFUSED:
		refuse(x, &e);
		break;
	case AUTH_PENDING:
		auth_resolve(a, credential, resolved, x);
		break;
	}
}

/* ---- for handlers ---- */

typedef struct identification {
	http_exchange *x;
	void (*then)(void *context, const err *e);
	void *context;
} identification;

static void identified(void *context, const auth_principal *p, const err *problem)
{
	const identification *i = context;
	err e;
	const auth_principal *copy = p != NULL ? auth_principal_copy(p, http_arena(i->x)) : NULL;
	if (p != NULL && copy == NULL) {
		err_set(&e, ERR_NO_MEMORY, "out of memory; try again");
		problem = &e;
	}
	http_set_principal(i->x, copy);
	i->then(i->context, copy != NULL ? NULL : problem);
}

void gate_identify(http_exchange *x, void (*then)(void *context, const err *e), void *context)
{
	err e;
	const auth_principal *p = NULL;
	auth *a = api_of(x)->auth;
	str credential = find_credential(x, http_request_route(x));
	identification *i = arena_alloc(http_arena(x), sizeof *i);
	if (i == NULL) {
		err_set(&e, ERR_NO_MEMORY, "out of memory; try again");
		then(context, &e);
		return;
	}
	*i = (identification){x, then, context};
	switch (auth_check(a, credential, &e, &p)) {
	case AUTH_OK:
		identified(i, p, NULL);
		auth_principal_unref(p);
		break;
	case AUTH_REFUSED:
		identified(i, NULL, &e);
		break;
	case AUTH_PENDING:
		auth_resolve(a, credential, identified, i);
		break;
	}
}

const auth_principal *gate_principal(const http_exchange *x)
{
	return http_principal(x);
}

uint32_t gate_credential_ms(const http_exchange *x)
{
	const auth_principal *principal = gate_principal(x);
	if (principal->deadline_ms == 0) {
		return 0;
	}
	int64_t left_ms = principal->deadline_ms - clock_now_ms();
	return left_ms < 1 ? 1 : left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
}

bool gate_check_name(const http_exchange *x, str name, err *e)
{
	buf quoted;
	if (check_name(gate_principal(x), name, e)) {
		return true;
	}
	buf_init(&quoted, 2 * NAME_MAX_BYTES);
	jwrite_string(&quoted, name);
	if (!quoted.failed) {
		err_detail(e, "{\"topic\":%.*s}", STR_ARG(buf_str(&quoted)));
	}
	buf_dispose(&quoted);
	return false;
}

bool gate_check_scopes(const http_exchange *x, uint32_t scopes, err *e)
{
	return check_scopes(gate_principal(x), scopes, e);
}
