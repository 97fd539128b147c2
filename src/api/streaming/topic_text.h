/*
 * api/streaming/topic_text: a topic as this dialect's JSON. Pieces without braces; the caller writes those.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_STREAMING_TOPIC_TEXT_H
#define TIDEGATE_API_STREAMING_TOPIC_TEXT_H

#include "base/buf.h"
#include "log/topic.h"

/* "name" */
void topic_text_write_name(buf *out, const log_topic *t);
/* "name","partitions","replication_factor" */
void topic_text_write_shape(buf *out, const log_topic *t);
/* The shape, "created_at" and "config" */
void topic_text_write_details(buf *out, const log_topic *t);
/* ,"partition_info":[{"partition","start_offset","end_offset","records","bytes"}, …] */
void topic_text_write_partitions(buf *out, const log_partition_info *partitions, size_t count);

#endif
