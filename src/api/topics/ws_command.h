/*
 * api/topics/ws_command: one message of a WebSocket's client, read: {"op":"subscribe",…}.
 *
 * Owns     nothing; texts point into the message or live in the arena.
 * Threads  any.
 * Errors   is_broken: the message is no JSON object, names no known op, or a member has the wrong type (invalid_json);
 *          otherwise the codes of the contract.
 */
#ifndef TIDEGATE_API_TOPICS_WS_COMMAND_H
#define TIDEGATE_API_TOPICS_WS_COMMAND_H

#include "api/topics/watch_options.h"

typedef enum ws_op { WS_NONE, WS_SUBSCRIBE, WS_UNSUBSCRIBE, WS_PUBLISH, WS_PING } ws_op;

typedef struct ws_command {
	ws_op op;
	str request_id;      /* JSON text; "null" without one */
	watch_starts starts; /* subscribe; of unsubscribe, the names */
	watch_options options;
	bool is_lenient;
	str topic; /* publish */
	bool return_seqs;
} ws_command;

typedef struct ws_limits {
	size_t topics;
	uint64_t node_bytes;
} ws_limits;

/* The members of a publish are checked for their types only: write_body_read() reads them. False: *e, and what is known
 * of the command (request_id). */
bool ws_command_read(str text, arena *a, const ws_limits *limits, ws_command *out, bool *is_broken, err *e) MUST_CHECK;

#endif
