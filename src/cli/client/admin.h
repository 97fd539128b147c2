/*
 * cli/client/admin: calls of the streaming API's control plane, as JSON.
 *
 * Owns     nothing; a JSON value handed out is the caller's, who ends it with json_decref().
 * Threads  main thread only.
 * Errors   NULL or false, with the message printed, when *error is not wanted (NULL); else the caller prints it.
 */
#ifndef TIDEGATE_CLI_CLIENT_ADMIN_H
#define TIDEGATE_CLI_CLIENT_ADMIN_H

#include <jansson.h>

#include "cli/client/session.h"

/* A path made of segments: "topics", "a b" gives /topics/a%20b. Ends with NULL. */
void admin_path(buf *path, const char *const segments[]);

/* The answer to a call. path: of admin_path(), or a literal; body: NULL = none. *http may be NULL. */
json_t *admin_call(const session *s, const char *method, const buf *path, const json_t *body, int *http,
				   tg_error *error);
json_t *admin_get(const session *s, const char *const segments[]);
bool admin_delete(const session *s, const char *const segments[], tg_error *error) MUST_CHECK;

/* All pages of GET /{name}, which answers with an array of that name: "topics", "positions". */
json_t *admin_list(const session *s, const char *name);
/* The full descriptions of one topic, or with NULL of all. */
json_t *admin_describe(const session *s, const char *topic);

#endif
