/*
 * log/route_work: one router in a step of copying: what of its page it takes, and how much of that its destination holds.
 * No database.
 *
 * Owns     nothing; everything lives in the step's arena or belongs to the page.
 * Threads  one at a time.
 */
#ifndef TIDEGATE_LOG_ROUTE_WORK_H
#define TIDEGATE_LOG_ROUTE_WORK_H

#include "log/put.h"
#include "log/read.h"
#include "log/route.h"

/* What one position of the source leads to: shared by all routers that stand there. */
typedef struct route_page {
	int64_t from;
	int64_t lost; /* records that retention took first */
	int64_t position;
	int64_t end_offset;
	log_page *page;
	log_record *records;
	uint32_t count;
} route_page;

/* One router, and what it brings to its destination in this step. */
typedef struct route_work {
	log_router rule;
	int64_t router_id;
	log_topic dest; /* as much as telling of it needs */
	int32_t dest_partition;
	int64_t source_epoch;
	int64_t from;
	bool dest_is_queue;
	bool dest_is_synced;
	route_page *page;

	/* the copies */
	log_columns columns;
	uint32_t *picked; /* which records of the page, ascending */
	str *keys;        /* exactly_once: one per copy */
	bool *is_known;   /* exactly_once: the destination has it already */
	uint32_t *index;  /* the copies to write */
	uint32_t count;   /* of them */

	/* the destination */
	head head;
	head_rules rules;
	bool has_head;
	put_place place;
	bool is_changed;

	int64_t position; /* after the step */
	int64_t forwarded;
	bool is_stuck; /* the destination takes no more */
} route_work;

/* Everything the router takes of its page. ERR_NO_MEMORY. */
bool route_work_make_copies(route_work *w, int64_t source_id, arena *a, err *e) MUST_CHECK;
/* Something is to be written to the destination. */
bool route_work_needs_head(const route_work *w);
bool route_work_has_caps(const route_work *w);
/* Under the destination's lock: gives the copies their places, as many as there is room for. *bytes_left is what all
 * topics together may still take. */
void route_work_fill(route_work *w, int64_t *bytes_left);

#endif
