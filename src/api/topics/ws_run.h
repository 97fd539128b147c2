/*
 * api/topics/ws_run: carries out one message of a WebSocket's client: reads it, checks what its sender may, does it, and
 * makes the answer.
 *
 * Owns     request.memory from the call on; frees it when the command is through. The rest is borrowed until then.
 * Threads  any, one command of a connection at a time. done: any thread; must not block.
 * Limits   ARENA_BYTES_MAX of ws_run.c for one command.
 */
#ifndef TIDEGATE_API_TOPICS_WS_RUN_H
#define TIDEGATE_API_TOPICS_WS_RUN_H

#include "api/api.h"
#include "api/topics/watch_set.h"
#include "auth/principal.h"

typedef struct ws_run_request {
	api *api;
	const auth_principal *principal;
	watch_set *set;
	str text;
	void *memory; /* that holds the text */
	bool is_binary;
	void (*done)(void *context, frame *answer); /* takes the frame; NULL: memory is out */
	void *context;
} ws_run_request;

/* True: *answer is made, done is not called. False: done will be called, or was. */
bool ws_run(const ws_run_request *request, frame **answer) MUST_CHECK;

/* {"op":"error","request_id":…,"code":"…","message":"…"} */
void ws_write_error(buf *out, str request_id, const char *code, const char *message);

#endif
