/*
 * api/topics: the dialect of single-partition topics, sequence numbers, tags and tombstones under /v0 (docs/topics.md).
 *
 * One file a resource: each decodes its request, hands one operation to the log, encodes the answer. Offset o of the log
 * is $seq o + 1; a topic made here has one partition, and of a topic with several, made elsewhere, partition 0 is shown.
 */
#ifndef TIDEGATE_API_TOPICS_TOPICS_H
#define TIDEGATE_API_TOPICS_TOPICS_H

#include "http/route.h"

extern const http_dialect topics_dialect;

/* topic.c, topic_list.c */
void topics_put_topic(http_exchange *x);
void topics_get_topic(http_exchange *x);
void topics_delete_topic(http_exchange *x);
void topics_list_topics(http_exchange *x);
/* write_topic.c, diff.c, delete_records.c */
void topics_write(http_exchange *x);
void topics_diff(http_exchange *x);
void topics_delete_records(http_exchange *x);

/* metrics.c */
void topics_metrics(http_exchange *x);
/* watch_post.c, watch_stream.c, ws.c */
void topics_post_watch(http_exchange *x);
void topics_watch_stream(http_exchange *x);
void topics_ws(http_exchange *x);
/* queue.c */
void topics_claim(http_exchange *x);
void topics_ack(http_exchange *x);
void topics_nack(http_exchange *x);
void topics_extend(http_exchange *x);
/* work.c */
void topics_work(http_exchange *x);
/* router.c, router_list.c */
void topics_put_router(http_exchange *x);
void topics_get_router(http_exchange *x);
void topics_delete_router(http_exchange *x);
void topics_list_routers(http_exchange *x);

#endif
