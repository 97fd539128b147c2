/*
 * bench/gateway: the server under test: its address, a connection for control calls, and the requests of the
 * streaming dialect.
 *
 * Owns     its connection and texts.
 * Threads  one at a time.
 * Errors   those of bench/peer; ERR_INTERNAL an answer that the contract does not allow, quoted in the message.
 */
#ifndef TIDEGATE_CLI_BENCH_GATEWAY_H
#define TIDEGATE_CLI_BENCH_GATEWAY_H

#include "base/buf.h"
#include "cli/bench/peer.h"

enum { GATEWAY_TIMEOUT_MS = 60000, GATEWAY_TOPIC_MAX = 80 };

typedef struct gateway gateway;

/* A topic of one case; its name is new for every run. */
typedef struct gateway_topic {
	char name[GATEWAY_TOPIC_MAX];
} gateway_topic;

/* Connects and checks that it is a server that answers. api_key.ptr NULL = none. */
bool gateway_open(str url, str api_key, gateway **out, err *e) MUST_CHECK;
void gateway_close(gateway *s); /* accepts NULL */
const peer_address *gateway_address(const gateway *s);

/* One partition, durability fsync; type is "log" or "queue". */
bool gateway_topic_create(gateway *s, const char *purpose, const char *type, gateway_topic *out, err *e) MUST_CHECK;
/* Changes the durability class. */
bool gateway_topic_set_class(gateway *s, const gateway_topic *topic, const char *durability, err *e) MUST_CHECK;
/* The number of its last record. */
bool gateway_topic_head(gateway *s, const gateway_topic *topic, uint64_t *out, err *e) MUST_CHECK;
bool gateway_topic_delete(gateway *s, const gateway_topic *topic, err *e) MUST_CHECK;

/* A watch session at the start of the topic, and the request for its event stream, appended to *out. */
bool gateway_open_session(gateway *s, const gateway_topic *topic, buf *out, err *e) MUST_CHECK;

/* Requests, appended to *out; buf.failed tells. */
void gateway_render_produce(const gateway *s, const gateway_topic *topic, str body, buf *out);
void gateway_render_consume(const gateway *s, const gateway_topic *topic, int64_t offset, uint32_t max_messages,
							buf *out);
/* One write of the topics dialect. */
void gateway_render_write(const gateway *s, const gateway_topic *topic, str body, buf *out);
/* verb: "claim", "ack" or "diff". */
void gateway_render_queue(const gateway *s, const gateway_topic *topic, const char *verb, str body, buf *out);
void gateway_render_watch(const gateway *s, const gateway_topic *topic, int64_t offset, buf *out);

/* Fills *e with a status that was not expected, and the start of the body. Returns false. */
bool gateway_refused(const char *what, int status, str body, err *e);

#endif
