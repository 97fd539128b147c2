/*
 * api/streaming: the dialect of topics, partitions, offsets and consumer groups under /topics (docs/streaming.md).
 *
 * One file a resource: each decodes its request, hands one operation to the log, encodes the answer.
 */
#ifndef TIDEGATE_API_STREAMING_STREAMING_H
#define TIDEGATE_API_STREAMING_STREAMING_H

#include "http/route.h"

enum {
	STREAMING_MESSAGES_DEFAULT = 100, /* max_messages of a consume */
	STREAMING_MESSAGES_MAX = 10000,
	STREAMING_PAGE_BYTES_DEFAULT = 1 << 20, /* max_bytes of a consume */
	STREAMING_PAGE_BYTES_MAX = 16 << 20, /* its JSON stays below the server's limit of a reply, whatever is escaped */
	STREAMING_WAIT_MS_MAX = 60000,
	STREAMING_LEASE_MS_DEFAULT = 30000,
	STREAMING_LEASE_MS_MIN = 100,
	STREAMING_LEASE_MS_MAX = 86400000,
	STREAMING_REPLICATION_MAX = 32767, /* replication_factor is only echoed */
};

extern const http_dialect streaming_dialect;

/* topics.c */
void streaming_create_topic(http_exchange *x);
void streaming_list_topics(http_exchange *x);
void streaming_get_topic(http_exchange *x);
void streaming_alter_topic(http_exchange *x);
void streaming_delete_topic(http_exchange *x);
/* seek.c */
void streaming_find_offsets(http_exchange *x);
/* produce.c, consume.c, commit.c */
void streaming_produce(http_exchange *x);
void streaming_consume(http_exchange *x);
void streaming_commit(http_exchange *x);
/* groups.c, reset.c */
void streaming_list_groups(http_exchange *x);
void streaming_get_group(http_exchange *x);
void streaming_delete_group(http_exchange *x);
void streaming_delete_position(http_exchange *x);
void streaming_reset_group(http_exchange *x);
/* position_list.c */
void streaming_list_positions(http_exchange *x);
/* stream.c */
void streaming_stream(http_exchange *x);

#endif
