/*
 * api/topics/node_filter: the `node` of a read: a string, or an array of strings; records that carry one of them in
 * $node are left out, so that a mirror never gets its own records back.
 *
 * Owns     nothing; texts live as long as the body and its arena.
 * Limits   NODE_FILTER_MAX names.
 * Errors   ERR_INVALID_REQUEST in the body.
 */
#ifndef TIDEGATE_API_TOPICS_NODE_FILTER_H
#define TIDEGATE_API_TOPICS_NODE_FILTER_H

#include "api/body.h"
#include "log/record.h"

enum { NODE_FILTER_MAX = 64 };

typedef struct node_filter {
	uint32_t count; /* 0: everything passes */
	str names[NODE_FILTER_MAX];
} node_filter;

/* The member's value; null is none. */
void node_filter_read(body *b, uint64_t name_bytes_max, node_filter *out);
bool node_filter_drops(const node_filter *f, const log_record *r);

#endif
