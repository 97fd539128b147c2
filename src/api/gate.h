/*
 * api/gate: who may come in: http_server_options.gate for every dialect.
 *
 * The credential is X-API-Key, else `Authorization: Bearer`, else `?token=` where the route takes it (token_in_query);
 * an empty one counts as none. Routes that are open pass without a look. Then, in this order: the credential (401, with
 * WWW-Authenticate), the route's scopes (403), and the name in the path (403): a pattern's `{topic}` or `{topic...}` is
 * a name that the key's prefixes must cover. Names from bodies and queries are the handler's to check, with
 * gate_check_name(). A request without a route (gate_unknown of its dialect) needs a valid credential, and the
 * scopes that its dialect has for unknown paths.
 *
 * Then what its key and its tenant may use (auth/limit): 429 with the name of the limit. A request without a known
 * caller counts for nobody.
 *
 * Threads  any. gate_request() never waits for the database: an unknown credential is resolved on a reader thread.
 */
#ifndef TIDEGATE_API_GATE_H
#define TIDEGATE_API_GATE_H

#include "auth/principal.h"
#include "http/exchange.h"

void gate_request(http_exchange *x);

/* http_server_options.hold_stream and release_stream: open streams count for whoever opened them. */
bool gate_hold_stream(http_exchange *x, void **hold, err *e) MUST_CHECK;
void gate_release_stream(void *hold);

/* For an open route that judges its callers itself: finds out whose credential the request carries, as for other routes.
 * Calls `then` once, perhaps on another thread: with e NULL and gate_principal() set, or with what is wrong. */
void gate_identify(http_exchange *x, void (*then)(void *context, const err *e), void *context);

/* Never NULL in a handler of a route that is not open; NULL in one that is. */
const auth_principal *gate_principal(const http_exchange *x);
/* ERR_FORBIDDEN with the detail {"topic":…} when the name is outside the key's prefixes. */
bool gate_check_name(const http_exchange *x, str name, err *e) MUST_CHECK;
/* ERR_FORBIDDEN when the key lacks one of the scopes: for what a body asks beyond its route's scopes. */
bool gate_check_scopes(const http_exchange *x, uint32_t scopes, err *e) MUST_CHECK;

/* How long the caller's credential still lasts, in ms, at least 1; 0 = for ever. For streams, which end with it. */
uint32_t gate_credential_ms(const http_exchange *x);

#endif
