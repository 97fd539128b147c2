/*
 * log/read: a cursor read: one range scan of one partition, as a page that is walked record by record.
 *
 *   log_read_request q = {.topic = t, .partition = 0, .from = 42, .max_records = 1000, .max_bytes = 1 << 20};
 *   log_page *page = NULL;
 *   if (!log_read(engine, conn, &q, &page, e)) …
 *   while (log_page_next(page, &record)) { … }
 *   next = log_page_position(page);
 *
 * Owns     the page owns the database's result; records borrow from it until log_page_free().
 * Threads  one at a time.
 * Limits   max_records, and max_bytes of key + value + headers + meta (at least one record is always delivered). Memory
 *          is about max_bytes plus one row (64 KiB or one record).
 * Errors   ERR_TOPIC_NOT_FOUND: the topic or partition is gone. Those of db/conn.
 */
#ifndef TIDEGATE_LOG_READ_H
#define TIDEGATE_LOG_READ_H

#include "log/topic.h"

typedef struct log_page log_page;

typedef struct log_read_request {
	const log_topic *topic;
	int32_t partition;
	int64_t from;         /* first offset wanted; beyond the end reads nothing */
	int64_t until;        /* exclusive; 0 = the end */
	uint32_t max_records; /* > 0 */
	uint64_t max_bytes;   /* > 0 */
	bool from_kept;       /* a first read: what was lost before it is no gap */
} log_read_request;

/* Offsets [from, to) were lost to retention: announced, never silent. */
typedef struct log_gap {
	int64_t from;
	int64_t to; /* exclusive */
	bool by_cap;
	bool by_ttl;
	bool by_source; /* lost at the source of a router before they could be copied here */
} log_gap;

bool log_read(log_engine *engine, log_conn *conn, const log_read_request *request, log_page **out, err *e) MUST_CHECK;
/* The next live record; false when the page is used up or the next record would pass a limit. */
bool log_page_next(log_page *p, log_record *out);
/* Where the next read goes on: one past the last offset examined (deleted ones included). */
int64_t log_page_position(const log_page *p);
/* Value bytes before that position, as log_record.end_byte counts; meaningful once log_page_next() gave false. */
int64_t log_page_byte(const log_page *p);
int64_t log_page_end_offset(const log_page *p);     /* the head's next offset at the time of the read */
int64_t log_page_end_byte(const log_page *p);       /* value bytes before it */
int64_t log_page_start_offset(const log_page *p);   /* offsets below were lost to retention */
bool log_page_gap(const log_page *p, log_gap *out); /* false: none between `from` and the first record */
bool log_page_is_closed(const log_page *p);
bool log_page_dedupes_node(const log_page *p); /* the topic's setting at the time of the read */
void log_page_free(log_page *p);               /* accepts NULL */

#endif
