/*
 * auth/watch: tells who is being served for long (an event stream) that its key has ended in the meantime.
 *
 * A key ends by being revoked, by a shorter expiry (a rotation), or with its tenant; in mode auto, a caller without one
 * ends with the first key. The key is looked at once at the start, so that nothing is missed between the request's
 * check and the watch, and then whenever a notification names it. An expiry that was known at the start (principal's
 * deadline_ms) is the caller's to keep.
 *
 * Owns     the watch belongs to the caller, from auth_watch_start() to auth_watch_stop().
 * Threads  start, stop: any, stop not from inside on_end of the same watch. on_end: a reader thread, at most once, must
 *          not block, may come before start has returned, never after stop returned.
 */
#ifndef TIDEGATE_AUTH_WATCH_H
#define TIDEGATE_AUTH_WATCH_H

#include "auth/auth.h"

typedef struct auth_watch auth_watch;

/* *e: ERR_UNAUTHORIZED with what happened. NULL when memory is out. */
auth_watch *auth_watch_start(auth *a, const auth_principal *p, void (*on_end)(void *context, const err *e),
							 void *context);
void auth_watch_stop(auth_watch *w); /* accepts NULL; before auth_free() */

#endif
