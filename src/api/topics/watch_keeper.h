/*
 * api/topics/watch_keeper: the open watch streams of this worker: saves their positions, many at a time, and sees to it
 * that a session has one stream.
 *
 * A position is saved when the stream ends, and WATCH_SAVE_MS after it moved; an idle session is touched now and then so
 * that it is not forgotten. Topics for which there was no place are tried again as often. A save that finds a newer
 * generation ends its stream, as does the notification of another worker: that one serves the session now.
 *
 * Owns     a reference of each stream, through `unref`, from watch_keeper_add() until its last save after
 *          watch_keeper_close().
 * Threads  any; superseded() is called without a lock of the keeper, perhaps several times, until the stream is closed.
 * Limits   WATCH_SAVES_MAX sessions a statement.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_KEEPER_H
#define TIDEGATE_API_TOPICS_WATCH_KEEPER_H

#include "api/topics/watch_session.h"
#include "api/topics/watch_set.h"

enum { WATCH_SAVE_MS = 2000, WATCH_SAVES_MAX = 200 };

typedef struct watch_keeper watch_keeper;

/* A stream as the keeper sees it, embedded in it. */
typedef struct watch_kept {
	watch_id id;
	int64_t generation;
	watch_set *set;
	void (*superseded)(struct watch_kept *k); /* a newer stream has the session: end */
	void (*ref)(struct watch_kept *k);
	void (*unref)(struct watch_kept *k);
	/* the keeper's */
	struct watch_kept *next;
	struct watch_kept *prev;
	int64_t saved_at_ms;
	bool is_closed;
	bool is_late; /* a save of the closed stream failed once */
} watch_kept;

watch_keeper *watch_keeper_new(api *a);       /* NULL when memory is out */
void watch_keeper_free(watch_keeper *keeper); /* accepts NULL; jobs and timers stand still */

void watch_keeper_add(watch_keeper *keeper, watch_kept *k);
/* Saves it a last time, then gives up its reference. */
void watch_keeper_close(watch_keeper *keeper, watch_kept *k);
/* Before a session is opened: its newest stream here, with a reference; NULL: none. What that has delivered is in the
 * session afterwards, or still in the stream: once the session is open, its last save changes nothing. */
watch_kept *watch_keeper_newest(watch_keeper *keeper, const watch_id *id);
/* Before a stream of this generation begins: stops older ones of the session here, and corrects the positions of
 * `s` to what they have delivered, which may not be saved yet. Takes the reference of `newest`, of watch_keeper_newest(). */
void watch_keeper_take_over(watch_keeper *keeper, watch_kept *newest, const watch_id *id, watch_session *s);
/* A notification: a stream was opened somewhere; STR_NONE: some may have been missed. */
void watch_keeper_hear(watch_keeper *keeper, str payload);
size_t watch_keeper_count(watch_keeper *keeper);

#endif
