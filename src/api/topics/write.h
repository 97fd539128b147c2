/*
 * api/topics/write: one write: find or make the topic, append, tell the seqs. Shared by POST /v0/topics/{topic} and the
 * WebSocket's publish: it knows no exchange.
 *
 * A write parsed on a server's thread goes straight to the append lane when its topic is cached; nothing is copied.
 *
 * Owns     nothing: the caller owns the write and what it points to until done was called, once.
 * Threads  start: any. done: any thread; it must not block.
 * Errors   ERR_TOPIC_NOT_FOUND, ERR_FORBIDDEN (config without the admin scope), ERR_INVALID_REQUEST (a bad name),
 *          ERR_TOPIC_FULL, ERR_RECORD_TOO_LARGE, ERR_THROTTLED, those of log/append and log/topic.
 */
#ifndef TIDEGATE_API_TOPICS_WRITE_H
#define TIDEGATE_API_TOPICS_WRITE_H

#include "api/api.h"
#include "api/topics/write_body.h"
#include "auth/principal.h"
#include "log/append.h"

typedef struct topic_write topic_write;

struct topic_write {
	/* in */
	api *api;
	const auth_principal *principal; /* whose write it is; its prefixes were checked */
	arena *arena;
	str topic_name;
	write_body body;
	int64_t started_us; /* when the request came, for `performance` */
	void (*done)(topic_write *w);
	void *context;

	/* out */
	err error; /* ERR_NONE: written, or written before */
	bool created;

	/* private */
	log_append append;
	const log_topic *topic;
	bool is_fresh; /* the topic was looked up in the database, not only in the cache */
	bool waits_for_disk;
	int64_t patient_until_ms; /* 0: it did not have to wait for a place yet */
	int64_t submitted_us;
	int64_t committed_us;
};

void topic_write_start(topic_write *w);
/* "topic":… to "performance":{…}, without braces: the answer to a write without an error. */
void topic_write_members(buf *out, const topic_write *w, bool return_seqs);
/* The limits of the configuration. */
write_limits topic_write_limits(const config *c);

#endif
