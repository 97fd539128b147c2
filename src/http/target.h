/*
 * http/target: the request target: splitting it, and looking up its query.
 *
 * Owns     nothing; decoded text goes into the caller's arena.
 * Threads  one at a time per arena.
 * Limits   none of its own: the request line is capped by the server.
 */
#ifndef TIDEGATE_HTTP_TARGET_H
#define TIDEGATE_HTTP_TARGET_H

#include "base/arena.h"

/* Origin form (`/a?b`), absolute form (`http://host/a?b`) or `*`. *query is STR_NONE without a '?'. False, with both
 * untouched, for anything else and for a target with blanks, control bytes or a '#'. */
bool target_split(str target, str *path, str *query);
/* How often `name` occurs in the query. *value is the first one, form-decoded, and is untouched when the answer is 0;
 * `value` may be NULL. A name or value that does not fit into the arena counts as absent. */
size_t target_query_find(arena *a, str query, str name, str *value);

#endif
