/*
 * http/server_impl: the server as its parts see it.
 */
#ifndef TIDEGATE_HTTP_SERVER_IMPL_H
#define TIDEGATE_HTTP_SERVER_IMPL_H

#include "http/peer.h"
#include "http/protocol.h"
#include "http/server.h"
#include "http/stats.h"
#include "http/table.h"

#include <stdatomic.h>

typedef struct acceptor acceptor; /* http/acceptor.h */
typedef struct h1 h1;             /* http/h1.h */
typedef struct h2 h2;             /* http/h2.h */
typedef struct tls tls;           /* http/tls.h */
typedef struct engine engine;     /* http/engine.h */

enum { ID_RANDOM_BYTES = 9, ID_PREFIX_BYTES = 12 }; /* the same in base64 */

struct http_server {
	http_server_options options; /* defaults filled in */
	char *cors_origin;           /* NULL: no CORS */
	metric_registry *own_metrics;
	table *table;
	stats stats;
	acceptor *acceptor;
	h1 *h1;
	h2 *h2;
	tls *tls; /* NULL: no listener has TLS */
	engine *engine;
	char id_prefix[ID_PREFIX_BYTES + 1];
	_Atomic uint64_t request_ids;
	_Atomic uint64_t buffered_bytes; /* of request bodies held in memory */
	atomic_long connections;
	atomic_long turns;       /* exchanges the application holds */
	atomic_bool is_stopping; /* replies close their connection */
	bool is_started;
	bool is_stopped;
};

/* Writes a new request id with its NUL into `text` (REQUEST_ID_MAX bytes); returns its length. */
size_t server_make_request_id(http_server *s, char *text);
/* Gives a connection to whoever serves its protocol, with both that are its own; any thread. */
void server_take(http_server *s, protocol spoken, int fd, peer from);
/* Counts an accepted connection; false when it is one too many (counted all the same, until it is closed). */
bool server_connection_opened(http_server *s);
/* A client connection is gone, whoever held its socket last. */
void server_connection_closed(http_server *s);
/* X-Request-Id, nosniff, CORS and what the dialect adds. */
void reply_add_common_headers(http_exchange *x);

#endif
