/*
 * api/httpmq: the dialect of subjects, push subscriptions and acknowledgements, under /v1/admin (management) and /v1/data
 * (dataplane) (docs/httpmq.md).
 *
 * One file a resource. A stream is a topic of one partition; a message is a record whose tag and key are its subject;
 * sequence s is offset s - 1. Streams' and consumers' own state is in tables of this dialect (sql/httpmq*.sql).
 */
#ifndef TIDEGATE_API_HTTPMQ_HTTPMQ_H
#define TIDEGATE_API_HTTPMQ_HTTPMQ_H

#include "http/route.h"

enum {
	HTTPMQ_NAME_MAX = 255,
	HTTPMQ_SUBJECT_MAX = 1024,
	HTTPMQ_SUBJECTS_MAX = 1000,           /* of a stream */
	HTTPMQ_PAYLOAD_MAX = 1 << 20,         /* decoded bytes of a message */
	HTTPMQ_PUBLISH_BODY_MAX = 1536 << 10, /* encoded, line ends included */
	HTTPMQ_BATCH_MESSAGES = 1000,         /* published at once */
	HTTPMQ_BATCH_BODY_MAX = 8 << 20,
	HTTPMQ_HEADERS_MAX = 16 << 10, /* of a message, as JSON */
	HTTPMQ_NS_PER_MS = 1000000,
	HTTPMQ_ACK_WAIT_DEFAULT_S = 30,
};

extern const http_dialect httpmq_management;
extern const http_dialect httpmq_dataplane;

/* ready.c */
void httpmq_alive(http_exchange *x);
void httpmq_ready(http_exchange *x);
/* stream.c */
void httpmq_list_streams(http_exchange *x);
void httpmq_create_stream(http_exchange *x);
void httpmq_get_stream(http_exchange *x);
void httpmq_delete_stream(http_exchange *x);
void httpmq_put_subjects(http_exchange *x);
void httpmq_put_limits(http_exchange *x);
/* purge.c */
void httpmq_purge(http_exchange *x);
/* consumer.c */
void httpmq_list_consumers(http_exchange *x);
void httpmq_create_consumer(http_exchange *x);
void httpmq_get_consumer(http_exchange *x);
void httpmq_delete_consumer(http_exchange *x);
/* publish.c, subscribe.c, fetch.c, ack.c */
void httpmq_publish(http_exchange *x);
void httpmq_publish_raw(http_exchange *x);
void httpmq_publish_batch(http_exchange *x);
void httpmq_subscribe(http_exchange *x);
void httpmq_fetch(http_exchange *x);
void httpmq_ack(http_exchange *x);
void httpmq_nack(http_exchange *x);

#endif
