/*
 * log/route: routers: what is appended to a source topic is copied to a destination topic, in order.
 *
 * Off the write path: the worker whose append hit a source copies at once (log/route_clerk), the janitor is the truth
 * behind it, and whoever reads a destination brings it up to date first. Copies and position are committed together, so
 * a crash repeats nothing and skips nothing. A destination that is full and refuses, or closed, holds its router where it
 * is. What retention took from the source before its turn burns as many offsets of the destination, announced to its
 * readers as a gap by_source.
 *
 * A copy keeps key, value, headers, meta and the producer's time; tag and node if the router preserves them. Partition p
 * of the source goes to partition p modulo those of the destination.
 *
 * Owns     nothing; texts given out live in the caller's arena.
 * Threads  the one that was given conn; no transaction is open.
 * Limits   LOG_ROUTE_HOPS_MAX routers one after the other; max_routers per tenant.
 * Errors   ERR_ROUTER_NOT_FOUND, ERR_ROUTER_CYCLE, ERR_TOPIC_EXISTS_INCOMPATIBLE, ERR_TOPIC_NOT_FOUND, ERR_THROTTLED
 *          (max_routers, max_topics), each with the detail of the topics contract; and those of db/conn.
 */
#ifndef TIDEGATE_LOG_ROUTE_H
#define TIDEGATE_LOG_ROUTE_H

#include "log/tag_match.h"
#include "log/topic.h"

enum { LOG_ROUTE_HOPS_MAX = 8 };

typedef struct log_router {
	str name;
	str source;
	str dest;
	bool preserve_node;
	bool preserve_tag;
	bool allow_cycle;
	bool exactly_once; /* copies are marked in their meta, and known by a key in the destination */
	bool has_filter;
	log_tag_match filter;
	int64_t forwarded_total; /* out */
} log_router;

typedef struct log_router_spec {
	int64_t tenant_id;
	log_router router;
	bool create_dest;
	log_topic_spec topic; /* of topics that are missing; the name is filled in */
} log_router_spec;

/* Makes the router, or changes all of it but its two ends. A new one begins at the source's end. A refused one leaves
 * nothing behind. */
bool log_router_put(log_engine *engine, log_conn *conn, const log_router_spec *spec, bool *created, err *e) MUST_CHECK;
/* As it is stored. */
bool log_router_find(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, arena *a, log_router *out,
					 err *e) MUST_CHECK;
/* Brings it up to date first. */
bool log_router_get(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, arena *a, log_router *out,
					err *e) MUST_CHECK;
/* Forwarding has stopped when it returns. */
bool log_router_delete(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, bool *deleted,
					   err *e) MUST_CHECK;

typedef struct log_router_query {
	int64_t tenant_id;
	str prefix;
	str after;  /* names ascend bytewise, strictly after this one */
	str source; /* ptr NULL = any */
	str dest;
	uint32_t limit;
} log_router_query;

bool log_router_list(log_engine *engine, log_conn *conn, const log_router_query *query, arena *a, log_router **out,
					 size_t *count, err *e) MUST_CHECK;

/* Copies to the topic what was acknowledged upstream before the call, through every chain of routers that leads to it:
 * what is read from the topic afterwards reflects it. log_read(), log_state_read() and log_topic_partitions() do it by
 * themselves. Costs one look-up where no router leads to the topic. Gives up after five seconds of a source that is
 * written faster than it can be copied. */
bool log_route_catch_up(log_engine *engine, log_conn *conn, int64_t topic_id, err *e) MUST_CHECK;

#endif
