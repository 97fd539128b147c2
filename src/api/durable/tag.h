/*
 * api/durable/tag: entity tags of reads: `"<incarnation>:<start>:<end>"`, with `:c` when the answer says that the stream is
 * closed. Two incarnations of a name share none.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_DURABLE_TAG_H
#define TIDEGATE_API_DURABLE_TAG_H

#include "api/durable/offset.h"

enum { DURABLE_TAG_SIZE = 128 };

/* `start` is what the request gave, at most as long as a token. NUL-terminated; the answer is a view of `out`. */
str durable_tag_print(int64_t topic_id, str start, durable_offset end, bool is_closed, char out[DURABLE_TAG_SIZE]);

#endif
