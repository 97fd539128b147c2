#include "api/gate.h"

#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "auth/auth.h"
#include "auth/limit.h"
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

static bool check_unknown(const http_exchange *x, const auth_principal *p, err *e)
{
	const http_dialect *d = http_request_dialect(x);
	return d == NULL || d->unknown_scopes == NULL || http_request_path_exists(x) ||
		   check_scopes(p, d->unknown_scopes(http_request_raw_path(x)), e);
}

static bool check_route(const http_exchange *x, const http_route *route, const auth_principal *p, err *e)
{
	size_t index;
	if (route == NULL) {
		return check_unknown(x, p, e);
	}
	if (!check_scopes(p, route->scopes, e)) {
		return false;
	}
	return p->prefix_count == 0 || !find_topic_param(route->pattern, &index) ||
		   check_name(p, http_request_param(x, index), e);
}

/* ---- limits ---- */

/* What one request uses of its account, until it has its reply. */
typedef struct held_request {
	limit_account *account;
	int64_t declared; /* bytes that were taken before they came */
} held_request;

static void end_request(void *context, uint64_t bytes)
{
	const held_request *held = context;
	limit_account *account = held->account;
	if (limit_is_set(account, LIMIT_BYTES_PER_SECOND)) {
		limit_charge(account, LIMIT_BYTES_PER_SECOND, (int64_t)bytes - held->declared, clock_now_us());
	}
	limit_leave(account, LIMIT_REQUESTS_IN_FLIGHT);
	limit_account_unref(account);
}

/* The length of the body, as far as the client says. */
static int64_t declared_bytes(const http_exchange *x)
{
	uint64_t bytes = 0;
	bool is_known = str_parse_u64(http_request_header(x, STR("Content-Length")), (uint64_t)LIMIT_MOST_MAX, &bytes);
	return is_known ? (int64_t)bytes : 0;
}

static bool take_rates(const http_exchange *x, held_request *held, err *e)
{
	int64_t now_us = clock_now_us();
	if (!limit_take(held->account, LIMIT_REQUESTS_PER_SECOND, 1, now_us, e)) {
		return false;
	}
	if (!limit_is_set(held->account, LIMIT_BYTES_PER_SECOND)) {
		return true;
	}
	held->declared = declared_bytes(x);
	return limit_take(held->account, LIMIT_BYTES_PER_SECOND, held->declared, now_us, e);
}

/* The topics dialect's own limit of one key, under the name that its contract gives it. */
static bool check_in_flight(const http_exchange *x, const auth_principal *p, err *e)
{
	const http_route *route = http_request_route(x);
	int64_t most = api_of(x)->config->topics_max_inflight_per_key;
	if (route == NULL || !route->is_counted || p->is_development || most == 0 ||
		limit_in_use(p->account, LIMIT_REQUESTS_IN_FLIGHT) <= most) {
		return true;
	}
	err_set(e, ERR_THROTTLED,
			"as many requests of this key are under way as are allowed (max_inflight_per_key); wait for one to end, or "
			"try again later");
	err_detail(e, "{\"limit\":\"max_inflight_per_key\",\"max\":%" PRId64 "}", most);
	return false;
}

/* Takes the request from what its key and its tenant may use. */
static bool count_request(http_exchange *x, const auth_principal *p, err *e)
{
	limit_account *account = p->account;
	if (account == NULL) {
		return true;
	}
	held_request *held = arena_alloc(http_arena(x), sizeof *held);
	if (held == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory; try again");
	}
	*held = (held_request){.account = account};
	if (!limit_enter(account, LIMIT_REQUESTS_IN_FLIGHT, e)) {
		return false;
	}
	if (!check_in_flight(x, p, e) || !take_rates(x, held, e)) {
		limit_leave(account, LIMIT_REQUESTS_IN_FLIGHT);
		return false;
	}
	int64_t body_most = limit_of_tenant(account, LIMIT_BODY_BYTES);
	if (body_most > 0) {
		http_limit_body(x, (uint64_t)body_most, limit_name(LIMIT_BODY_BYTES, LIMIT_OF_TENANT));
	}
	limit_account_ref(account);
	http_on_end(x, end_request, held);
	return true;
}

bool gate_hold_stream(http_exchange *x, void **hold, err *e)
{
	const auth_principal *p = gate_principal(x);
	limit_account *account = p != NULL ? p->account : NULL;
	if (account != NULL && !limit_enter(account, LIMIT_STREAMS, e)) {
		return false;
	}
	*hold = limit_account_ref(account);
	return true;
}

void gate_release_stream(void *hold)
{
	limit_leave(hold, LIMIT_STREAMS);
	limit_account_unref(hold);
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
	if (count_request(x, copy, &e) && check_route(x, http_request_route(x), copy, &e)) {
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

static bool needs_credential(const http_exchange *x)
{
	const http_route *route = http_request_route(x);
	return route == NULL || !(route->is_open || (route->is_probe && !api_of(x)->config->probe_auth));
}

void gate_request(http_exchange *x)
{
	err e;
	const http_route *route = http_request_route(x);
	const auth_principal *p = NULL;
	auth *a = api_of(x)->auth;
	if (!needs_credential(x)) {
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
	if (copy != NULL && !count_request(i->x, copy, &e)) {
		i->then(i->context, &e);
		return;
	}
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
