/*
 * api/topics/watch_format: what watchers are sent: records, tombstones and the rest, as events or WebSocket messages.
 *
 * Formats are kept in a registry, so that watchers with equal options share one and with it the frames of the log's
 * feeds (log/tail). An event lacks its end: its `id:` and empty line are each connection's own.
 *
 * Owns     the registry owns its formats while somebody holds them: watch_format_unref().
 * Threads  any.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_FORMAT_H
#define TIDEGATE_API_TOPICS_WATCH_FORMAT_H

#include "api/topics/watch_options.h"
#include "log/tail.h"

typedef enum watch_surface { WATCH_EVENTS, WATCH_MESSAGES } watch_surface;

typedef struct watch_formats watch_formats;

watch_formats *watch_formats_new(void);     /* NULL when memory is out */
void watch_formats_free(watch_formats *fs); /* accepts NULL; nobody holds a format any more */

/* One with these options; NULL when memory is out. */
const log_format *watch_format_get(watch_formats *fs, watch_surface surface, const watch_options *options);
void watch_format_unref(const log_format *f); /* accepts NULL */

/* What a connection writes itself. A tombstone's numbers are seqs. */
typedef struct watch_tombstone {
	const char *reason;
	int64_t gap_from;
	int64_t gap_to;
	int64_t earliest_seq;
	int64_t head_seq;
} watch_tombstone;

void watch_write_tombstone(buf *out, watch_surface surface, str topic, const watch_tombstone *t);
void watch_write_deleted(buf *out, watch_surface surface, str topic, int64_t head_seq);

#endif
