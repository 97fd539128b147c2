/*
 * log/private: the parts of an engine, for the files of log only. Each part has a file and is opaque to the others.
 */
#ifndef TIDEGATE_LOG_PRIVATE_H
#define TIDEGATE_LOG_PRIVATE_H

#include "base/shared_map.h"
#include "db/conn.h"
#include "db/pool.h"
#include "log/append.h"
#include "log/engine.h"
#include "log/wake.h"

typedef struct lane lane;
typedef struct wake_registry wake_registry;
typedef struct notify_link notify_link;
typedef struct janitor janitor;
typedef struct tail_registry tail_registry;
typedef struct lease_registry lease_registry;
typedef struct route_clerk route_clerk;

struct log_engine {
	log_engine_options options; /* texts are copies */
	char *database_url;
	shared_map *topics; /* TOPICS_KNOWN */
	lane **lanes;       /* options.lanes for fsync topics, then as many whose commits do not wait for the disk */
	size_t lane_count;
	wake_registry *wakes;
	notify_link *link;
	janitor *janitor;
	tail_registry *tails;
	lease_registry *leases;
	route_clerk *routes;
	log_on_append *on_append; /* NULL: nobody listens */
	void *on_append_context;
};

/* ---- topic_value ---- */
/* What is known of topics: log_topic by tenant and name. */
extern const shared_map_kind TOPICS_KNOWN;
/* A new immutable topic with one reference; NULL when memory is out. */
log_topic *topic_new(const log_topic *fields);

/* ---- lane ---- */
lane *lane_new(log_engine *engine, uint32_t index, bool relaxed, err *e);
bool lane_submit(lane *l, log_append *op, err *e);
/* Finishes what is queued until the deadline, refuses the rest. */
void lane_stop(lane *l, int64_t deadline_ms);
void lane_free(lane *l);
void lane_add_stats(lane *l, log_writer_stats *to);

/* ---- wake ---- */
wake_registry *wake_registry_new(log_engine *engine);
void wake_registry_free(wake_registry *r);
/* New records, or the topic's end. Wakes this worker's watchers. */
void wake_topic(wake_registry *r, int64_t topic_id, int32_t partition);
void wake_everything(wake_registry *r);
/* Watched topics, at most `max`, from the smallest id above `after`; the number written. */
size_t wake_watched(wake_registry *r, int64_t after, int64_t *topic_ids, size_t max);
/* Compares heads seen by the slow poll with what was known; wakes those that moved. `mark` changes with what a reader
 * would see. */
void wake_seen(wake_registry *r, int64_t topic_id, int32_t partition, int64_t mark);

/* ---- notify: the link between workers ---- */
notify_link *notify_link_new(log_engine *engine, err *e);
void notify_link_free(notify_link *n);
bool notify_link_is_up(notify_link *n);
/* No more polls: the pool may go. */
void notify_link_stop_polling(notify_link *n);
/* Tells the other workers, soon, outside any transaction. */
void notify_appended(notify_link *n, int64_t topic_id, int32_t partition);
void notify_topic_changed(notify_link *n, int64_t topic_id);

/* ---- janitor ---- */
janitor *janitor_new(log_engine *engine, err *e);
void janitor_free(janitor *j);

/* ---- tail ---- */
tail_registry *tail_registry_new(log_engine *engine);
/* Ends every job and every wait for a next try, so that neither the pool nor the timer is needed any more. */
void tail_registry_stop(tail_registry *r);
void tail_registry_free(tail_registry *r);

/* ---- lease ---- */
lease_registry *lease_registry_new(log_engine *engine);
/* Serves what waits and refuses what comes; needs the pool. */
void lease_registry_stop(lease_registry *r);
void lease_registry_free(lease_registry *r);
/* ---- route_clerk ---- */
route_clerk *route_clerk_new(log_engine *engine);
/* No more jobs, and those that run are over: the pool may go. */
void route_clerk_stop(route_clerk *c);
void route_clerk_free(route_clerk *c);
/* A commit of this worker added records to a source. Any thread, never blocks. */
void route_clerk_appended(route_clerk *c, int64_t topic_id, int32_t partition);
/* The janitor's duty: copies whatever is behind, a bounded part of it. */
bool route_sweep(route_clerk *c, db_conn *conn, bool *more, err *e) MUST_CHECK;
/* A commit of this worker added records: tells readers here, other workers, the listener, and the clerk. */
void route_announce(log_engine *engine, const log_topic *topic, int32_t partition, bool is_source);

#endif
