/*
 * api/topics/node_filter: `node` of a read: records that one of these nodes wrote are passed over, silently, so that a
 * node does not get back what it sent. Off for topics with dedupe_node:false.
 *
 * Owns     nothing. Threads: any.
 * Limits   NODE_FILTER_MAX nodes.
 */
#ifndef TIDEGATE_API_TOPICS_NODE_FILTER_H
#define TIDEGATE_API_TOPICS_NODE_FILTER_H

#include "api/body.h"
#include "log/topic.h"

enum { NODE_FILTER_MAX = 256, NODE_FILTER_BYTES_MAX = 128 };

typedef struct node_filter {
	const str *nodes;
	size_t count;
} node_filter;

/* A string, an array of strings, or null. Errors stick in the body. */
void node_filter_read(body *b, const char *name, node_filter *out);
bool node_filter_drops(const node_filter *f, const log_topic *t, const log_record *r);

#endif
